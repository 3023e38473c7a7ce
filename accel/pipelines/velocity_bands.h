#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "core/job/attention_calibration.h"

namespace canopy::accel {

/// Error of a velocity in four frequency bands over the reference's energy: with the 3-D transform over
/// frames, rows and columns of every channel, r_q = sum_{w in band q} |F(sparse - dense)(w)|^2 /
/// sum_w |F(dense)(w)|^2. A frequency is low below a quarter cycle a sample; spatially where both axes are.
/// With all four summed this is the relative mean square error (Parseval). sparse-attention.md 5.2. Both
/// [C, F, h, w]; arithmetic in float64 on the CPU.
std::array<double, kErrorBands> bandErrors(const at::Tensor& sparse, const at::Tensor& dense);

} // namespace canopy::accel
