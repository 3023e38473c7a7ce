#pragma once

// Private to core/studio.

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "core/client/job_listener.h"
#include "core/studio/clip_state.h"

namespace canopy {

/// Writes the newest state of one job on a thread of its own, so that no queue waits for the disk. One that
/// waits is replaced by a newer one.
class StateKeeper {
public:
    explicit StateKeeper(std::filesystem::path file);
    /// Finishes what is being written.
    ~StateKeeper();
    StateKeeper(const StateKeeper&) = delete;
    StateKeeper& operator=(const StateKeeper&) = delete;

    void keep(ClipState state);
    /// Waits until all is written. The point that the file stands at; none when nothing was written, the
    /// error of the last try.
    Result<std::optional<SamplingPoint>> settle();

private:
    void work(std::stop_token stop);

    const std::filesystem::path m_file;
    std::mutex m_mutex; ///< guards the rest
    std::condition_variable_any m_changed;
    std::optional<ClipState> m_waiting;
    bool m_writing = false;
    std::optional<SamplingPoint> m_written;
    Result<void> m_outcome;
    std::jthread m_thread; ///< last
};

} // namespace canopy
