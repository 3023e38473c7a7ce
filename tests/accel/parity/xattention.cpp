// The antidiagonal estimate, its choice of blocks and attention over them: `masked.*` is our rule, `plain.*`
// the public code, which lets keys of padding take part.

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "accel/nn/attention.h"
#include "accel/ops/block_score.h"
#include "accel/policies/attention/xattention.h"
#include "tests/support/parity_case.h"

namespace canopy::test {
namespace {

using namespace canopy::accel;

constexpr std::int64_t kBlock = 128;

/// [H, N, D] as stored to [1, N, H, D] as attention takes it.
at::Tensor asCall(const at::Tensor& x) {
    return x.transpose(0, 1).unsqueeze(0);
}

/// A share as it stands in tensor names: 0.5 "0.5", 1 "1".
std::string number(double v) {
    std::string text = std::to_string(v);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.'))
        text.pop_back();
    return text;
}

/// Lists of [1, H] as a mask [H, blocks, blocks] of 0 and 1.
at::Tensor maskOf(const ops::AttentionOptions& lists, std::int64_t heads, std::int64_t blocks) {
    at::Tensor mask = at::zeros({heads * blocks, blocks}, at::kByte);
    const auto* offset = lists.keyBlockOffsets.const_data_ptr<std::int64_t>();
    for (std::int64_t row = 0; row < heads * blocks; ++row)
        for (std::int64_t i = offset[row]; i < offset[row + 1]; ++i)
            mask[row][lists.keyBlockIds.const_data_ptr<std::int32_t>()[i]] = 1;
    return mask.view({heads, blocks, blocks});
}

/// Rows whose running sum comes as close to tau as float32 rounds may fall either way.
void expectMask(const at::Tensor& ours, const at::Tensor& reference, const at::Tensor& margin,
                const std::string& what) {
    for (std::int64_t h = 0; h < reference.size(0); ++h)
        for (std::int64_t b = 0; b < reference.size(1); ++b)
            if (margin[h][b].item<double>() > 1e-5)
                expectEqual(ours[h][b], reference[h][b], what);
}

void checkMasked(const ParityCase& reference, const std::string& key, std::int64_t stride,
                 const std::vector<double>& tau) {
    CAPTURE(key);
    const at::Tensor q = asCall(reference.tensor("q")), k = asCall(reference.tensor("k"));
    const std::int64_t heads = q.size(2), blocks = (q.size(1) + kBlock - 1) / kBlock;
    std::vector<float> each;
    for (std::int64_t h = 0; h < heads; ++h)
        each.push_back(static_cast<float>(tau.size() == 1 ? tau[0] : tau[static_cast<std::size_t>(h)]));
    ops::BlockScoreOptions options;
    options.stride = stride;
    options.tau = at::tensor(each, at::kFloat);
    options.keepsFirst = false;
    options.wantsWeights = true;
    const auto bare = ops::chooseBlocks(q, k, options);
    const std::string base = "s" + std::to_string(stride) + ".masked.";
    expectClose(bare.weights[0], reference.tensor(base + "block_scores"), 1e-5, base + "block_scores");
    const at::Tensor margin = reference.tensor(key + ".margin");
    const bool all = tau == std::vector<double>{1.0};
    // Tau 1 keeps all blocks here; the stored margins are 0 there.
    if (all)
        CHECK(bare.lists.keyBlockIds.numel() == heads * blocks * blocks);
    else
        expectMask(maskOf(bare.lists, heads, blocks), reference.tensor(key + ".mask"), margin, key + ".mask");
    options.keepsFirst = true;
    if (!all)
        expectMask(maskOf(ops::chooseBlocks(q, k, options).lists, heads, blocks),
                   reference.tensor(key + ".mask_kblock0"), margin, key + ".mask_kblock0");

    if (!reference.has(key + ".sparse_output"))
        return;
    AttentionCall call;
    call.grid = {1, 1, static_cast<int>(q.size(1)), 0};
    call.q = q;
    call.k = k;
    call.v = asCall(reference.tensor("v"));
    expectClose(denseAttention(call)[0].transpose(0, 1), reference.tensor("dense_output"), 1e-4, "dense");
    const XAttention host(tau, static_cast<int>(stride), false);
    std::unique_ptr<SparseMask> mask;
    std::vector<std::int64_t> heads01;
    for (std::int64_t h = 0; h < heads; ++h)
        heads01.push_back(h);
    host.choose(call, heads01, mask);
    expectClose(host.attend(call, *mask)[0].transpose(0, 1), reference.tensor(key + ".sparse_output"), 1e-4,
                key + ".sparse_output");
}

/// The public code pads to a multiple of 128 S zero tokens, and those keys take their share of the softmax:
/// our estimate over the padded tokens, cut to the real blocks.
void checkPlain(const ParityCase& reference, std::int64_t stride) {
    const at::Tensor q = asCall(reference.tensor("q")), k = asCall(reference.tensor("k"));
    const std::int64_t unit = 2048;
    const std::int64_t missing = (unit - q.size(1) % unit) % unit;
    const std::int64_t blocks = (q.size(1) + kBlock - 1) / kBlock;
    ops::BlockScoreOptions options;
    options.stride = stride;
    options.tau = at::tensor(std::vector<float>(static_cast<std::size_t>(q.size(2)), 1.0F), at::kFloat);
    options.wantsWeights = true;
    const auto padded = ops::chooseBlocks(at::constant_pad_nd(q, {0, 0, 0, 0, 0, missing}),
                                          at::constant_pad_nd(k, {0, 0, 0, 0, 0, missing}), options);
    const std::string key = "s" + std::to_string(stride) + ".plain.";
    at::Tensor rows = padded.weights[0].slice(1, 0, blocks).clone();
    // It does not count queries of padding alone, which see all blocks alike.
    const std::int64_t realCells = (q.size(1) + stride - 1) / stride;
    const auto emptyCells = static_cast<double>(blocks * kBlock / stride - realCells);
    rows.select(1, blocks - 1) -= emptyCells / static_cast<double>(rows.size(2));
    expectClose(rows.slice(2, 0, blocks), reference.tensor(key + "block_scores"), 1e-5, key + "block_scores");
    expectClose(rows.slice(2, blocks).sum(2), reference.tensor(key + "mass_on_padding"), 1e-4,
                key + "mass_on_padding");
}

} // namespace

void checkXAttention(const ParityCase& reference) {
    const auto& params = reference.json()["params"];
    for (const auto& strideValue : params["strides"].asArray()) {
        const std::int64_t stride = strideValue.asInt();
        for (const auto& tau : params["taus"].asArray()) {
            std::vector<double> each;
            for (const auto& v : tau.asArray())
                each.push_back(v.asDouble());
            const std::string base = "s" + std::to_string(stride) + ".masked.";
            if (tau.isArray())
                checkMasked(reference, base + "tauheads", stride, each);
            else
                checkMasked(reference, base + "tau" + number(tau.asDouble()), stride, {tau.asDouble()});
        }
        checkPlain(reference, stride);
    }
}

} // namespace canopy::test
