// Fused per-token passes of a card against the plain reference. Without a card the case says so and claims
// nothing.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sin.h>
#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "accel/ops/modulate.h"
#include "accel/ops/norm_rope.h"
#include "accel/reference/modulate.h"
#include "tests/support/cuda_card.h"
#include "tests/support/row_compare.h"

using namespace canopy::accel;

TEST_CASE("the card's passes equal the reference, on poisoned memory") {
    if (!card())
        return;
    const PoisonedMemory poisoned;
    const at::Device device = card()->torchDevice();
    at::manual_seed(7);
    for (const std::int64_t tokens : {1, 30, 63, 1000}) {
        for (const std::int64_t width : {8, 128, 1536, 5120}) {
            CAPTURE(tokens);
            CAPTURE(width);
            const at::Tensor x = (at::randn({tokens, width}) * 3 + 2).to(at::kBFloat16).to(device);
            const at::Tensor y = at::randn({tokens, width}).to(at::kBFloat16).to(device);
            for (const std::int64_t rows : {1, 3}) {
                if (tokens % rows != 0)
                    continue;
                const at::Tensor table = at::randn({rows, 6, width}).to(device);
                const at::Tensor scale = table.select(1, 1), shift = table.select(1, 0);
                checkClose(ops::layerNormModulate(x, scale, shift, 1e-6),
                           reference::layerNormModulate(x, scale, shift, 1e-6));
                checkClose(ops::gateAdd(x, y, scale), reference::gateAdd(x, y, scale));
            }
            const at::Tensor weight = at::randn({width}).to(device), bias = at::randn({width}).to(device);
            checkClose(ops::layerNormAffine(x, weight, bias, 1e-6),
                       reference::layerNormAffine(x, weight, bias, 1e-6));
        }
        for (const auto& [heads, depth] :
             std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 8}, {3, 64}, {12, 128}, {40, 128}}) {
            CAPTURE(tokens);
            CAPTURE(heads);
            // A third of fused rows, as the block passes them.
            const at::Tensor fused = at::randn({1, tokens, 3, heads, depth}).to(at::kBFloat16).to(device);
            const at::Tensor gain = (at::randn({heads * depth}) * 0.2 + 1).to(device);
            const at::Tensor angle = at::randn({tokens, depth / 2}).to(device);
            const at::Tensor cos = at::cos(angle), sin = at::sin(angle);
            for (const std::int64_t part : {0, 2}) {
                const at::Tensor x = fused.select(2, part);
                checkClose(ops::fullWidthRmsNorm(x, gain, 1e-6), reference::fullWidthRmsNorm(x, gain, 1e-6));
                const auto got = ops::normRopeWithMean(x, gain, cos, sin, 1e-6);
                checkClose(got.out, reference::normRope(x, gain, cos, sin, 1e-6), 2);
                CHECK(got.out.equal(ops::normRope(x, gain, cos, sin, 1e-6)));
                CHECK(got.mean.equal(ops::normRopeWithMean(x, gain, cos, sin, 1e-6).mean));
                const at::Tensor mean = got.out[0].to(at::kDouble).mean(0);
                CHECK((got.mean.to(at::kDouble) - mean).abs().max().item<double>() < 1e-5);
            }
        }
    }
}
