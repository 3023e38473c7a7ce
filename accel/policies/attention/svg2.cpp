#include "accel/policies/attention/svg2.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <functional>

#include "accel/ops/parallel.h"
#include "accel/policies/attention/cluster_map.h"

namespace canopy::accel {

namespace {

/// Centres of one head from step to step. `start` is what the step `step` began with, so that a row that is
/// run again ends at the same centres.
struct HeadCentres {
    at::Tensor startQueries, startKeys;
    at::Tensor queries, keys; ///< undefined before the first step
    int step = -1;
    int iterations = 0; ///< of that step
};

struct ClusterMask : SparseMask {
    explicit ClusterMask(std::int64_t heads)
        : centres(static_cast<std::size_t>(heads))
        , partitions(static_cast<std::size_t>(heads)) {}
    void forgetChoice() override { partitions.assign(partitions.size(), {}); }
    std::vector<HeadCentres> centres;
    std::vector<HeadPartition> partitions;
};

ClusterMask& maskFor(const AttentionCall& call, std::unique_ptr<SparseMask>& mask) {
    if (!mask)
        mask = std::make_unique<ClusterMask>(call.q.size(2));
    return static_cast<ClusterMask&>(*mask);
}

/// Drawn tokens differ by layer, head and side, and are the same in every run.
std::uint64_t seedOf(const AttentionCall& call, std::int64_t head, int side) {
    return (static_cast<std::uint64_t>(call.layer) * 4096 + static_cast<std::uint64_t>(head)) * 2 +
           static_cast<std::uint64_t>(side);
}

struct BothClusters {
    Clusters queries, keys;
};

/// `iterations` of 0: as many as the centres' age asks for.
BothClusters advance(const AttentionCall& call, std::int64_t head, const Svg2Settings& s, int iterations,
                     HeadCentres& centres) {
    const at::Tensor q = call.q[0].select(1, head), k = call.k[0].select(1, head);
    if (centres.step != call.step) {
        const bool isFirst = !centres.queries.defined();
        if (iterations == 0)
            iterations = isFirst                                 ? s.coldIterations
                         : call.step - centres.step > s.staleAge ? 2 * s.warmIterations
                                                                 : s.warmIterations;
        centres.iterations = iterations;
        centres.startQueries =
            isFirst ? drawCentres(q, s.queryClusters, seedOf(call, head, 0)) : centres.queries;
        centres.startKeys = isFirst ? drawCentres(k, s.keyClusters, seedOf(call, head, 1)) : centres.keys;
        centres.step = call.step;
    }
    BothClusters both{lloyd(q, centres.startQueries, centres.iterations),
                      lloyd(k, centres.startKeys, centres.iterations)};
    centres.queries = both.queries.centres;
    centres.keys = both.keys.centres;
    return both;
}

/// Heads side by side on the CPU, one after another on a card.
void forEach(const AttentionCall& call, std::int64_t count, const std::function<void(std::int64_t)>& body) {
    if (call.q.is_cpu()) {
        ops::forEachItem(count, body);
        return;
    }
    for (std::int64_t i = 0; i < count; ++i)
        body(i);
}

std::vector<std::int64_t> hostSizes(const Clusters& clusters) {
    const at::Tensor host = clusters.sizes.cpu().contiguous();
    return {host.const_data_ptr<std::int64_t>(), host.const_data_ptr<std::int64_t>() + host.numel()};
}

/// Kept clusters of one row as runs of sorted keys; neighbours merge.
std::vector<kernels::KeyRun> runsOf(const std::uint8_t* row, const std::vector<std::int64_t>& sizes) {
    std::vector<kernels::KeyRun> runs;
    std::int64_t begin = 0;
    for (std::size_t j = 0; j < sizes.size(); ++j) {
        const std::int64_t end = begin + sizes[j];
        if (row[j] && sizes[j] > 0) {
            if (!runs.empty() && runs.back().end == begin)
                runs.back().end = end;
            else
                runs.push_back({begin, end});
        }
        begin = end;
    }
    return runs;
}

/// The map over sorted tokens.
std::vector<ops::VisibleKeys> rangesOf(const HeadPartition& part) {
    std::vector<ops::VisibleKeys> ranges;
    const auto* row = part.map.const_data_ptr<std::uint8_t>();
    std::int64_t begin = 0;
    for (const std::int64_t size : part.querySizes) {
        if (size > 0)
            ranges.push_back({begin, begin + size, runsOf(row, part.keySizes)});
        begin += size;
        row += part.map.size(1);
    }
    return ranges;
}

} // namespace

HeadPartition partitionOf(const Clusters& queries, const Clusters& keys, double p, double minimumShare) {
    HeadPartition part;
    part.queryOrder = std::get<1>(queries.labels.sort(true, 0, false)).to(at::kInt);
    part.keyOrder = std::get<1>(keys.labels.sort(true, 0, false)).to(at::kInt);
    part.map = clusterMap(clusterProbabilities(queries.centres, keys.centres, keys.sizes), p, minimumShare);
    part.querySizes = hostSizes(queries);
    part.keySizes = hostSizes(keys);
    double pairs = 0;
    for (const auto& range : rangesOf(part))
        for (const auto& run : range.keys)
            pairs += static_cast<double>(range.queryEnd - range.queryBegin) *
                     static_cast<double>(run.end - run.begin);
    part.keptShare =
        pairs / static_cast<double>(queries.labels.size(0)) / static_cast<double>(keys.labels.size(0));
    return part;
}

at::Tensor attendPartition(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const HeadPartition& part) {
    const auto sorted = [](const at::Tensor& x, const at::Tensor& order) {
        return x.index_select(0, order).view({1, x.size(0), 1, x.size(1)});
    };
    ops::AttentionOptions options;
    options.ranges = rangesOf(part);
    const at::Tensor out = ops::attention(sorted(q, part.queryOrder), sorted(k, part.keyOrder),
                                          sorted(v, part.keyOrder), options);
    return at::empty_like(q, q.options(), at::MemoryFormat::Contiguous)
        .index_copy_(0, part.queryOrder.to(at::kLong), out.view({q.size(0), q.size(1)}));
}

Svg2::Svg2(Svg2Settings settings)
    : m_settings(std::move(settings)) {}

void Svg2::warmUp(const AttentionCall& call, int warmupSteps, std::unique_ptr<SparseMask>& mask) const {
    ClusterMask& state = maskFor(call, mask);
    const int share = (m_settings.coldIterations + warmupSteps - 1) / std::max(warmupSteps, 1);
    forEach(call, call.q.size(2), [&](std::int64_t h) {
        advance(call, h, m_settings, share, state.centres[static_cast<std::size_t>(h)]);
    });
}

void Svg2::choose(const AttentionCall& call, const std::vector<std::int64_t>& heads,
                  std::unique_ptr<SparseMask>& mask) const {
    ClusterMask& state = maskFor(call, mask);
    forEach(call, static_cast<std::int64_t>(heads.size()), [&](std::int64_t i) {
        const std::int64_t head = heads[static_cast<std::size_t>(i)];
        const auto h = static_cast<std::size_t>(head);
        const auto both = advance(call, head, m_settings, 0, state.centres[h]);
        state.partitions[h] =
            partitionOf(both.queries, both.keys, m_settings.p.at(call.layer, head), m_settings.minimumShare);
    });
}

at::Tensor Svg2::attend(const AttentionCall& call, const SparseMask& mask) const {
    const auto& partitions = static_cast<const ClusterMask&>(mask).partitions;
    at::Tensor out = at::empty_like(call.q, call.q.options(), at::MemoryFormat::Contiguous);
    for (std::int64_t h = 0; h < call.q.size(2); ++h)
        out[0].select(1, h).copy_(attendPartition(call.q[0].select(1, h), call.k[0].select(1, h),
                                                  call.v[0].select(1, h),
                                                  partitions[static_cast<std::size_t>(h)]));
    return out;
}

std::vector<double> Svg2::keptShare(const SparseMask& mask) const {
    std::vector<double> share;
    for (const HeadPartition& part : static_cast<const ClusterMask&>(mask).partitions)
        share.push_back(part.keptShare);
    return share;
}

} // namespace canopy::accel
