#include "accel/ops/attention.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "accel/ops/attention_card.h"
#include "accel/ops/parallel.h"
#include "accel/ops/product_counter.h"
#include "accel/reference/attention.h"

namespace canopy::accel::ops {
namespace {

using kernels::kAttentionBlock;

std::int64_t blocksOf(std::int64_t tokens) {
    return (tokens + kAttentionBlock - 1) / kAttentionBlock;
}

void checkTensors(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    TORCH_CHECK(q.dim() == 4 && k.dim() == 4 && v.dim() == 4, "attention got tensors of ", q.dim(), ", ",
                k.dim(), " and ", v.dim(), " dimensions; expected q [B, Lq, H, D], k and v [B, Lk, H, D]");
    TORCH_CHECK(k.sizes() == v.sizes() && q.size(0) == k.size(0) && k.size(2) > 0 &&
                    q.size(2) % k.size(2) == 0 && q.size(3) == k.size(3),
                "attention got q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes(),
                "; expected q [B, Lq, H, D], k and v [B, Lk, H, D] or with a divisor of H");
    TORCH_CHECK(q.scalar_type() == k.scalar_type() && q.scalar_type() == v.scalar_type() &&
                    q.is_floating_point(),
                "attention got dtypes ", q.scalar_type(), ", ", k.scalar_type(), ", ", v.scalar_type(),
                "; expected one floating dtype, convert before the call");
    TORCH_CHECK(q.device() == k.device() && q.device() == v.device(), "attention got devices ", q.device(),
                ", ", k.device(), ", ", v.device(), "; expected one");
}

void checkLists(const at::Tensor& q, const at::Tensor& k, const AttentionOptions& options) {
    const at::Tensor& offsets = options.keyBlockOffsets;
    const at::Tensor& ids = options.keyBlockIds;
    TORCH_CHECK(offsets.defined() && ids.defined(),
                "attention got only one of block offsets and block ids; give both");
    TORCH_CHECK(options.ranges.empty(), "attention got block lists and ranges; give one of them");
    TORCH_CHECK(offsets.device().is_cpu() && ids.device().is_cpu() && offsets.is_contiguous() &&
                    ids.is_contiguous() && offsets.scalar_type() == at::kLong &&
                    ids.scalar_type() == at::kInt,
                "attention got block offsets ", offsets.scalar_type(), " and ids ", ids.scalar_type(),
                "; expected contiguous int64 offsets and int32 ids on the CPU");
    const std::int64_t entries = q.size(0) * q.size(2) * blocksOf(q.size(1));
    TORCH_CHECK(offsets.dim() == 1 && offsets.size(0) == entries + 1, "attention got block offsets ",
                offsets.sizes(), "; expected ", entries + 1, " for ", q.size(0), " x ", q.size(2),
                " heads and ", blocksOf(q.size(1)), " query blocks");
    const auto* offset = offsets.const_data_ptr<std::int64_t>();
    const auto* id = ids.const_data_ptr<std::int32_t>();
    TORCH_CHECK(offset[0] == 0 && offset[entries] == ids.numel(), "attention's block offsets run from ",
                offset[0], " to ", offset[entries], "; expected 0 to ", ids.numel(), ", the number of ids");
    const std::int64_t keyBlocks = blocksOf(k.size(1));
    for (std::int64_t e = 0; e < entries; ++e) {
        TORCH_CHECK(offset[e] <= offset[e + 1] && offset[e + 1] <= ids.numel(),
                    "attention's block offsets fall from ", offset[e], " to ", offset[e + 1], " at entry ", e,
                    "; expected ascending offsets");
        for (std::int64_t i = offset[e]; i < offset[e + 1]; ++i)
            TORCH_CHECK(id[i] >= 0 && id[i] < keyBlocks && (i == offset[e] || id[i - 1] < id[i]),
                        "attention's entry ", e, " lists key block ", id[i],
                        "; expected ascending numbers below ", keyBlocks);
    }
}

void checkCardLists(const at::Tensor& q, const at::Tensor& k, const AttentionOptions& options,
                    bool hasKernel) {
    const CardKeyLists& lists = *options.cardLists;
    TORCH_CHECK(hasKernel, "attention got block lists on the card for q ", q.scalar_type(), " ", q.sizes(),
                " on ", q.device(),
                "; expected bfloat16 with 64 or 128 channels on a card. Give the lists on the CPU.");
    TORCH_CHECK(!options.keyBlockOffsets.defined() && !options.keyBlockIds.defined() &&
                    options.ranges.empty() && !options.causal,
                "attention got block lists on the card and others, ranges or causal; give one of them");
    TORCH_CHECK(lists.blockRows == 64 || lists.blockRows == 128, "attention got blocks of ", lists.blockRows,
                " keys; expected 64 or 128");
    const std::int64_t entries = q.size(0) * q.size(2) * blocksOf(q.size(1));
    for (const at::Tensor* list : {&lists.starts, &lists.counts}) {
        TORCH_CHECK(list->defined() && list->device() == q.device() && list->scalar_type() == at::kInt &&
                        list->is_contiguous() && list->numel() == entries,
                    "attention got starts or counts of block lists that are not ", entries,
                    " contiguous int32 on ", q.device());
    }
    TORCH_CHECK(lists.ids.defined() && lists.ids.device() == q.device() &&
                    lists.ids.scalar_type() == at::kUInt16 && lists.ids.is_contiguous(),
                "attention got ids of block lists that are not contiguous uint16 on ", q.device());
}

void checkRanges(const at::Tensor& q, const at::Tensor& k, const std::vector<VisibleKeys>& ranges) {
    std::int64_t next = 0;
    for (const VisibleKeys& range : ranges) {
        TORCH_CHECK(range.queryBegin == next && range.queryEnd >= next, "attention's query range [",
                    range.queryBegin, ", ", range.queryEnd, ") follows token ", next,
                    "; expected ranges without gaps or overlaps");
        next = range.queryEnd;
        std::int64_t key = 0;
        for (const kernels::KeyRun& run : range.keys) {
            TORCH_CHECK(run.begin >= key && run.end >= run.begin && run.end <= k.size(1),
                        "attention's key run [", run.begin, ", ", run.end, ") is out of order or beyond ",
                        k.size(1), " keys; expected ascending, disjoint runs");
            key = run.end;
        }
    }
    TORCH_CHECK(next == q.size(1), "attention's query ranges end at ", next, "; expected ", q.size(1),
                ", all queries");
}

kernels::AttentionStrides stridesOf(const at::Tensor& x) {
    return {x.stride(0), x.stride(1), x.stride(2)};
}

at::Tensor withContiguousRows(const at::Tensor& x) {
    return x.stride(3) == 1 ? x : x.contiguous();
}

bool hasKernel(const at::Tensor& q) {
    const std::int64_t depth = q.size(3);
    return q.device().is_cpu() && (q.scalar_type() == at::kFloat || q.scalar_type() == at::kBFloat16) &&
           depth > 0 && depth % 8 == 0 && depth <= kernels::kMaxAttentionHeadDim;
}

AttentionOutput byKernel(const at::Tensor& qAny, const at::Tensor& kAny, const at::Tensor& vAny, double scale,
                         const AttentionOptions& options, bool wantsSum) {
    const at::Tensor q = withContiguousRows(qAny);
    const at::Tensor k = withContiguousRows(kAny);
    const at::Tensor v = withContiguousRows(vAny);
    AttentionOutput result;
    result.out = at::empty(q.sizes(), q.options().memory_format(at::MemoryFormat::Contiguous));
    if (wantsSum)
        result.logSumExp = at::empty({q.size(0), q.size(2), q.size(1)}, q.options().dtype(at::kFloat));

    kernels::BlockAttentionParams params;
    params.q = q.const_data_ptr();
    params.k = k.const_data_ptr();
    params.v = v.const_data_ptr();
    params.out = result.out.mutable_data_ptr();
    params.logSumExp = wantsSum ? result.logSumExp.mutable_data_ptr<float>() : nullptr;
    params.qStrides = stridesOf(q);
    params.kStrides = stridesOf(k);
    params.vStrides = stridesOf(v);
    params.outStrides = stridesOf(result.out);
    params.dtype =
        q.scalar_type() == at::kFloat ? kernels::StorageDtype::Float32 : kernels::StorageDtype::BFloat16;
    params.batch = q.size(0);
    params.heads = q.size(2);
    params.queryTokens = q.size(1);
    params.keyTokens = k.size(1);
    params.headDim = q.size(3);
    params.kvHeads = k.size(2);
    params.causal = options.causal;
    params.scale = static_cast<float>(scale);
    params.kernelSet = options.kernelSet.value_or(kernels::bestKernelSet());
    TORCH_CHECK(kernels::isSupported(params.kernelSet), "attention was asked for the kernel set '",
                kernels::kernelSetName(params.kernelSet),
                "', which this processor lacks; the best one here is '",
                kernels::kernelSetName(kernels::bestKernelSet()), "'");
    if (options.keyBlockOffsets.defined()) {
        params.keyBlockOffsets = options.keyBlockOffsets.const_data_ptr<std::int64_t>();
        params.keyBlockIds = options.keyBlockIds.const_data_ptr<std::int32_t>();
    }
    std::vector<kernels::QueryRange> ranges;
    std::vector<kernels::KeyRun> runs;
    for (const VisibleKeys& range : options.ranges) {
        ranges.push_back({range.queryBegin, range.queryEnd, static_cast<std::int64_t>(runs.size()),
                          static_cast<std::int64_t>(range.keys.size())});
        runs.insert(runs.end(), range.keys.begin(), range.keys.end());
    }
    if (!ranges.empty()) {
        params.queryRanges = ranges.data();
        params.queryRangeCount = static_cast<std::int64_t>(ranges.size());
        params.keyRuns = runs.data();
    }

    const kernels::ParallelWorkers parallel = intraOpWorkers();
    const auto bytes =
        static_cast<std::int64_t>(kernels::blockAttentionScratchBytes(params, parallel.workers));
    const at::Tensor scratch = at::empty({bytes}, q.options().dtype(at::kByte));
    kernels::blockAttention(params, parallel, scratch.mutable_data_ptr());
    return result;
}

/// Block lists or ranges as a mask for a chunk of queries.
reference::AttentionMask maskOf(const at::Tensor& q, const at::Tensor& k, const AttentionOptions& options) {
    const std::int64_t keyTokens = k.size(1);
    if (options.keyBlockOffsets.defined()) {
        // Bits per (batch, head, query block, key block), on q's device once.
        const std::int64_t queryBlocks = blocksOf(q.size(1));
        const std::int64_t keyBlocks = blocksOf(keyTokens);
        at::Tensor bits = at::zeros({q.size(0), q.size(2), queryBlocks, keyBlocks}, at::kBool);
        auto* bit = bits.mutable_data_ptr<bool>();
        const auto* offset = options.keyBlockOffsets.const_data_ptr<std::int64_t>();
        const auto* id = options.keyBlockIds.const_data_ptr<std::int32_t>();
        for (std::int64_t e = 0; e + 1 < options.keyBlockOffsets.size(0); ++e)
            for (std::int64_t i = offset[e]; i < offset[e + 1]; ++i)
                bit[e * keyBlocks + id[i]] = true;
        bits = bits.to(q.device());
        return [bits, keyTokens](std::int64_t begin, std::int64_t end) {
            const std::int64_t first = begin / kAttentionBlock;
            const at::Tensor blocks = bits.slice(2, first, blocksOf(end)); // [B, H, chunk blocks, key blocks]
            return blocks.repeat_interleave(kAttentionBlock, 2)
                .slice(2, begin - first * kAttentionBlock, end - first * kAttentionBlock)
                .repeat_interleave(kAttentionBlock, 3)
                .slice(3, 0, keyTokens);
        };
    }
    if (!options.ranges.empty()) {
        const at::Device device = q.device();
        return [ranges = options.ranges, keyTokens, device](std::int64_t begin, std::int64_t end) {
            at::Tensor visible =
                at::zeros({1, 1, end - begin, keyTokens}, at::TensorOptions(at::kBool).device(device));
            for (const VisibleKeys& range : ranges) {
                const std::int64_t first = std::max(range.queryBegin, begin) - begin;
                const std::int64_t last = std::min(range.queryEnd, end) - begin;
                if (first >= last)
                    continue;
                for (const kernels::KeyRun& run : range.keys)
                    visible.slice(2, first, last).slice(3, run.begin, run.end).fill_(true);
            }
            return visible;
        };
    }
    if (options.causal) {
        const at::Device device = q.device();
        const std::int64_t earlier = keyTokens - q.size(1);
        return [keyTokens, earlier, device](std::int64_t begin, std::int64_t end) {
            return at::ones({end - begin, keyTokens}, at::TensorOptions(at::kBool).device(device))
                .tril(earlier + begin);
        };
    }
    return {};
}

/// k or v with a head for each query head.
at::Tensor forEachHead(const at::Tensor& x, const at::Tensor& q) {
    return x.size(2) == q.size(2) ? x : x.repeat_interleave(q.size(2) / x.size(2), 2);
}

AttentionOutput byReference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                            const AttentionOptions& options) {
    reference::AttentionResult result =
        reference::attention(q, forEachHead(k, q), forEachHead(v, q), scale, maskOf(q, k, options));
    return {result.out.to(q.scalar_type()), result.logSumExp};
}

at::Tensor byLibTorch(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                      const std::vector<VisibleKeys>& ranges, bool causal) {
    const bool shared = q.size(2) != k.size(2);
    const auto dense = [=](const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values) {
        return at::scaled_dot_product_attention(query.transpose(1, 2), keys.transpose(1, 2),
                                                values.transpose(1, 2), {}, 0.0, causal, scale, shared)
            .transpose(1, 2); // [B, L, H, D]
    };
    if (ranges.empty())
        return dense(q, k, v).contiguous();
    at::Tensor out = at::empty(q.sizes(), q.options().memory_format(at::MemoryFormat::Contiguous));
    for (const VisibleKeys& range : ranges) {
        at::Tensor part = out.slice(1, range.queryBegin, range.queryEnd);
        std::vector<at::Tensor> keys;
        std::vector<at::Tensor> values;
        for (const kernels::KeyRun& run : range.keys) {
            if (run.begin == run.end)
                continue;
            keys.push_back(k.slice(1, run.begin, run.end));
            values.push_back(v.slice(1, run.begin, run.end));
        }
        if (keys.empty())
            part.zero_();
        else
            part.copy_(dense(q.slice(1, range.queryBegin, range.queryEnd),
                             keys.size() == 1 ? keys.front() : at::cat(keys, 1),
                             values.size() == 1 ? values.front() : at::cat(values, 1)));
    }
    return out;
}

/// Pairs of a query and a key that it sees, over all batch rows and heads; none where lists lie on the card.
std::optional<double> seenPairs(const at::Tensor& q, const at::Tensor& k, const AttentionOptions& options) {
    if (options.cardLists)
        return std::nullopt;
    const std::int64_t queries = q.size(1);
    const std::int64_t keys = k.size(1);
    const auto rows = static_cast<double>(q.size(0) * q.size(2));
    if (options.keyBlockOffsets.defined()) {
        const auto* offset = options.keyBlockOffsets.const_data_ptr<std::int64_t>();
        const auto* id = options.keyBlockIds.const_data_ptr<std::int32_t>();
        const std::int64_t blocks = blocksOf(queries);
        double pairs = 0;
        for (std::int64_t e = 0; e + 1 < options.keyBlockOffsets.size(0); ++e) {
            std::int64_t seen = 0;
            for (std::int64_t i = offset[e]; i < offset[e + 1]; ++i)
                seen += std::min(kAttentionBlock, keys - id[i] * kAttentionBlock);
            pairs +=
                static_cast<double>(seen * std::min(kAttentionBlock, queries - e % blocks * kAttentionBlock));
        }
        return pairs;
    }
    if (!options.ranges.empty()) {
        double pairs = 0;
        for (const VisibleKeys& range : options.ranges)
            for (const kernels::KeyRun& run : range.keys)
                pairs += static_cast<double>((range.queryEnd - range.queryBegin) * (run.end - run.begin));
        return rows * pairs;
    }
    const auto all = static_cast<double>(queries) * static_cast<double>(keys);
    return rows * (options.causal
                       ? all - 0.5 * static_cast<double>(queries) * static_cast<double>(queries - 1)
                       : all);
}

AttentionOutput run(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const AttentionOptions& options, bool wantsSum) {
    checkTensors(q, k, v);
    const bool hasLists = options.keyBlockOffsets.defined() || options.keyBlockIds.defined();
    if (hasLists)
        checkLists(q, k, options);
    if (!options.ranges.empty())
        checkRanges(q, k, options.ranges);
    TORCH_CHECK(!options.causal || (!hasLists && options.ranges.empty() && q.size(1) <= k.size(1)),
                "causal attention got ", q.size(1), " queries, ", k.size(1), " keys",
                hasLists || !options.ranges.empty() ? " and lists or ranges" : "",
                "; expected no more queries than keys and neither lists nor ranges");
    const double scale = options.scale.value_or(1.0 / std::sqrt(static_cast<double>(q.size(3))));
    const bool onCard = hasCardKernel(q, k, scale);
    if (options.cardLists)
        checkCardLists(q, k, options, onCard);
    if (const auto pairs = seenPairs(q, k, options))
        countFlop(4 * *pairs * static_cast<double>(q.size(3)));
    else
        countUnknown();
    if (hasKernel(q))
        return byKernel(q, k, v, scale, options, wantsSum);
    // LibTorch aligns a causal triangle at the first key, ours ends at the last one.
    const bool square = q.size(1) == k.size(1);
    const bool fits = !options.causal || square || q.size(1) == 1;
    const bool libTorchFits =
        q.device().is_cuda() && !hasLists && !options.cardLists && !wantsSum && k.size(1) > 0 && fits;
    if (onCard && (!libTorchFits || isCardKernelFastest(q, k, options)))
        return attendOnCard(q, k, v, scale, options, wantsSum);
    if (libTorchFits)
        return {byLibTorch(q, k, v, scale, options.ranges, options.causal && square), {}};
    return byReference(q, k, v, scale, options);
}

} // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const AttentionOptions& options) {
    return run(q, k, v, options, false).out;
}

AttentionOutput attentionWithLogSumExp(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                       const AttentionOptions& options) {
    return run(q, k, v, options, true);
}

} // namespace canopy::accel::ops
