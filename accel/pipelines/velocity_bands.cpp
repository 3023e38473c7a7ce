#include "accel/pipelines/velocity_bands.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/fft_fftfreq.h>
#include <ATen/ops/fft_fftn.h>

#include <limits>

namespace canopy::accel {

std::array<double, kErrorBands> bandErrors(const at::Tensor& sparse, const at::Tensor& dense) {
    const auto onCpu = [](const at::Tensor& x) { return x.to(at::kCPU, at::kDouble); };
    const auto energy = [](const at::Tensor& x) { // [F, h, w], over channels
        return at::abs(at::fft_fftn(x, {}, {{1, 2, 3}})).square().sum(0);
    };
    const auto isLow = [&](std::int64_t samples) {
        return at::fft_fftfreq(samples, 1.0, at::TensorOptions(at::kDouble)).abs() < 0.25;
    };
    const at::Tensor reference = onCpu(dense);
    const at::Tensor error = energy(onCpu(sparse) - reference);
    const double total = energy(reference).sum().item<double>() + std::numeric_limits<double>::min();
    const at::Tensor slow = isLow(error.size(0)).view({-1, 1, 1});
    const at::Tensor coarse = isLow(error.size(1)).view({-1, 1}) & isLow(error.size(2)).view({1, -1});
    const auto share = [&](const at::Tensor& band) { return (error * band).sum().item<double>() / total; };
    return {share(slow & coarse), share(slow & ~coarse), share(~slow & coarse), share(~slow & ~coarse)};
}

} // namespace canopy::accel
