#pragma once

#include <cstdint>
#include <functional>

#include "accel/kernels/cpu/parallel_workers.h"

namespace canopy::accel::ops {

/// LibTorch's intra-op threads (at::get_num_threads()) for kernels free of LibTorch; one worker inside a
/// parallel region. at::parallel_for is a header template that silently runs everything on the calling thread
/// in a file compiled without OpenMP: parallel.cpp is compiled with it, and is the place to call
/// at::parallel_for from.
kernels::ParallelWorkers intraOpWorkers();

/// body(i) for every i in [0, count), spread over LibTorch's intra-op threads; whatever LibTorch does inside
/// runs on the calling thread. For work of many small operations, each of which alone would wake and wait for
/// the other threads. Inference mode is carried over; the first exception is thrown on.
void forEachItem(std::int64_t count, const std::function<void(std::int64_t)>& body);

/// While it lives, LibTorch, oneDNN and MKL use the calling thread alone. For work so small that waking other
/// threads takes longer than what they would take over. Home thread: the inference thread.
class SingleThread {
public:
    SingleThread();
    ~SingleThread();
    SingleThread(const SingleThread&) = delete;
    SingleThread& operator=(const SingleThread&) = delete;

private:
    int m_before;
};

} // namespace canopy::accel::ops
