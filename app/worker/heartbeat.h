#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "app/worker/memory_gauge.h"
#include "core/protocol/channel.h"

namespace canopy::worker {

/// A thread that says "alive" every 250 ms, whatever the inference thread does, and measures memory for it.
class HeartbeatThread {
public:
    HeartbeatThread(protocol::Channel& channel, MemoryGauge& gauge,
                    std::function<std::uint64_t()> deviceBytes);
    ~HeartbeatThread();

private:
    void run();

    protocol::Channel& m_channel;
    MemoryGauge& m_gauge;
    const std::function<std::uint64_t()> m_deviceBytes;
    const int m_statm;  ///< /proc/self/statm
    const int m_stopFd; ///< eventfd
    std::thread m_thread;
};

} // namespace canopy::worker
