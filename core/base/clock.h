#pragma once

#include <chrono>
#include <cstdint>

namespace canopy {

/// Seconds on the monotonic clock; for durations and deadlines.
inline double steadySeconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Milliseconds since 1970 on the wall clock; for what is shown or stored, never for durations.
inline std::int64_t wallMillis() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

} // namespace canopy
