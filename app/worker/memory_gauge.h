#pragma once

#include <atomic>
#include <cstdint>

namespace canopy::worker {

/// Memory as the heartbeat thread measures it; read by any thread.
struct MemoryGauge {
    std::atomic<std::uint64_t> residentBytes = 0;
    std::atomic<std::uint64_t> deviceBytes = 0;
    std::atomic<std::uint64_t> residentPeak = 0; ///< since the running job began
    std::atomic<std::uint64_t> devicePeak = 0;

    void note(std::uint64_t resident, std::uint64_t device) {
        residentBytes = resident;
        deviceBytes = device;
        raise(residentPeak, resident);
        raise(devicePeak, device);
    }
    void beginJob() {
        residentPeak = residentBytes.load();
        devicePeak = deviceBytes.load();
    }

private:
    static void raise(std::atomic<std::uint64_t>& peak, std::uint64_t value) {
        std::uint64_t seen = peak;
        while (value > seen && !peak.compare_exchange_weak(seen, value)) {
        }
    }
};

} // namespace canopy::worker
