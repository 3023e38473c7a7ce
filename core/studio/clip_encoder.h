#pragma once

// Private to core/studio: frames to files on a thread of their own.

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <variant>

#include "core/base/result.h"
#include "core/client/job_listener.h"
#include "core/project/clip_library.h"
#include "core/project/job_store.h"

namespace canopy {

/// What one job's frames become.
struct EncodeJob {
    JobId job = 0;
    std::filesystem::path file;      ///< wanted .mp4; unused in a build without media
    std::filesystem::path framesDir; ///< empty = none
    std::string comment;
    std::string title;
    int width = 0;
    int height = 0;
    int fps = 0;
    int frames = 0;
};

/// Sent once per job: with an error as soon as it happens, with the file after finish().
struct EncodeReport {
    JobId job = 0;
    Result<std::filesystem::path> file; ///< the clip, or the folder of frames in a build without media
    Thumbnail thumbnail;
};

/// Frames in, a verified clip out. Calls but abandon() return at once; `report` is called on the encoder
/// thread. A frame's bytes are let go when it is written, which paces the worker.
class ClipEncoder {
public:
    explicit ClipEncoder(std::function<void(EncodeReport)> report);
    /// Abandons what is under way.
    ~ClipEncoder();
    ClipEncoder(const ClipEncoder&) = delete;
    ClipEncoder& operator=(const ClipEncoder&) = delete;

    void begin(EncodeJob job);
    void frame(client::BlobPtr frame);
    void finish(std::string comment); ///< the settings with what is known now
    /// Drops what waits; deletes the unfinished file, unless `keepPart`. Returns when that is done (at most
    /// one frame's time): after it nothing of the job is left.
    void abandon(bool keepPart);
    /// MP4 or, without media, frames only.
    static bool writesVideo();

private:
    struct Finish {
        std::string comment;
    };
    struct Abandon {
        bool keepPart = false;
    };
    using Command = std::variant<EncodeJob, client::BlobPtr, Finish, Abandon>;
    struct Run;

    void push(Command command);
    void work(std::stop_token stop);

    std::function<void(EncodeReport)> m_report;
    std::mutex m_mutex;
    std::condition_variable_any m_wake;
    std::deque<Command> m_commands;
    std::uint64_t m_abandonsAsked = 0;
    std::uint64_t m_abandonsDone = 0;
    std::condition_variable m_abandoned;
    std::jthread m_thread; ///< last: it uses all of the above
};

} // namespace canopy
