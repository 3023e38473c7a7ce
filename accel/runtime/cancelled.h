#pragma once

#include <stop_token>

namespace canopy::accel {

/// Thrown where long work notices the stop token: between transformer blocks, VAE chunks and loaded tensors.
/// Caught once, at the job boundary in engine/.
struct Cancelled {};

inline void throwIfStopped(const std::stop_token& stop) {
    if (stop.stop_requested())
        throw Cancelled{};
}

} // namespace canopy::accel
