#include "accel/kernels/cpu/block_score.h"

#include <algorithm>
#include <atomic>
#include <cassert>

#include "accel/kernels/cpu/attention_kernel_set.h"
#include "accel/kernels/cpu/block_score_kernel_set.h"

namespace canopy::accel::kernels {
namespace {

constexpr std::int64_t kPackBudget = std::int64_t{24} << 20; ///< of keys, as block_attention.cpp's
constexpr std::int64_t kPackCells = 64;                      ///< of a packing item

std::int64_t ceilDiv(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

struct Kernels {
    const AttentionKernels& packing;
    const BlockScoreKernels& score;
};

Kernels kernelsFor(KernelSet set, StorageDtype dtype) {
#if CANOPY_X86_KERNELS
    const bool half = dtype == StorageDtype::BFloat16;
    switch (set) {
    case KernelSet::Amx:
        if (half)
            return {kAmxHalf, kAmxHalfScore};
        [[fallthrough]];
    case KernelSet::Avx512Bf16:
        if (half)
            return {kAvx512Half, kAvx512HalfScore};
        [[fallthrough]];
    case KernelSet::Avx512:
        return {kAvx512Float, kAvx512FloatScore};
    case KernelSet::Avx2:
        return {kAvx2Float, kAvx2FloatScore};
    case KernelSet::Portable:
        break;
    }
#else
    (void)set;
    (void)dtype;
#endif
    return {kPortableFloat, kPortableFloatScore};
}

/// Workers' areas, then the packed keys of one group of heads.
struct Layout {
    std::int64_t cells, paddedCells, blocks;
    std::int64_t workerBytes, headBytes, groupHeads;

    Layout(const BlockScoreParams& p, const Kernels& kernels)
        : cells(ceilDiv(p.tokens, p.stride))
        , paddedCells(ceilDiv(cells, kScoreItemCells) * kScoreItemCells)
        , blocks(ceilDiv(p.tokens, kAttentionBlock)) {
        workerBytes = ceilDiv(static_cast<std::int64_t>(kernels.score.scratchBytes(
                                  p.tokens, static_cast<int>(p.headDim), static_cast<int>(p.stride))),
                              64) *
                      64;
        const std::int64_t units = p.headDim / (kernels.packing.packsHalf ? 2 : 1);
        headBytes = ceilDiv(paddedCells * p.stride * units * 4, 64) * 64;
        groupHeads = std::clamp<std::int64_t>(kPackBudget / headBytes, 1,
                                              std::max<std::int64_t>(p.batch * p.heads, 1));
    }
    std::int64_t bytes(int workers) const { return workers * workerBytes + groupHeads * headBytes + 64; }
};

const unsigned char* headStart(const BlockScoreParams& p, const void* base, const AttentionStrides& strides,
                               std::int64_t head) {
    const std::int64_t offset = head / p.heads * strides.batch + head % p.heads * strides.head;
    return static_cast<const unsigned char*>(base) + offset * (p.dtype == StorageDtype::BFloat16 ? 2 : 4);
}

} // namespace

std::size_t blockScoreScratchBytes(const BlockScoreParams& p, int workers) {
    return static_cast<std::size_t>(Layout(p, kernelsFor(p.kernelSet, p.dtype)).bytes(std::max(workers, 1)));
}

void blockScore(const BlockScoreParams& p, const ParallelWorkers& parallel, void* scratch) {
    assert(isSupported(p.kernelSet));
    assert(p.headDim > 0 && p.headDim % 8 == 0 && p.headDim <= kMaxAttentionHeadDim);
    assert((p.stride == 8 || p.stride == 16) && p.tokens > 0 && p.scale > 0);
    const Kernels kernels = kernelsFor(p.kernelSet, p.dtype);
    const Layout layout(p, kernels);
    const bool half = p.dtype == StorageDtype::BFloat16;
    const int headDim = static_cast<int>(p.headDim);

    const auto address = reinterpret_cast<std::uintptr_t>(scratch);
    unsigned char* workerArea = static_cast<unsigned char*>(scratch) + (64 - address % 64) % 64;
    unsigned char* packed = workerArea + parallel.workers * layout.workerBytes;

    const std::int64_t allHeads = p.batch * p.heads;
    const std::int64_t packItems = ceilDiv(layout.paddedCells, kPackCells);
    const std::int64_t scoreItems = ceilDiv(layout.cells, kScoreItemCells);
    for (std::int64_t firstHead = 0; firstHead < allHeads; firstHead += layout.groupHeads) {
        const std::int64_t heads = std::min(layout.groupHeads, allHeads - firstHead);

        std::atomic<std::int64_t> nextPack{0};
        parallel.run([&](int) {
            for (std::int64_t i = nextPack++; i < heads * packItems; i = nextPack++) {
                const std::int64_t inGroup = i / packItems, first = i % packItems * kPackCells;
                const std::int64_t count = std::min(kPackCells, layout.paddedCells - first);
                kernels.packing.packKeys(headStart(p, p.k, p.kStrides, firstHead + inGroup), p.kStrides.token,
                                         half, p.tokens, headDim, first * p.stride, count * p.stride,
                                         packed + inGroup * layout.headBytes);
            }
        });

        std::atomic<std::int64_t> next{0};
        parallel.run([&](int worker) {
            for (std::int64_t i = next++; i < heads * scoreItems; i = next++) {
                const std::int64_t inGroup = i / scoreItems, head = firstHead + inGroup;
                BlockScoreItem item{};
                item.q = headStart(p, p.q, p.qStrides, head);
                item.qStride = p.qStrides.token;
                item.tokens = p.tokens;
                item.headDim = headDim;
                item.halfStorage = half;
                item.stride = static_cast<int>(p.stride);
                item.scale = p.scale / static_cast<float>(p.stride);
                item.firstCell = i % scoreItems * kScoreItemCells;
                item.keys = packed + inGroup * layout.headBytes;
                item.weights =
                    p.weights +
                    (head * layout.blocks + item.firstCell * p.stride / kAttentionBlock) * layout.blocks;
                item.blocks = layout.blocks;
                item.scratch = workerArea + worker * layout.workerBytes;
                kernels.score.runItem(item);
            }
        });
    }
}

} // namespace canopy::accel::kernels
