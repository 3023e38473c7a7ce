#pragma once

#include "accel/kernels/cpu/parallel_workers.h"

namespace canopy::accel::ops {

/// LibTorch's intra-op threads (at::get_num_threads()) for kernels free of LibTorch; one worker inside a
/// parallel region. at::parallel_for is a header template that silently runs everything on the calling thread
/// in a file compiled without OpenMP: parallel.cpp is compiled with it, and is the place to call
/// at::parallel_for from.
kernels::ParallelWorkers intraOpWorkers();

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
