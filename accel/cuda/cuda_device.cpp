#include "accel/cuda/cuda_device.h"

#include <ATen/Context.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <exception>
#include <string>
#include <utility>

namespace canopy::accel::cuda {

namespace {

using c10::cuda::CUDACachingAllocator::getDeviceStats;

/// Index 0 of LibTorch's statistics is the sum over its pools.
constexpr std::size_t kAllPools = 0;

class CudaDevice final : public Device {
public:
    CudaDevice(c10::DeviceIndex index, const cudaDeviceProp& properties, const KernelTable& kernels)
        : m_index(index)
        , m_name(properties.name)
        , m_kernels(kernels) {}

    DeviceKind kind() const override { return DeviceKind::Cuda; }
    const std::string& name() const override { return m_name; }
    c10::Device torchDevice() const override { return c10::Device(c10::kCUDA, m_index); }

    DeviceMemory memory() const override {
        const c10::cuda::CUDAGuard guard(m_index);
        std::size_t freeBytes = 0, totalBytes = 0;
        C10_CUDA_CHECK(cudaMemGetInfo(&freeBytes, &totalBytes));
        const auto stats = getDeviceStats(m_index);
        DeviceMemory memory;
        memory.freeBytes = freeBytes;
        memory.totalBytes = totalBytes;
        memory.allocatedBytes = static_cast<std::uint64_t>(stats.allocated_bytes[kAllPools].current);
        memory.reservedBytes = static_cast<std::uint64_t>(stats.reserved_bytes[kAllPools].current);
        memory.peakBytes = static_cast<std::uint64_t>(stats.allocated_bytes[kAllPools].peak);
        return memory;
    }
    void resetPeak() override { c10::cuda::CUDACachingAllocator::resetPeakStats(m_index); }
    void emptyCache() override { c10::cuda::CUDACachingAllocator::emptyCache(); }

    std::uint64_t recordEvent() override {
        ++m_ticket;
        m_events[m_ticket % kEventRing].record(currentStream());
        return m_ticket;
    }
    void waitEvent(std::uint64_t ticket) override {
        if (ticket == 0 || m_ticket == 0)
            return;
        // Tickets that have left the ring lie before its oldest entry.
        const auto oldest = m_ticket >= kEventRing ? m_ticket - kEventRing + 1 : 1;
        m_events[std::clamp(ticket, oldest, m_ticket) % kEventRing].synchronize();
    }
    void synchronize() override { currentStream().synchronize(); }
    void* stream() const override { return currentStream().stream(); }

    const KernelTable* kernels() const override { return &m_kernels; }

private:
    c10::cuda::CUDAStream currentStream() const { return c10::cuda::getCurrentCUDAStream(m_index); }

    c10::DeviceIndex m_index;
    std::string m_name;
    const KernelTable& m_kernels;
    std::uint64_t m_ticket = 0;
    std::array<c10::cuda::CUDAEvent, kEventRing> m_events;
};

/// Runs the probe kernel and reads back what it wrote.
Result<void> checkKernels(const CudaDevice& device, const cudaDeviceProp& properties,
                          const KernelTable& kernels, const char* architectures) {
    constexpr std::int32_t kCount = 64, kValue = 1'000;
    std::array<std::int32_t, kCount> host{};
    const auto memory = c10::cuda::CUDACachingAllocator::get()->allocate(sizeof host);
    const auto stream = static_cast<cudaStream_t>(device.stream());
    const int code = kernels.probe(static_cast<std::int32_t*>(memory.get()), kCount, kValue, stream);
    if (code == cudaErrorNoKernelImageForDevice || code == cudaErrorInvalidDeviceFunction) {
        return makeError(
            ErrorCode::Mismatch,
            "The CUDA module was built for architecture " + std::string(architectures) +
                ", and this card has " + std::to_string(properties.major) + std::to_string(properties.minor) +
                ". Run packaging/run on this machine to build it for the card: " + device.name());
    }
    C10_CUDA_CHECK(static_cast<cudaError_t>(code));
    C10_CUDA_CHECK(cudaMemcpyAsync(host.data(), memory.get(), sizeof host, cudaMemcpyDeviceToHost, stream));
    C10_CUDA_CHECK(cudaStreamSynchronize(stream));
    for (std::int32_t index = 0; index < kCount; ++index) {
        if (host[static_cast<std::size_t>(index)] != kValue + index) {
            return makeError(ErrorCode::Internal,
                             "The card computed " + std::to_string(host[static_cast<std::size_t>(index)]) +
                                 " where " + std::to_string(kValue + index) +
                                 " was expected; it cannot be trusted: " + device.name());
        }
    }
    return {};
}

} // namespace

Result<std::unique_ptr<Device>> makeCudaDevice(int index, const KernelTables& tables,
                                               const char* architectures) {
    try {
        const auto card = static_cast<c10::DeviceIndex>(index);
        if (index >= c10::cuda::device_count()) {
            return makeError(ErrorCode::Unsupported,
                             "The driver offers card " + std::to_string(index) + ", and LibTorch sees " +
                                 std::to_string(c10::cuda::device_count()) + ". Check CUDA_VISIBLE_DEVICES.");
        }
        at::globalContext().lazyInitDevice(c10::DeviceType::CUDA); // the allocator answers only after this
        c10::cuda::set_device(card);
        cudaDeviceProp properties;
        C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, index));
        constexpr int kHopper = 9;
        const KernelTable& kernels = properties.major == kHopper ? tables.hopper : tables.others;
        auto device = std::make_unique<CudaDevice>(card, properties, kernels);
        if (auto checked = checkKernels(*device, properties, kernels, architectures); !checked)
            return checked.error();
        return std::unique_ptr<Device>(std::move(device));
    } catch (const c10::OutOfMemoryError& error) {
        return makeError(ErrorCode::OutOfMemory,
                         "The card has no memory left for even a probe. Close other programs "
                         "that use it: " +
                             std::string(error.what_without_backtrace()));
    } catch (const c10::Error& error) {
        return makeError(ErrorCode::Unsupported, "The card could not be started. Check it with nvidia-smi: " +
                                                     std::string(error.what_without_backtrace()));
    } catch (const std::exception& error) {
        return makeError(ErrorCode::Unsupported, "The card could not be started. Check it with nvidia-smi: " +
                                                     std::string(error.what()));
    }
}

} // namespace canopy::accel::cuda
