#include "app/worker/heartbeat.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <utility>

#include "core/base/clock.h"

namespace canopy::worker {
namespace {

constexpr int kIntervalMillis = 250;
/// Memory is measured more often than it is told, so that a short peak is not missed.
constexpr int kMeasureMillis = 50;

/// Second number of /proc/self/statm: resident pages.
std::uint64_t residentBytes(int statm) {
    std::array<char, 128> text{};
    const ssize_t got = ::pread(statm, text.data(), text.size() - 1, 0);
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    if (got > 0) {
        const char* end = text.data() + got;
        const auto first = std::from_chars(text.data(), end, total);
        if (first.ec == std::errc() && first.ptr != end) {
            std::from_chars(first.ptr + 1, end, resident);
        }
    }
    static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    return resident * page;
}

} // namespace

HeartbeatThread::HeartbeatThread(protocol::Channel& channel, MemoryGauge& gauge,
                                 std::function<std::uint64_t()> deviceBytes)
    : m_channel(channel)
    , m_gauge(gauge)
    , m_deviceBytes(std::move(deviceBytes))
    , m_statm(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC))
    , m_stopFd(::eventfd(0, EFD_CLOEXEC))
    , m_thread([this] { run(); }) {}

HeartbeatThread::~HeartbeatThread() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(m_stopFd, &one, sizeof one);
    m_thread.join();
    ::close(m_stopFd);
    ::close(m_statm);
}

void HeartbeatThread::run() {
    protocol::Heartbeat heartbeat;
    double next = 0;
    while (true) {
        m_gauge.note(residentBytes(m_statm), m_deviceBytes());
        if (const double now = steadySeconds(); now >= next) {
            next = now + kIntervalMillis / 1000.0;
            ++heartbeat.counter;
            heartbeat.residentBytes = m_gauge.residentBytes;
            heartbeat.deviceBytes = m_gauge.deviceBytes;
            heartbeat.dropped = m_channel.dropped();
            (void)m_channel.send(toValue(protocol::WorkerMessage(heartbeat)),
                                 protocol::Channel::Importance::Telemetry);
        }
        pollfd stop = {m_stopFd, POLLIN, 0};
        if (::poll(&stop, 1, kMeasureMillis) > 0) {
            return;
        }
    }
}

} // namespace canopy::worker
