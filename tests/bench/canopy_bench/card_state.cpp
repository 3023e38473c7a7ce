#include "tests/bench/canopy_bench/card_state.h"

#include <dlfcn.h>

#include <array>

namespace canopy::bench {

namespace {

// Of the management library's C interface, by its documentation.
constexpr int kSmClock = 1, kMemoryClock = 2, kGpuTemperature = 0;

template <typename... Args>
int call(void* library, const char* name, Args... args) {
    const auto entry = reinterpret_cast<int (*)(Args...)>(dlsym(library, name));
    return entry ? entry(args...) : -1;
}

} // namespace

CardState readCardState() {
    CardState state;
    void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    void* card = nullptr;
    if (!library || call(library, "nvmlInit_v2") != 0 ||
        call(library, "nvmlDeviceGetHandleByIndex_v2", 0U, &card) != 0)
        return state;
    std::array<char, 96> text{};
    if (call(library, "nvmlDeviceGetName", card, text.data(), static_cast<unsigned>(text.size())) == 0)
        state.name = text.data();
    if (call(library, "nvmlSystemGetDriverVersion", text.data(), static_cast<unsigned>(text.size())) == 0)
        state.driver = text.data();
    call(library, "nvmlDeviceGetClockInfo", card, kSmClock, &state.smMegahertz);
    call(library, "nvmlDeviceGetClockInfo", card, kMemoryClock, &state.memoryMegahertz);
    call(library, "nvmlDeviceGetTemperature", card, kGpuTemperature, &state.temperature);
    unsigned milliwatts = 0;
    if (call(library, "nvmlDeviceGetPowerUsage", card, &milliwatts) == 0)
        state.watts = milliwatts / 1000.0;
    if (call(library, "nvmlDeviceGetEnforcedPowerLimit", card, &milliwatts) == 0)
        state.wattLimit = milliwatts / 1000.0;
    return state;
}

} // namespace canopy::bench
