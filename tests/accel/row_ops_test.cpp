// Fused per-token passes against the plain reference, on every kernel set that this machine has.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sin.h>
#include <c10/util/Exception.h>
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "accel/ops/modulate.h"
#include "accel/ops/norm_rope.h"
#include "accel/reference/modulate.h"
#include "tests/support/row_compare.h"

using namespace canopy::accel;
using kernels::KernelSet;

namespace {

/// Outputs come poisoned with NaN, see attention_test.cpp.
template <class Test>
void onEverySet(const Test& test) {
    at::globalContext().setDeterministicAlgorithms(true, false);
    for (const KernelSet set :
         {KernelSet::Portable, KernelSet::Avx2, KernelSet::Avx512, KernelSet::Avx512Bf16, KernelSet::Amx}) {
        if (!kernels::isSupported(set))
            continue;
        for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
            INFO(kernels::kernelSetName(set), dtype == at::kFloat ? " fp32" : " bf16");
            at::manual_seed(5);
            test(set, dtype);
        }
    }
    at::globalContext().setDeterministicAlgorithms(false, false);
}

const std::vector<std::int64_t> kWidths{8, 40, 384, 1000, 1536, 5120, 8192, 8200};

} // namespace

TEST_CASE("layerNormModulate equals the reference, with one row of modulation or one per frame") {
    onEverySet([](KernelSet set, at::ScalarType dtype) {
        for (const std::int64_t width : kWidths)
            for (const std::int64_t rows : {1, 3}) {
                CAPTURE(width);
                const at::Tensor x = (at::randn({21, width}) * 3 + 2).to(dtype);
                const at::Tensor table =
                    at::randn({rows, 6, width}); // rows six apart, as the block passes them
                const at::Tensor scale = table.select(1, 1);
                const at::Tensor shift = table.select(1, 0);
                checkClose(ops::layerNormModulate(x, scale, shift, 1e-6, set),
                           reference::layerNormModulate(x, scale, shift, 1e-6));
            }
    });
}

TEST_CASE("a row whose mean dwarfs its spread keeps its digits") {
    onEverySet([](KernelSet set, at::ScalarType) {
        const at::Tensor x = at::randn({4, 384}) + 1000;
        const at::Tensor none = at::randn({1, 384}) * 0;
        const at::Tensor expected = reference::layerNormModulate(x.to(at::kDouble), none, none, 1e-6);
        const at::Tensor out = ops::layerNormModulate(x, none, none, 1e-6, set);
        CHECK((out - expected).abs().max().item<double>() < 1e-3);
    });
}

TEST_CASE("layerNormAffine equals the reference") {
    onEverySet([](KernelSet set, at::ScalarType dtype) {
        for (const std::int64_t width : kWidths) {
            CAPTURE(width);
            const at::Tensor x = at::randn({7, 2 * width}).to(dtype).slice(1, 0, width); // rows further apart
            const at::Tensor weight = at::randn({width});
            const at::Tensor bias = at::randn({width});
            checkClose(ops::layerNormAffine(x, weight, bias, 1e-6, set),
                       reference::layerNormAffine(x, weight, bias, 1e-6).contiguous());
        }
    });
}

TEST_CASE("gateAdd equals the reference") {
    onEverySet([](KernelSet set, at::ScalarType dtype) {
        for (const std::int64_t width : kWidths)
            for (const std::int64_t rows : {1, 5}) {
                CAPTURE(width);
                const at::Tensor x = at::randn({20, width}).to(dtype);
                const at::Tensor y = at::randn({20, width}).to(dtype);
                const at::Tensor gate = at::randn({rows, 6, width}).select(1, 2);
                checkClose(ops::gateAdd(x, y, gate, set), reference::gateAdd(x, y, gate));
            }
    });
}

TEST_CASE("full-width RMS norm, with and without rotation, equals the reference") {
    onEverySet([](KernelSet set, at::ScalarType dtype) {
        const std::vector<std::pair<std::int64_t, std::int64_t>> shapes{{6, 64}, {12, 128}, {3, 40},
                                                                        {1, 8},  {2, 6},    {40, 128}};
        for (const auto& [heads, depth] : shapes) {
            CAPTURE(heads);
            CAPTURE(depth);
            const at::Tensor projected = at::randn({1, 19, 3, heads, depth}).to(dtype);
            const at::Tensor gain = at::randn({heads * depth});
            const at::Tensor angle = at::randn({19, depth / 2}) * 10;
            const at::Tensor cos = at::cos(angle);
            const at::Tensor sin = at::sin(angle);
            for (const std::int64_t part : {0, 1}) {
                const at::Tensor x = projected.select(2, part); // [1, L, H, D] inside q, k, v
                checkClose(ops::fullWidthRmsNorm(x, gain, 1e-6, set),
                           reference::fullWidthRmsNorm(x, gain, 1e-6).contiguous());
                checkClose(ops::normRope(x, gain, cos, sin, 1e-6, set),
                           reference::normRope(x, gain, cos, sin, 1e-6).contiguous(), 2);
            }
        }
    });
}

TEST_CASE("rotation keeps lengths and turns each pair by its own angle") {
    const at::Tensor x = at::randn({1, 2, 1, 4});
    const at::Tensor gain = at::randn({4}) * 0 + 1;
    at::Tensor angle = at::randn({2, 2});
    const at::Tensor plain = ops::fullWidthRmsNorm(x, gain, 0);
    const at::Tensor turned = ops::normRope(x, gain, at::cos(angle), at::sin(angle), 0);
    for (std::int64_t t = 0; t < 2; ++t)
        for (std::int64_t j = 0; j < 2; ++j) {
            const double a = plain[0][t][0][2 * j].item<double>(),
                         b = plain[0][t][0][2 * j + 1].item<double>();
            const double c = std::cos(angle[t][j].item<double>()), s = std::sin(angle[t][j].item<double>());
            CHECK(turned[0][t][0][2 * j].item<double>() == doctest::Approx(a * c - b * s).epsilon(1e-5));
            CHECK(turned[0][t][0][2 * j + 1].item<double>() == doctest::Approx(a * s + b * c).epsilon(1e-5));
        }
}

TEST_CASE("a NaN stays in its row, and the bits do not depend on threads") {
    const int threads = at::get_num_threads();
    onEverySet([](KernelSet set, at::ScalarType dtype) {
        const at::Tensor x = at::randn({33, 384}).to(dtype);
        const at::Tensor row = at::randn({1, 384});
        x[7][100].fill_(std::numeric_limits<float>::quiet_NaN());
        at::set_num_threads(1);
        const at::Tensor alone = ops::layerNormModulate(x, row, row, 1e-6, set);
        const at::Tensor nan = at::isnan(alone);
        CHECK(nan[7].all().item<bool>());
        CHECK(nan.sum().item<std::int64_t>() == 384);
        const at::Tensor rest = ops::gateAdd(x, x, row, set);
        CHECK(at::isnan(rest).sum().item<std::int64_t>() == 1);
        at::set_num_threads(2);
        CHECK(at::equal(ops::layerNormModulate(x, row, row, 1e-6, set).nan_to_num(), alone.nan_to_num()));
    });
    at::set_num_threads(threads);
}

TEST_CASE("a NaN with every payload bit set does not round to zero") {
    onEverySet([](KernelSet set, at::ScalarType dtype) {
        const at::Tensor x = at::ones({2, 32}).to(dtype);
        const at::Tensor gate = at::full({1, 32}, std::int64_t{0x7fffffff}, at::kInt).view(at::kFloat);
        CHECK(at::isnan(ops::gateAdd(x, x, gate, set)).all().item<bool>());
    });
}

TEST_CASE("row ops refuse what does not fit") {
    const at::Tensor x = at::randn({20, 16});
    CHECK_THROWS_AS(ops::layerNormModulate(x, at::randn({3, 16}), at::randn({3, 16}), 1e-6), c10::Error);
    CHECK_THROWS_AS(ops::layerNormModulate(x, at::randn({1, 16}), at::randn({2, 16}), 1e-6), c10::Error);
    CHECK_THROWS_AS(ops::layerNormModulate(x, at::randn({1, 16}).to(at::kBFloat16), at::randn({1, 16}), 1e-6),
                    c10::Error);
    CHECK_THROWS_AS(ops::gateAdd(x, at::randn({20, 8}), at::randn({1, 16})), c10::Error);
    CHECK_THROWS_AS(ops::fullWidthRmsNorm(at::randn({1, 3, 2, 8}), at::randn({8}), 1e-6), c10::Error);
    CHECK_THROWS_AS(
        ops::normRope(at::randn({1, 3, 2, 8}), at::randn({16}), at::randn({3, 8}), at::randn({3, 8}), 1e-6),
        c10::Error);
}
