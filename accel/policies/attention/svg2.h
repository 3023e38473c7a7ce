#pragma once

#include <vector>

#include "accel/ops/attention.h"
#include "accel/policies/attention/head_thresholds.h"
#include "accel/policies/attention/k_means.h"
#include "accel/policies/attention/sparse_host.h"

namespace canopy::accel {

/// Settings of SVG2 (arXiv 2505.18875). sparse-attention.md 3.
struct Svg2Settings {
    int queryClusters = 0; ///< 1 or more; more than there are tokens leaves some empty
    int keyClusters = 0;
    HeadThresholds p = {0.9}; ///< kept mass
    double minimumShare = 0.1;
    int coldIterations = 50; ///< of k-means from drawn tokens, spread over the dense warm-up steps
    int warmIterations = 2;  ///< from the centres of the last choice
    int staleAge = 10;       ///< older centres get twice as many
};

/// One head's partition: tokens by cluster, and which key clusters each query cluster sees.
struct HeadPartition {
    at::Tensor queryOrder; ///< int32 [N]: tokens stably sorted by label
    at::Tensor keyOrder;
    at::Tensor map;                                 ///< uint8 [C_q, C_k] on the CPU
    std::vector<std::int64_t> querySizes, keySizes; ///< tokens of each cluster
    double keptShare = 1;                           ///< kept pairs over all pairs
};

/// Sorts, scores and selects for given clusters.
HeadPartition partitionOf(const Clusters& queries, const Clusters& keys, double p, double minimumShare);
/// One head's attention over its partition: q, k, v [N, D] in token order, and so is the result.
at::Tensor attendPartition(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const HeadPartition& partition);

/// SVG2: tokens of every head clustered by k-means, queries and keys apart; attention over clusters of keys.
/// The centres of a head's last choice start its next one. With TMR the whole partition is reused.
class Svg2 : public SparseHost {
public:
    explicit Svg2(Svg2Settings settings);

    bool usesWarmUp() const override { return true; }
    void warmUp(const AttentionCall& call, int warmupSteps, std::unique_ptr<SparseMask>& mask) const override;
    void choose(const AttentionCall& call, const std::vector<std::int64_t>& heads,
                std::unique_ptr<SparseMask>& mask) const override;
    at::Tensor attend(const AttentionCall& call, const SparseMask& mask) const override;
    std::vector<double> keptShare(const SparseMask& mask) const override;

private:
    Svg2Settings m_settings;
};

} // namespace canopy::accel
