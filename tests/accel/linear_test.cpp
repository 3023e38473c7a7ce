#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>
#include <doctest/doctest.h>

#include <vector>

#include "accel/ops/attention.h"
#include "accel/ops/linear.h"
#include "accel/ops/product_counter.h"

using namespace canopy::accel;
using ops::Activation;

namespace {

double relativeError(const at::Tensor& out, const at::Tensor& expected) {
    return ((out.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

} // namespace

TEST_CASE("linear equals a product in double, with and without bias and activation") {
    const std::vector<std::vector<std::int64_t>> shapes{
        {2160, 384, 1152}, {1, 384, 384}, {37, 40, 24}, {5, 1, 3}, {64, 1536, 384}};
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble})
        for (const auto& s : shapes)
            for (const bool hasBias : {true, false})
                for (const Activation activation : {Activation::None, Activation::GeluTanh}) {
                    CAPTURE(s[0]);
                    CAPTURE(s[1]);
                    CAPTURE(s[2]);
                    const at::Tensor x = at::randn({s[0], s[1]}).to(dtype);
                    const at::Tensor weight = (at::randn({s[2], s[1]}) / 8).to(dtype);
                    const at::Tensor bias = hasBias ? at::randn({s[2]}).to(dtype) : at::Tensor();
                    at::Tensor expected = at::linear(x.to(at::kDouble), weight.to(at::kDouble));
                    if (hasBias)
                        expected = expected + bias.to(at::kDouble);
                    if (activation == Activation::GeluTanh)
                        expected = at::gelu(expected, "tanh");
                    const at::Tensor out = ops::linear(x, weight, bias, activation);
                    CHECK((out.scalar_type() == dtype));
                    CHECK((out.sizes() == expected.sizes()));
                    CHECK(out.is_contiguous());
                    CHECK(relativeError(out, expected) < (dtype == at::kBFloat16 ? 4e-3 : 3e-6));
                }
}

TEST_CASE("linear takes strided input and leading dimensions") {
    const at::Tensor weight = at::randn({24, 16});
    const at::Tensor bias = at::randn({24});
    const at::Tensor wide = at::randn({3, 5, 32});
    const at::Tensor x = wide.slice(2, 3, 19);
    const at::Tensor out = ops::linear(x, weight, bias);
    CHECK((out.sizes() == at::IntArrayRef{3, 5, 24}));
    CHECK(at::equal(out, ops::linear(x.contiguous(), weight, bias)));
    CHECK(relativeError(out, at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble))) <
          1e-6);
    CHECK(at::equal(ops::linear(x, weight.t().contiguous().t(), bias), out));
    CHECK((ops::linear(wide.slice(0, 0, 0).slice(2, 0, 16), weight, bias).sizes() ==
           at::IntArrayRef{0, 5, 24}));
}

TEST_CASE("a repeated product has the same bits") {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
        const at::Tensor x = at::randn({700, 384}).to(dtype);
        const at::Tensor weight = at::randn({1536, 384}).to(dtype);
        const at::Tensor first = ops::linear(x, weight, {}, Activation::GeluTanh);
        for (int i = 0; i < 5; ++i)
            CHECK(at::equal(ops::linear(x, weight, {}, Activation::GeluTanh), first));
    }
}

TEST_CASE("linear refuses what does not fit") {
    CHECK_THROWS_AS(ops::linear(at::randn({2, 3}), at::randn({4, 5}), {}), c10::Error);
    CHECK_THROWS_AS(ops::linear(at::randn({2, 5}), at::randn({4, 5}), at::randn({5})), c10::Error);
    CHECK_THROWS_AS(ops::linear(at::randn({2, 5}), at::randn({4, 5}).to(at::kBFloat16), {}), c10::Error);
}

TEST_CASE("the counter adds up what linear layers and attention multiply, and only while it lives") {
    const at::Tensor x = at::randn({5, 40});
    const at::Tensor q = at::randn({1, 200, 2, 16});
    const at::Tensor k = at::randn({1, 300, 2, 16});
    ops::linear(x, at::randn({24, 40}), {});
    const ops::ProductCounter outer;
    {
        const ops::ProductCounter counter;
        ops::linear(x, at::randn({24, 40}), {});
        CHECK(counter.flop() == 2.0 * 5 * 40 * 24);
        ops::attention(q, k, k);
        CHECK(counter.flop() == 2.0 * 5 * 40 * 24 + 4.0 * 200 * 300 * 2 * 16);
    }
    CHECK(outer.flop() == 0);
    ops::AttentionOptions some;
    some.ranges = {{0, 50, {{0, 10}, {20, 60}}}, {50, 200, {}}};
    ops::attention(q, k, k, some);
    CHECK(outer.flop() == 4.0 * 50 * 50 * 2 * 16);
    // Two heads of two blocks of queries, 128 and 72; keys in blocks of 128, 128 and 44.
    some = {};
    some.keyBlockOffsets = at::tensor({0, 1, 2, 3, 3}, at::kLong);
    some.keyBlockIds = at::tensor({0, 2, 2}, at::kInt);
    const double before = outer.flop();
    ops::attention(q, k, k, some);
    CHECK(outer.flop() - before == 4.0 * 16 * (128 * 128 + 72 * 44 + 128 * 44));
    some = {};
    some.causal = true;
    const double lists = outer.flop();
    ops::attention(q, k, k, some);
    CHECK(outer.flop() - lists == 4.0 * 2 * 16 * (200 * 300 - 200 * 199 / 2));
    CHECK(outer.knowsAll());
}
