#pragma once

// Private to core/studio: frames of a video for a question, on a thread of their own.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/base/result.h"
#include "core/job/ask_request.h"
#include "core/project/job_store.h"

namespace canopy {

/// What to take of which video.
struct SampleWish {
    std::filesystem::path video;
    int frames = 0;
    FrameSampling sampling = FrameSampling::Index;
    int size = 0;            ///< pixels, square: the vision tower's
    bool forceFrames = true; ///< false: one a second where that is fewer
    bool operator==(const SampleWish&) const = default;
};

/// Frames in the form that the worker takes, and where they were in the video.
struct SampledVideo {
    std::filesystem::path file; ///< AskRequest::framesFile
    std::vector<std::int64_t> frameIndex;
    std::vector<double> frameSeconds;
    double videoSeconds = 0;
    std::vector<std::string> notes; ///< what was not used and why
};

struct SampleReport {
    JobId job = 0;
    Result<SampledVideo> video;
};

/// Samples videos, one after another, and keeps the last few results for further questions on the same video
/// (a changed file is read again). `report` is called on the sampler's thread. Files lie in `folder` and go
/// with this object.
class FrameSampler {
public:
    FrameSampler(std::filesystem::path folder, std::function<void(SampleReport)> report);
    ~FrameSampler();
    FrameSampler(const FrameSampler&) = delete;
    FrameSampler& operator=(const FrameSampler&) = delete;

    void sample(JobId job, SampleWish wish);
    /// Ends what is under way for this job or waits; no report follows.
    void abandon(JobId job);

private:
    struct Order {
        JobId job = 0;
        SampleWish wish;
    };
    struct Kept {
        SampleWish wish;
        std::uintmax_t bytes = 0; ///< of the video when it was read
        std::filesystem::file_time_type changed;
        SampledVideo video;
    };
    void work(std::stop_token stop);
    Result<SampledVideo> read(const Order& order, const std::stop_token& stop);

    const std::filesystem::path m_folder;
    const std::function<void(SampleReport)> m_report;
    std::deque<Kept> m_kept; ///< newest first; sampler thread
    std::uint64_t m_files = 0;

    std::mutex m_mutex;
    std::condition_variable_any m_arrived;
    std::deque<Order> m_orders;
    JobId m_running = 0;
    std::optional<std::stop_source> m_runningStop;
    std::jthread m_thread; ///< last: it uses all of the above
};

} // namespace canopy
