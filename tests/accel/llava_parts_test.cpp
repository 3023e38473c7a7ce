// What selections read beside the features, and pooling, against sums written out.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#include "accel/models/llava/pool_cells.h"
#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"
#include "tests/accel/parity/qa_models.h"

namespace fs = std::filesystem;
using namespace canopy;
using namespace canopy::accel;
using canopy::test::expectClose;

namespace {

fs::path caseFile(const char* ending) {
    const char* source = std::getenv("CANOPY_SOURCE_DIR");
    return fs::path(source ? source : ".") / "tests" / "data" / "parity" /
           (std::string("siglip_vision_small") + ending);
}

at::Tensor weight(const Checkpoint& checkpoint, const std::string& name) {
    const auto* info = checkpoint.find(name);
    REQUIRE_MESSAGE(info, name);
    auto t = at::empty(std::vector<std::int64_t>(info->shape.begin(), info->shape.end()),
                       at::TensorOptions(at::kBFloat16));
    REQUIRE(checkpoint.read(name, {static_cast<std::uint8_t*>(t.mutable_data_ptr()), t.nbytes()}).ok());
    return t.to(at::kFloat);
}

} // namespace

TEST_CASE("attention received and mean keys are those of the last block, frame by frame") {
    const c10::InferenceMode inference;
    const auto text = readTextFile(caseFile(".config.json"), 1u << 20);
    REQUIRE_MESSAGE(text.ok(), text.error().message);
    const auto json = parseJson(*text);
    REQUIRE(json.ok());
    const auto config = test::siglipConfig(*json);
    const auto tower = test::loadSiglip(config, caseFile(".weights.safetensors"));
    const auto checkpoint = Checkpoint::open({caseFile(".weights.safetensors")});
    REQUIRE(checkpoint.ok());

    at::Tensor before; // the last block's input
    SiglipTower::Call call;
    call.wantsAttention = call.wantsKeys = true;
    const std::string previous = "layer" + std::to_string(config.layers - 2);
    call.tap = [&](std::string_view name, const at::Tensor& x) {
        if (name == previous)
            before = x.clone();
    };
    const auto seen = (*tower)(at::randn({3, 3, config.imageSize, config.imageSize}), call);
    REQUIRE(before.defined());

    const std::string base = "vision_model.encoder.layers." + std::to_string(config.layers - 1) + ".";
    const auto normed =
        at::layer_norm(before, {config.width}, weight(*checkpoint, base + "layer_norm1.weight"),
                       weight(*checkpoint, base + "layer_norm1.bias"), config.eps);
    const std::int64_t patches = before.size(1);
    const std::int64_t headDim = config.width / config.heads;
    const auto project = [&](const char* name) {
        return at::linear(normed, weight(*checkpoint, base + "self_attn." + name + ".weight"),
                          weight(*checkpoint, base + "self_attn." + name + ".bias"))
            .view({3, patches, config.heads, headDim})
            .transpose(1, 2); // [T, H, P, D]
    };
    const auto q = project("q_proj");
    const auto k = project("k_proj");
    const auto weights = at::softmax(
        at::matmul(q, k.transpose(2, 3)) / std::sqrt(static_cast<double>(headDim)), -1); // [T, H, P, P]
    expectClose(seen.extras.attention, weights.mean(2).mean(1), 1e-4, "attention received");
    expectClose(seen.extras.attention.sum(1), at::zeros({3}) + 1.0, 1e-5, "its sum over a frame");
    expectClose(seen.extras.keys, k.mean(1), 1e-4, "mean keys");

    const auto plain = (*tower)(at::randn({1, 3, config.imageSize, config.imageSize}), {});
    CHECK(!plain.extras.attention.defined());
    CHECK(!plain.extras.keys.defined());
}

TEST_CASE("a tower of fewer blocks than the file holds leaves the last ones out") {
    const c10::InferenceMode inference;
    const auto text = readTextFile(caseFile(".config.json"), 1u << 20);
    REQUIRE_MESSAGE(text.ok(), text.error().message);
    const auto json = parseJson(*text);
    REQUIRE(json.ok());
    const auto whole = test::siglipConfig(*json);
    REQUIRE(whole.layers == 2);
    auto shorter = whole;
    shorter.layers = 1;
    const auto pixels = at::randn({1, 3, whole.imageSize, whole.imageSize});
    at::Tensor first;
    SiglipTower::Call call;
    call.tap = [&](std::string_view name, const at::Tensor& x) {
        if (name == "layer0")
            first = x.clone();
    };
    (*test::loadSiglip(whole, caseFile(".weights.safetensors")))(pixels, call);
    const auto seen = (*test::loadSiglip(shorter, caseFile(".weights.safetensors")))(pixels, {});
    expectClose(seen.hidden, first, 1e-6, "the first block's output");
}

TEST_CASE("cells are means of 2 x 2 patches; odd grids resize or leave their last row out") {
    const c10::InferenceMode inference;
    // Patch (row, column) holds 10 row + column.
    const auto grid = [](int side) {
        auto x = at::zeros({1, side * side, 1});
        for (int r = 0; r < side; ++r) {
            for (int c = 0; c < side; ++c)
                x[0][r * side + c].fill_(10 * r + c);
        }
        return x;
    };
    for (const auto pooling : {HostPooling::Bilinear, HostPooling::Average}) {
        const auto cells = poolCells(grid(4), 4, pooling);
        REQUIRE((cells.sizes() == at::IntArrayRef({1, 4, 1})));
        CHECK(cells[0][0].item<double>() == doctest::Approx(5.5));
        CHECK(cells[0][3].item<double>() == doctest::Approx(27.5));
    }
    const auto average = poolCells(grid(5), 5, HostPooling::Average);
    REQUIRE(average.size(1) == 4);
    CHECK(average[0][3].item<double>() == doctest::Approx(27.5));
    // 5 to 3 without aligned corners: centres at 1/3, 2, 11/3.
    const auto bilinear = poolCells(grid(5), 5, HostPooling::Bilinear);
    REQUIRE(bilinear.size(1) == 9);
    CHECK(bilinear[0][0].item<double>() == doctest::Approx(11.0 / 3));
    CHECK(bilinear[0][4].item<double>() == doctest::Approx(22.0));
    CHECK(bilinear[0][8].item<double>() == doctest::Approx(11 * 11.0 / 3));
    CHECK((poolCells(grid(4).to(at::kBFloat16), 4, HostPooling::Average).scalar_type() == at::kBFloat16));
}

TEST_CASE("pixel differences are means over a cell's pixels, none for the first frame") {
    const c10::InferenceMode inference;
    SiglipConfig vision;
    vision.imageSize = 9; // one border row and column belong to no patch
    vision.patch = 2;
    auto frames = at::zeros({3, 9, 9, 3}, at::TensorOptions(at::kByte));
    frames[1].narrow(0, 0, 4).narrow(1, 0, 4).fill_(200); // the first cell's 16 pixels
    frames[1][8].fill_(255);                              // border
    frames[2].copy_(frames[1]);
    frames[2][4][4][1].fill_(48); // one channel of one pixel of the last cell
    const auto difference = pixelDifference(frames, vision, HostPooling::Average);
    REQUIRE((difference.sizes() == at::IntArrayRef({3, 4})));
    CHECK((difference[0] == 0).all().item<bool>());
    CHECK(difference[1][0].item<double>() == doctest::Approx(200));
    CHECK(difference[1][3].item<double>() == doctest::Approx(0));
    CHECK(difference[2][0].item<double>() == doctest::Approx(0));
    CHECK(difference[2][3].item<double>() == doctest::Approx(1.0)); // 48 / (16 pixels x 3 channels)
}
