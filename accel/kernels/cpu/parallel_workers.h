#pragma once

#include <functional>

namespace canopy::accel::kernels {

/// Threads lent by the caller: run(body) calls body(w) once for every w in [0, workers), at the same time or
/// one after another, and returns when all have ended. Kernels are right for any mixture.
struct ParallelWorkers {
    int workers = 1;
    std::function<void(const std::function<void(int worker)>&)> run;
};

} // namespace canopy::accel::kernels
