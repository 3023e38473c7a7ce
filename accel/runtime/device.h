#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/job/generation_request.h"

namespace canopy::accel {

struct KernelTable;

/// Bytes. On the CPU `allocated` is the resident size of this process and `free` what it may still take; on a
/// GPU `allocated` and `peak` are what LibTorch's allocator handed out, `reserved` what it took from the
/// driver.
struct DeviceMemory {
    std::uint64_t freeBytes = 0;
    std::uint64_t totalBytes = 0;
    std::uint64_t allocatedBytes = 0;
    std::uint64_t reservedBytes = 0;
    std::uint64_t peakBytes = 0; ///< largest `allocated` since the last resetPeak()
};

/// The processor or card that a job runs on, and the only door to CUDA: everything that names `at::cuda`,
/// `c10::cuda` or a kernel lies in libcanopy_cuda.so behind this class. Home thread: the inference thread,
/// except memory(), which any thread may call. LibTorch's exceptions pass through; loadCuda() alone returns a
/// Result.
class Device {
public:
    /// Events in the ring. A ticket stays exact for this many later ones.
    static constexpr std::uint64_t kEventRing = 16;

    virtual ~Device() = default;

    virtual DeviceKind kind() const = 0;
    virtual const std::string& name() const = 0; ///< as the vendor writes it ("NVIDIA H100 80GB HBM3")
    virtual c10::Device torchDevice() const = 0;

    virtual DeviceMemory memory() const = 0;
    virtual void resetPeak() = 0;
    /// Gives cached memory back to the driver or the system.
    virtual void emptyCache() = 0;

    /// Marks the end of the work queued so far and returns its ticket. Tickets count up from 1.
    virtual std::uint64_t recordEvent() = 0;
    /// Returns once all work before `ticket` is done. A ticket older than the ring waits for the oldest one
    /// in it, which is later; ticket 0 returns at once.
    virtual void waitEvent(std::uint64_t ticket) = 0;
    /// Returns once all queued work is done.
    virtual void synchronize() = 0;
    /// The queue that kernels of ours join: a cudaStream_t, null on the CPU.
    virtual void* stream() const = 0;

    /// Kernels of the CUDA module; null on the CPU, whose kernels are linked in. Lives as long as the
    /// process.
    virtual const KernelTable* kernels() const = 0;
};

std::unique_ptr<Device> makeCpuDevice();

} // namespace canopy::accel
