#include "accel/ops/attention_card.h"

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cstring>

#include "accel/cuda/block_attention.h"
#include "accel/ops/card_tensor.h"
#include "accel/runtime/kernel_table.h"

namespace canopy::accel::ops {

namespace {

using cuda::KeyListKind;
using cuda::TokenSpan;

/// Block numbers are uint16.
constexpr std::int64_t kMostKeys = 64 * 65'536;

static_assert(kernels::kAttentionBlock == cuda::kQueryTile);

/// Arrays of a call, one behind the other in one buffer that is copied to the card at once.
class Upload {
public:
    /// Returns where the array starts, a multiple of 16 bytes.
    template <typename T>
    std::size_t add(const std::vector<T>& values) {
        constexpr std::size_t kAlignment = 16;
        const std::size_t start = m_bytes.size();
        const std::size_t size = values.size() * sizeof(T);
        m_bytes.resize(start + (size + kAlignment - 1) / kAlignment * kAlignment + kAlignment);
        if (size > 0)
            std::memcpy(m_bytes.data() + start, values.data(), size);
        return start;
    }

    void copyTo(const at::Device& device) {
        const auto size = static_cast<std::int64_t>(m_bytes.size());
        const at::Tensor host = at::empty({size}, at::TensorOptions(at::kByte).pinned_memory(true));
        std::memcpy(host.mutable_data_ptr(), m_bytes.data(), m_bytes.size());
        m_card = host.to(device, /*non_blocking=*/true);
    }

    template <typename T>
    const T* at(std::size_t start) const {
        return reinterpret_cast<const T*>(static_cast<const std::uint8_t*>(m_card.const_data_ptr()) + start);
    }

private:
    std::vector<std::uint8_t> m_bytes;
    at::Tensor m_card;
};

/// Every (batch, head, tile) has an entry of its own.
void ownEntries(cuda::BlockAttentionParams& params) {
    params.keys.headStride = params.tileCount;
    params.keys.batchStride = std::int64_t{params.heads} * params.tileCount;
}

void useHostLists(cuda::BlockAttentionParams& params, Upload& upload, const at::Device& device,
                  const AttentionOptions& options) {
    const auto entries = static_cast<std::size_t>(options.keyBlockOffsets.size(0) - 1);
    const auto* offset = options.keyBlockOffsets.const_data_ptr<std::int64_t>();
    const auto* id = options.keyBlockIds.const_data_ptr<std::int32_t>();
    std::vector<std::uint32_t> starts(entries);
    std::vector<std::int32_t> counts(entries);
    for (std::size_t e = 0; e < entries; ++e) {
        starts[e] = static_cast<std::uint32_t>(offset[e]);
        counts[e] = static_cast<std::int32_t>(offset[e + 1] - offset[e]);
    }
    const std::vector<std::uint16_t> ids(id, id + options.keyBlockIds.numel());
    const auto startsAt = upload.add(starts), countsAt = upload.add(counts), idsAt = upload.add(ids);
    upload.copyTo(device);
    params.keys.kind = KeyListKind::Blocks128;
    params.keys.starts = upload.at<std::uint32_t>(startsAt);
    params.keys.counts = upload.at<std::int32_t>(countsAt);
    params.keys.ids = upload.at<std::uint16_t>(idsAt);
    ownEntries(params);
}

void useCardLists(cuda::BlockAttentionParams& params, const CardKeyLists& lists) {
    params.keys.kind = lists.blockRows == 64 ? KeyListKind::Blocks64 : KeyListKind::Blocks128;
    params.keys.starts = static_cast<const std::uint32_t*>(lists.starts.const_data_ptr());
    params.keys.counts = lists.counts.const_data_ptr<std::int32_t>();
    params.keys.ids = static_cast<const std::uint16_t*>(lists.ids.const_data_ptr());
    ownEntries(params);
}

/// Tiles never cross a border between ranges; all batch rows and heads share their runs.
void useRanges(cuda::BlockAttentionParams& params, Upload& upload, const at::Device& device,
               const std::vector<VisibleKeys>& ranges) {
    std::vector<TokenSpan> tiles, runs;
    std::vector<std::uint32_t> starts;
    std::vector<std::int32_t> counts;
    for (const VisibleKeys& range : ranges) {
        const auto first = static_cast<std::uint32_t>(runs.size());
        for (const kernels::KeyRun& run : range.keys)
            if (run.begin < run.end)
                runs.push_back({static_cast<std::int32_t>(run.begin), static_cast<std::int32_t>(run.end)});
        const auto count = static_cast<std::int32_t>(runs.size() - first);
        for (std::int64_t begin = range.queryBegin; begin < range.queryEnd; begin += cuda::kQueryTile) {
            const std::int64_t end = std::min<std::int64_t>(begin + cuda::kQueryTile, range.queryEnd);
            tiles.push_back({static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end)});
            starts.push_back(first);
            counts.push_back(count);
        }
    }
    const auto tilesAt = upload.add(tiles), startsAt = upload.add(starts), countsAt = upload.add(counts),
               runsAt = upload.add(runs);
    upload.copyTo(device);
    params.tiles = upload.at<TokenSpan>(tilesAt);
    params.tileCount = static_cast<std::int32_t>(tiles.size());
    params.keys.kind = KeyListKind::Runs;
    params.keys.starts = upload.at<std::uint32_t>(startsAt);
    params.keys.counts = upload.at<std::int32_t>(countsAt);
    params.keys.spans = upload.at<TokenSpan>(runsAt);
}

} // namespace

bool hasCardKernel(const at::Tensor& q, const at::Tensor& k, double scale) {
    if (!q.is_cuda() || q.scalar_type() != at::kBFloat16 || (q.size(3) != 64 && q.size(3) != 128) ||
        q.numel() == 0 || k.numel() == 0 || k.size(1) > kMostKeys || scale <= 0)
        return false;
    return cardKernels() != nullptr;
}

bool isCardKernelFastest(const at::Tensor& q, const at::Tensor& k, const AttentionOptions& options) {
    constexpr std::int64_t kLong = 16'384;
    const bool isDense = options.ranges.empty() && !options.causal;
    return cardKernels()->isFastestDense &&
           (q.size(3) != 64 || !isDense || std::min(q.size(1), k.size(1)) < kLong);
}

AttentionOutput attendOnCard(const at::Tensor& qAny, const at::Tensor& kAny, const at::Tensor& vAny,
                             double scale, const AttentionOptions& options, bool wantsSum, CardForm form) {
    const c10::DeviceGuard guard(qAny.device());
    const at::Tensor q = alignedForCard(qAny), k = alignedForCard(kAny), v = alignedForCard(vAny);
    AttentionOutput result;
    result.out = at::empty(q.sizes(), q.options().memory_format(at::MemoryFormat::Contiguous));
    if (wantsSum)
        result.logSumExp = at::empty({q.size(0), q.size(2), q.size(1)}, q.options().dtype(at::kFloat));

    cuda::BlockAttentionParams params;
    params.q = q.const_data_ptr();
    params.k = k.const_data_ptr();
    params.v = v.const_data_ptr();
    params.out = result.out.mutable_data_ptr();
    params.logSumExp = wantsSum ? result.logSumExp.mutable_data_ptr<float>() : nullptr;
    params.qStrides = cardStrides(q);
    params.kStrides = cardStrides(k);
    params.vStrides = cardStrides(v);
    params.outStrides = cardStrides(result.out);
    params.batch = narrowedForCard(q.size(0), "batch rows");
    params.heads = narrowedForCard(q.size(2), "heads");
    params.keyHeads = narrowedForCard(k.size(2), "key heads");
    params.queryTokens = narrowedForCard(q.size(1), "queries");
    params.keyTokens = narrowedForCard(k.size(1), "keys");
    params.headDim = narrowedForCard(q.size(3), "channels");
    params.scale = static_cast<float>(scale);
    params.tileCount = (params.queryTokens + cuda::kQueryTile - 1) / cuda::kQueryTile;

    Upload upload;
    if (options.cardLists)
        useCardLists(params, *options.cardLists);
    else if (options.keyBlockOffsets.defined())
        useHostLists(params, upload, q.device(), options);
    else if (!options.ranges.empty())
        useRanges(params, upload, q.device(), options.ranges);
    else if (options.causal)
        params.keys.kind = KeyListKind::Causal;

    const auto items = std::int64_t{params.batch} * params.heads * params.tileCount;
    narrowedForCard(items, "tiles of queries");
    const auto bytes = cuda::blockAttentionWorkspaceBytes(params.batch, params.heads, params.tileCount);
    const at::Tensor workspace = at::empty({static_cast<std::int64_t>(bytes)}, q.options().dtype(at::kByte));
    params.workspace = workspace.mutable_data_ptr();
    const auto kernel =
        form == CardForm::Mma ? cardKernels()->blockAttentionMma : cardKernels()->blockAttention;
    checkQueued(kernel(params, cardStream(q)), "attention's kernel", q);
    return result;
}

} // namespace canopy::accel::ops
