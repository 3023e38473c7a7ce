#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>

#include "core/base/result.h"

namespace canopy::bench {

/// softmax(q k^T / sqrt(D)) v of [B, L, H, D].
using DenseAttention =
    std::function<at::Tensor(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v)>;

/// FlashAttention-3's forward out of a library that registers the operator fa3_fwd::fwd with LibTorch (the
/// `_C.abi3.so` of the wheel fa3-fwd), so that it runs in turns with ours in one process. After loadCuda().
Result<DenseAttention> openFlashAttention3(const std::filesystem::path& library);

} // namespace canopy::bench
