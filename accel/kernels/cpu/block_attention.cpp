#include "accel/kernels/cpu/block_attention.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "accel/kernels/cpu/attention_kernel_set.h"

namespace canopy::accel::kernels {
namespace {

/// Packed keys and values of the heads in flight; the rest of a layer waits its turn. Large enough that the
/// tails of several heads fill each other, small enough to stay below the allocator's 32 MiB threshold for
/// fresh pages.
constexpr std::int64_t kPackBudget = std::int64_t{24} << 20;
/// Register blocks read keys in groups of at most 32.
constexpr std::int64_t kKeyPadding = 32;
constexpr std::int64_t kPackTokens = 1024; ///< tokens of a packing item; a multiple of kKeyPadding

std::int64_t ceilDiv(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}
std::int64_t roundUp(std::int64_t a, std::int64_t b) {
    return ceilDiv(a, b) * b;
}

/// bfloat16 without AVX-512 BF16 runs on the float32 kernels: widened while packing, rounded when stored.
/// AMX multiplies whole rows of 32 channels.
const AttentionKernels& kernelsFor(KernelSet set, StorageDtype dtype, std::int64_t headDim) {
#if CANOPY_X86_KERNELS
    switch (set) {
    case KernelSet::Amx:
        if (dtype == StorageDtype::BFloat16 && headDim % 32 == 0)
            return kAmxHalf;
        [[fallthrough]];
    case KernelSet::Avx512Bf16:
        return dtype == StorageDtype::BFloat16 ? kAvx512Half : kAvx512Float;
    case KernelSet::Avx512:
        return kAvx512Float;
    case KernelSet::Avx2:
        return kAvx2Float;
    case KernelSet::Portable:
        break;
    }
#else
    (void)set;
    (void)dtype;
    (void)headDim;
#endif
    return kPortableFloat;
}

/// How scratch is laid out: workers' areas, then the packed heads of one group.
/// A head's values follow its keys: a register block may read up to 31 key rows past a run that ends at the
/// last token (their scores are not used), which must stay inside.
struct Layout {
    std::int64_t workerBytes;
    std::int64_t headBytes;  ///< of keys, and the same of values
    std::int64_t groupHeads; ///< key heads packed at a time

    Layout(const BlockAttentionParams& p, const AttentionKernels& kernels) {
        const std::int64_t step = kernels.packsHalf ? 2 : 1;
        workerBytes =
            roundUp(static_cast<std::int64_t>(kernels.scratchBytes(static_cast<int>(p.headDim))), 64);
        headBytes = roundUp(roundUp(p.keyTokens, kKeyPadding) * (p.headDim / step) * 4, 64);
        groupHeads = std::clamp<std::int64_t>(kPackBudget / std::max<std::int64_t>(2 * headBytes, 1), 1,
                                              std::max<std::int64_t>(p.batch * p.kvHeads, 1));
    }
    std::int64_t bytes(int workers) const { return workers * workerBytes + groupHeads * 2 * headBytes + 64; }
};

struct WorkItem {
    std::int64_t head; ///< b * H + h
    std::int64_t firstQuery;
    std::int64_t queries;
    std::int64_t list; ///< block-list entry or query range
    std::int64_t cost;
};

class Plan {
public:
    explicit Plan(const BlockAttentionParams& params)
        : p(params) {}

    /// Items of heads [firstHead, lastHead), most expensive first; equal ones in their natural order.
    std::vector<WorkItem> items(std::int64_t firstHead, std::int64_t lastHead) const {
        std::vector<WorkItem> result;
        for (std::int64_t head = firstHead; head < lastHead; ++head) {
            if (p.queryRanges) {
                for (std::int64_t r = 0; r < p.queryRangeCount; ++r)
                    append(result, head, p.queryRanges[r].begin, p.queryRanges[r].end, r);
            } else {
                append(result, head, 0, p.queryTokens, -1);
            }
        }
        std::stable_sort(result.begin(), result.end(),
                         [](const WorkItem& a, const WorkItem& b) { return a.cost > b.cost; });
        return result;
    }

    void pieces(const WorkItem& item, std::vector<KeyPiece>& result) const {
        result.clear();
        if (p.queryRanges) {
            const QueryRange& range = p.queryRanges[item.list];
            for (std::int64_t r = 0; r < range.runCount; ++r)
                cut(p.keyRuns[range.firstRun + r], result);
        } else if (p.keyBlockOffsets) {
            for (std::int64_t i = p.keyBlockOffsets[item.list]; i < p.keyBlockOffsets[item.list + 1]; ++i)
                cut({p.keyBlockIds[i] * kAttentionBlock,
                     std::min((p.keyBlockIds[i] + 1) * kAttentionBlock, p.keyTokens)},
                    result);
        } else {
            cut({0, seenKeys(item.firstQuery + item.queries)}, result);
        }
    }

    /// Keys that the query before `query` sees where neither lists nor ranges say so.
    std::int64_t seenKeys(std::int64_t query) const {
        return p.causal ? p.keyTokens - p.queryTokens + query : p.keyTokens;
    }

private:
    void append(std::vector<WorkItem>& result, std::int64_t head, std::int64_t begin, std::int64_t end,
                std::int64_t range) const {
        const std::int64_t queryBlocks = ceilDiv(p.queryTokens, kAttentionBlock);
        for (std::int64_t q = begin; q < end; q += kAttentionBlock) {
            const std::int64_t list = range >= 0 ? range : head * queryBlocks + q / kAttentionBlock;
            const std::int64_t queries = std::min(kAttentionBlock, end - q);
            result.push_back({head, q, queries, list, queries * keyCount(list, q + queries)});
        }
    }

    std::int64_t keyCount(std::int64_t list, std::int64_t queryEnd) const {
        if (p.queryRanges) {
            std::int64_t keys = 0;
            const QueryRange& range = p.queryRanges[list];
            for (std::int64_t r = range.firstRun; r < range.firstRun + range.runCount; ++r)
                keys += p.keyRuns[r].end - p.keyRuns[r].begin;
            return keys;
        }
        if (p.keyBlockOffsets)
            return (p.keyBlockOffsets[list + 1] - p.keyBlockOffsets[list]) * kAttentionBlock;
        return seenKeys(queryEnd);
    }

    /// Cuts a run at multiples of 128 keys, which is where a piece must end.
    static void cut(KeyRun run, std::vector<KeyPiece>& result) {
        for (std::int64_t at = run.begin; at < run.end;) {
            const std::int64_t end = std::min((at / kAttentionBlock + 1) * kAttentionBlock, run.end);
            result.push_back({static_cast<std::int32_t>(at), static_cast<std::int32_t>(end - at)});
            at = end;
        }
    }

    const BlockAttentionParams& p;
};

std::int64_t elementBytes(StorageDtype dtype) {
    return dtype == StorageDtype::BFloat16 ? 2 : 4;
}

/// First element of one head's tokens, of `heads` in each batch row.
const void* headStart(const BlockAttentionParams& p, const void* base, const AttentionStrides& strides,
                      std::int64_t head, std::int64_t heads) {
    const std::int64_t offset = head / heads * strides.batch + head % heads * strides.head;
    return static_cast<const unsigned char*>(base) + offset * elementBytes(p.dtype);
}

} // namespace

std::size_t blockAttentionScratchBytes(const BlockAttentionParams& params, int workers) {
    return static_cast<std::size_t>(Layout(params, kernelsFor(params.kernelSet, params.dtype, params.headDim))
                                        .bytes(std::max(workers, 1)));
}

void blockAttention(const BlockAttentionParams& p, const ParallelWorkers& parallel, void* scratch) {
    assert(isSupported(p.kernelSet));
    assert(p.headDim > 0 && p.headDim % 8 == 0 && p.headDim <= kMaxAttentionHeadDim);
    assert(!(p.keyBlockOffsets && p.queryRanges));
    assert(p.kvHeads > 0 && p.heads % p.kvHeads == 0);
    assert(!p.causal || (!p.keyBlockOffsets && !p.queryRanges && p.queryTokens <= p.keyTokens));
    const AttentionKernels& kernels = kernelsFor(p.kernelSet, p.dtype, p.headDim);
    const Layout layout(p, kernels);
    const Plan plan(p);
    const bool half = p.dtype == StorageDtype::BFloat16;
    const int headDim = static_cast<int>(p.headDim);

    const auto address = reinterpret_cast<std::uintptr_t>(scratch);
    unsigned char* workerArea = static_cast<unsigned char*>(scratch) + (64 - address % 64) % 64;
    unsigned char* packed = workerArea + parallel.workers * layout.workerBytes;
    const auto packedKeys = [&](std::int64_t inGroup) { return packed + inGroup * 2 * layout.headBytes; };
    const auto packedValues = [&](std::int64_t inGroup) { return packedKeys(inGroup) + layout.headBytes; };

    const std::int64_t allHeads = p.batch * p.kvHeads;
    const std::int64_t sharing = p.heads / p.kvHeads; ///< query heads of a key head
    const std::int64_t paddedKeys = roundUp(p.keyTokens, kKeyPadding);
    const std::int64_t packItems = ceilDiv(paddedKeys, kPackTokens);
    for (std::int64_t firstHead = 0; firstHead < allHeads; firstHead += layout.groupHeads) {
        const std::int64_t lastHead = std::min(firstHead + layout.groupHeads, allHeads);

        std::atomic<std::int64_t> nextPack{0};
        parallel.run([&](int) {
            const std::int64_t count = (lastHead - firstHead) * packItems;
            for (std::int64_t i = nextPack++; i < count; i = nextPack++) {
                const std::int64_t inGroup = i / packItems;
                const std::int64_t first = i % packItems * kPackTokens;
                const std::int64_t tokens = std::min(kPackTokens, paddedKeys - first);
                kernels.packKeys(headStart(p, p.k, p.kStrides, firstHead + inGroup, p.kvHeads),
                                 p.kStrides.token, half, p.keyTokens, headDim, first, tokens,
                                 packedKeys(inGroup));
                kernels.packValues(headStart(p, p.v, p.vStrides, firstHead + inGroup, p.kvHeads),
                                   p.vStrides.token, half, p.keyTokens, headDim, first, tokens,
                                   packedValues(inGroup));
            }
        });

        const std::vector<WorkItem> items = plan.items(firstHead * sharing, lastHead * sharing);
        std::atomic<std::size_t> next{0};
        parallel.run([&](int worker) {
            std::vector<KeyPiece> pieces;
            for (std::size_t i = next++; i < items.size(); i = next++) {
                const WorkItem& work = items[i];
                plan.pieces(work, pieces);
                const std::int64_t outOffset = work.head / p.heads * p.outStrides.batch +
                                               work.head % p.heads * p.outStrides.head +
                                               work.firstQuery * p.outStrides.token;
                AttentionItem item{};
                item.q =
                    static_cast<const unsigned char*>(headStart(p, p.q, p.qStrides, work.head, p.heads)) +
                    work.firstQuery * p.qStrides.token * elementBytes(p.dtype);
                item.qStride = p.qStrides.token;
                item.out = static_cast<unsigned char*>(p.out) + outOffset * elementBytes(p.dtype);
                item.outStride = p.outStrides.token;
                item.logSumExp =
                    p.logSumExp ? p.logSumExp + work.head * p.queryTokens + work.firstQuery : nullptr;
                item.queries = static_cast<int>(work.queries);
                item.headDim = headDim;
                item.halfStorage = half;
                item.scale = p.scale;
                item.keys = packedKeys(work.head / sharing - firstHead);
                item.values = packedValues(work.head / sharing - firstHead);
                item.pieces = pieces.data();
                item.pieceCount = static_cast<std::int64_t>(pieces.size());
                item.visibleKeys = p.causal ? plan.seenKeys(work.firstQuery + 1) : -1;
                item.scratch = workerArea + worker * layout.workerBytes;
                kernels.runItem(item);
            }
        });
    }
}

} // namespace canopy::accel::kernels
