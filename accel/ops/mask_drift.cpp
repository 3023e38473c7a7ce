#include "accel/ops/mask_drift.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/where.h>

#include "accel/cuda/mask_drift.h"
#include "accel/ops/card_tensor.h"
#include "accel/runtime/kernel_table.h"

namespace canopy::accel::ops {

namespace {

void check(const PooledMeans& anchor, const PooledMeans& now) {
    for (const at::Tensor* mean : {&anchor.q, &anchor.k, &now.q, &now.k})
        TORCH_CHECK(mean->defined() && mean->dim() == 2 && mean->sizes() == now.q.sizes() &&
                        mean->scalar_type() == at::kFloat && mean->is_contiguous() &&
                        mean->device() == now.q.device(),
                    "the drift of a mask got means that are not contiguous float32 ", now.q.sizes(), " on ",
                    now.q.device());
}

bool hasKernel(const PooledMeans& now) {
    return now.q.is_cuda() && now.q.size(0) <= cuda::kMostDriftHeads && cardKernels();
}

cuda::MaskDriftParams paramsOf(const PooledMeans& anchor, const PooledMeans& now, const at::Tensor& drift) {
    cuda::MaskDriftParams params;
    params.q = now.q.const_data_ptr<float>();
    params.k = now.k.const_data_ptr<float>();
    params.anchorQ = anchor.q.mutable_data_ptr<float>();
    params.anchorK = anchor.k.mutable_data_ptr<float>();
    params.heads = narrowedForCard(now.q.size(0), "heads");
    params.headDim = narrowedForCard(now.q.size(1), "channels");
    params.drift = drift.mutable_data_ptr<float>();
    return params;
}

void launch(const cuda::MaskDriftParams& params, const at::Tensor& q) {
    checkQueued(cardKernels()->maskDrift(params, cardStream(q)), "the drift of a mask", q);
}

} // namespace

at::Tensor meanDrift(const PooledMeans& anchor, const PooledMeans& now) {
    check(anchor, now);
    if (!hasKernel(now))
        return (anchor.q - now.q).abs().sum(1) + (anchor.k - now.k).abs().sum(1);
    at::Tensor drift = at::empty({now.q.size(0)}, now.q.options());
    launch(paramsOf(anchor, now, drift), now.q);
    return drift;
}

at::Tensor refreshWhere(const RefreshRule& rule, int step, const PooledMeans& now, DriftAnchor& anchor) {
    check(anchor.means, now);
    const std::int64_t heads = now.q.size(0);
    TORCH_CHECK(anchor.chosenAt.defined() && anchor.chosenAt.scalar_type() == at::kInt &&
                    anchor.chosenAt.is_contiguous() && anchor.chosenAt.numel() == heads &&
                    anchor.chosenAt.device() == now.q.device(),
                "the drift of a mask got no steps of ", heads, " contiguous int32 on ", now.q.device());
    if (hasKernel(now)) {
        at::Tensor drift = at::empty({heads}, now.q.options());
        at::Tensor anew = at::empty({heads}, now.q.options().dtype(at::kBool));
        cuda::MaskDriftParams params = paramsOf(anchor.means, now, drift);
        params.anew = reinterpret_cast<std::uint8_t*>(anew.mutable_data_ptr<bool>());
        params.chosenAt = anchor.chosenAt.mutable_data_ptr<std::int32_t>();
        params.step = step;
        params.delta = rule.delta;
        params.gateLow = rule.gateLow;
        params.gateHigh = rule.gateHigh;
        params.hardCap = rule.hardCap;
        params.maxAge = rule.maxAge;
        launch(params, now.q);
        return anew;
    }
    const at::Tensor drift = meanDrift(anchor.means, now).to(at::kDouble);
    const at::Tensor wants = drift > rule.delta;
    const at::Tensor share = wants.sum().to(at::kDouble) / static_cast<double>(heads);
    at::Tensor anew = (share > rule.gateHigh) | (wants & (share >= rule.gateLow));
    if (rule.hardCap)
        anew = anew | (drift > 2 * rule.delta);
    if (rule.maxAge > 0)
        anew = anew | (step - anchor.chosenAt >= rule.maxAge);
    anchor.chosenAt = anchor.chosenAt.masked_fill(anew, step);
    anchor.means.q = at::where(anew.unsqueeze(1), now.q, anchor.means.q);
    anchor.means.k = at::where(anew.unsqueeze(1), now.k, anchor.means.k);
    return anew;
}

} // namespace canopy::accel::ops
