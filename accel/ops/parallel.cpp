#include "accel/ops/parallel.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#if !defined(_OPENMP)
#error "parallel.cpp was compiled without OpenMP; accel/ops/CMakeLists.txt sets -fopenmp for it"
#endif

namespace canopy::accel::ops {

kernels::ParallelWorkers intraOpWorkers() {
    const int workers = at::in_parallel_region() ? 1 : std::max(at::get_num_threads(), 1);
    return {workers, [workers](const std::function<void(int)>& body) {
                at::parallel_for(0, workers, 1, [&body](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t worker = begin; worker < end; ++worker)
                        body(static_cast<int>(worker));
                });
            }};
}

void forEachItem(std::int64_t count, const std::function<void(std::int64_t)>& body) {
    const bool inference = c10::InferenceMode::is_enabled();
    at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
        const c10::InferenceMode mode(inference);
        for (std::int64_t i = begin; i < end; ++i)
            body(i);
    });
}

SingleThread::SingleThread()
    : m_before(at::get_num_threads()) {
    at::set_num_threads(1);
}

SingleThread::~SingleThread() {
    at::set_num_threads(m_before);
}

} // namespace canopy::accel::ops
