#include "core/studio/state_keeper.h"

#include <utility>

#include "core/base/log.h"

namespace canopy {

StateKeeper::StateKeeper(std::filesystem::path file)
    : m_file(std::move(file))
    , m_thread([this](std::stop_token stop) { work(stop); }) {}

StateKeeper::~StateKeeper() {
    (void)settle();
}

void StateKeeper::keep(ClipState state) {
    {
        const std::lock_guard lock(m_mutex);
        m_waiting = std::move(state);
    }
    m_changed.notify_all();
}

Result<std::optional<SamplingPoint>> StateKeeper::settle() {
    std::unique_lock lock(m_mutex);
    m_changed.wait(lock, [&] { return !m_writing && !m_waiting; });
    if (!m_outcome)
        return m_outcome.error();
    return m_written;
}

void StateKeeper::work(std::stop_token stop) {
    std::unique_lock lock(m_mutex);
    while (m_changed.wait(lock, stop, [&] { return m_waiting.has_value(); })) {
        const ClipState state = std::move(*std::exchange(m_waiting, std::nullopt));
        m_writing = true;
        lock.unlock();
        const auto written = writeClipState(m_file, state);
        if (!written)
            logWarning("studio", "The state of a clip was not saved: " + written.error().message);
        lock.lock();
        m_writing = false;
        m_outcome = written;
        if (written)
            m_written = state.point;
        m_changed.notify_all();
    }
}

} // namespace canopy
