// Shortening the sequence inside the language model against plain mathematics in which dropped tokens are
// still computed and only hidden by a mask. Weights of the small parity case.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "accel/runtime/cancelled.h"
#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"
#include "core/job/ask_plan.h"
#include "tests/accel/parity/qa_models.h"

namespace fs = std::filesystem;
using namespace canopy;
using namespace canopy::accel;
using canopy::test::expectClose;

namespace {

constexpr std::int64_t kPrompt = 11;
constexpr std::int64_t kAnswer = 3;

fs::path caseFile(const char* ending) {
    const char* source = std::getenv("CANOPY_SOURCE_DIR");
    return fs::path(source ? source : ".") / "tests" / "data" / "parity" /
           (std::string("qwen2_gqa_small") + ending);
}

Qwen2Config smallConfig() {
    const auto text = readTextFile(caseFile(".config.json"), 1u << 20);
    REQUIRE_MESSAGE(text.ok(), text.error().message);
    const auto json = parseJson(*text);
    REQUIRE_MESSAGE(json.ok(), json.error().message);
    return test::qwen2Config(*json);
}

/// Qwen2 written out, all tokens of prompt and answer at once, a mask per layer.
class PlainQwen2 {
public:
    explicit PlainQwen2(Qwen2Config config)
        : m_config(std::move(config)) {
        auto opened = Checkpoint::open({caseFile(".weights.safetensors")});
        REQUIRE_MESSAGE(opened.ok(), opened.error().message);
        m_weights.emplace(std::move(opened).value());
    }

    at::Tensor weight(const std::string& name) const {
        const auto* info = m_weights->find(name);
        REQUIRE_MESSAGE(info, name);
        auto t = at::empty(std::vector<std::int64_t>(info->shape.begin(), info->shape.end()),
                           at::TensorOptions(at::kBFloat16));
        REQUIRE(m_weights->read(name, {static_cast<std::uint8_t*>(t.mutable_data_ptr()), t.nbytes()}).ok());
        return t.to(at::kFloat);
    }

    struct Output {
        at::Tensor logits;        ///< [n, V]
        at::Tensor lastAttention; ///< [layers, H, n]: of token `watched`
    };
    /// visible[layer]: bool [n, n], query by key.
    Output operator()(at::Tensor x, const at::Tensor& positions, const std::vector<at::Tensor>& visible,
                      std::int64_t watched) const {
        const std::int64_t n = x.size(0);
        const std::int64_t headDim = m_config.headDim;
        Output output;
        std::vector<at::Tensor> attention;
        for (int i = 0; i < m_config.layers; ++i) {
            const std::string base = "model.layers." + std::to_string(i) + ".";
            const auto normed = norm(x, weight(base + "input_layernorm.weight"));
            const auto project = [&](const char* name, std::int64_t heads) {
                return at::linear(normed, weight(base + "self_attn." + name + ".weight"),
                                  weight(base + "self_attn." + name + ".bias"))
                    .view({n, heads, headDim})
                    .transpose(0, 1); // [H, n, D]
            };
            const std::int64_t shared = m_config.heads / m_config.kvHeads;
            const auto q = turned(project("q_proj", m_config.heads), positions);
            const auto k =
                turned(project("k_proj", m_config.kvHeads), positions).repeat_interleave(shared, 0);
            const auto v = project("v_proj", m_config.kvHeads).repeat_interleave(shared, 0);
            const auto scores = at::matmul(q, k.transpose(1, 2)) / std::sqrt(static_cast<double>(headDim));
            const auto hidden = at::full({}, -std::numeric_limits<float>::infinity());
            const auto weights =
                at::softmax(at::where(visible[static_cast<std::size_t>(i)], scores, hidden), -1);
            attention.push_back(weights.select(1, watched));
            const auto mixed = at::matmul(weights, v).transpose(0, 1).reshape({n, -1});
            x = x + at::linear(mixed, weight(base + "self_attn.o_proj.weight"));
            const auto y = norm(x, weight(base + "post_attention_layernorm.weight"));
            const auto gated = at::silu(at::linear(y, weight(base + "mlp.gate_proj.weight"))) *
                               at::linear(y, weight(base + "mlp.up_proj.weight"));
            x = x + at::linear(gated, weight(base + "mlp.down_proj.weight"));
        }
        output.logits = at::linear(norm(x, weight("model.norm.weight")), weight("lm_head.weight"));
        output.lastAttention = at::stack(attention);
        return output;
    }

private:
    at::Tensor norm(const at::Tensor& x, const at::Tensor& gain) const {
        return x * at::rsqrt((x * x).mean(-1, true) + m_config.eps) * gain;
    }
    at::Tensor turned(const at::Tensor& x, const at::Tensor& positions) const {
        const std::int64_t half = m_config.headDim / 2;
        const auto exponent = at::arange(half).to(at::kFloat) * (-2.0 / m_config.headDim);
        const auto frequency = (exponent * std::log(m_config.ropeTheta)).exp();
        const auto angle = at::outer(positions.to(at::kFloat), frequency);
        const auto low = x.narrow(2, 0, half);
        const auto high = x.narrow(2, half, half);
        return at::cat({low * angle.cos() - high * angle.sin(), high * angle.cos() + low * angle.sin()}, 2);
    }

    Qwen2Config m_config;
    std::optional<Checkpoint> m_weights;
};

/// Drops tokens at one point; remembers what it was told.
class DropAt : public PrefillReducer {
public:
    DropAt(int layer, PrefillPoint::Where where, std::vector<std::int64_t> keep)
        : m_layer(layer)
        , m_where(where)
        , m_keep(at::tensor(keep)) {}

    std::optional<PrefillReduction> reduce(const PrefillPoint& point) override {
        lengths.push_back(point.hidden.size(0));
        if (point.layer == m_layer && point.where == PrefillPoint::Where::BeforeAttention && m_layer > 0)
            attention = point.lastRowAttention();
        if (point.layer == 0 && point.where == PrefillPoint::Where::BeforeAttention)
            CHECK(!point.lastRowAttention);
        videoIndex = point.videoIndex;
        if (point.layer != m_layer || point.where != m_where)
            return std::nullopt;
        return PrefillReduction{m_keep, point.hidden.index_select(0, m_keep)};
    }
    void finish(TokenRun&) const override {}

    std::vector<std::int64_t> lengths;
    at::Tensor attention;
    at::Tensor videoIndex;

private:
    int m_layer;
    PrefillPoint::Where m_where;
    at::Tensor m_keep;
};

/// Causal, and from layer `from` on without the dropped tokens of the prompt.
std::vector<at::Tensor> masks(int layers, int from, const std::vector<std::int64_t>& keep) {
    const std::int64_t n = kPrompt + kAnswer;
    auto causal = at::ones({n, n}, at::kBool).tril();
    auto kept = at::zeros({n}, at::kBool);
    for (const auto token : keep)
        kept[token].fill_(true);
    kept.narrow(0, kPrompt, kAnswer).fill_(true);
    // A dropped token still sees itself, so that its row is no NaN; nobody sees it.
    const auto self = at::arange(n).unsqueeze(0) == at::arange(n).unsqueeze(1);
    std::vector<at::Tensor> result;
    for (int i = 0; i < layers; ++i)
        result.push_back(i < from ? causal : causal.logical_and(kept.unsqueeze(0).logical_or(self)));
    return result;
}

} // namespace

TEST_CASE(
    "tokens dropped inside the model are gone from every later layer's cache, and the answer is right") {
    const c10::InferenceMode inference;
    const auto config = smallConfig();
    REQUIRE(config.layers == 2);
    const auto model = test::loadQwen2(config, caseFile(".weights.safetensors"));
    const PlainQwen2 plain(config);
    const std::vector<std::int64_t> keep{0, 1, 4, 7, 8, 10};
    const auto kept = static_cast<std::int64_t>(keep.size());
    const auto promptIds = at::arange(kPrompt) + 2;

    struct Point {
        int layer;
        PrefillPoint::Where where;
        int from; ///< first layer that does not see the dropped tokens
    };
    for (const Point& point :
         {Point{0, PrefillPoint::Where::BeforeAttention, 0}, Point{0, PrefillPoint::Where::AfterAttention, 1},
          Point{1, PrefillPoint::Where::BeforeAttention, 1},
          Point{1, PrefillPoint::Where::AfterAttention, 2}}) {
        CAPTURE(point.layer);
        CAPTURE(point.from);
        DropAt reducer(point.layer, point.where, keep);
        Qwen2::Prefill call;
        call.embeddings = model->embed(promptIds);
        call.positions = at::arange(kPrompt, at::TensorOptions(at::kLong));
        call.answerPosition = kPrompt; // original positions: the answer goes on behind the whole prompt
        call.videoIndex = at::arange(kPrompt) * 10;
        call.reducer = &reducer;
        KvCache cache(config.layers, kAnswer);
        auto logits = model->prefill(call, cache);

        std::vector<int> expected(2, static_cast<int>(kPrompt));
        for (int i = point.from; i < config.layers; ++i)
            expected[static_cast<std::size_t>(i)] = static_cast<int>(kept);
        CHECK(cache.lengths() == expected);
        std::uint64_t bytes = 0;
        for (const int length : expected)
            bytes += kvBytesPerToken(config, 4) / 2 * static_cast<std::uint64_t>(length);
        CHECK(cache.filledBytes() == bytes);
        CHECK(reducer.lengths.size() == 4);
        if (point.where == PrefillPoint::Where::BeforeAttention || point.layer == 0)
            CHECK((reducer.videoIndex == at::tensor(keep) * 10).all().item<bool>());

        const auto answerIds = at::tensor(std::vector<std::int64_t>{5, 19, 3});
        const auto everything = at::cat({promptIds, answerIds});
        const auto truth = plain(model->embed(everything), at::arange(kPrompt + kAnswer),
                                 masks(config.layers, point.from, keep), kPrompt - 1);
        expectClose(logits, truth.logits[kPrompt - 1], 1e-4, "logits after the prompt");
        for (std::int64_t i = 0; i < kAnswer; ++i) {
            logits = model->step(static_cast<std::int32_t>(answerIds[i].item<std::int64_t>()), cache, {});
            expectClose(logits, truth.logits[kPrompt + i], 1e-4, "logits of a step");
        }
        if (reducer.attention.defined())
            expectClose(reducer.attention, truth.lastAttention[point.layer - 1].mean(0).narrow(0, 0, kPrompt),
                        1e-4, "attention of the last token");
        CHECK_THROWS(model->step(1, cache, {})); // the cache has room for three
    }
}

TEST_CASE("positions may be packed or those of the unpruned prompt") {
    const c10::InferenceMode inference;
    const auto config = smallConfig();
    const auto model = test::loadQwen2(config, caseFile(".weights.safetensors"));
    const PlainQwen2 plain(config);
    const auto ids = at::tensor(std::vector<std::int64_t>{4, 9, 16, 25, 36});
    const auto positions = at::tensor(std::vector<std::int64_t>{0, 3, 4, 9, 20});
    Qwen2::Prefill call;
    call.embeddings = model->embed(ids);
    call.positions = positions;
    call.answerPosition = 21;
    KvCache cache(config.layers, 1);
    const auto logits = model->prefill(call, cache);
    const auto step = model->step(7, cache, {});
    const auto all = at::cat({ids, at::tensor(std::vector<std::int64_t>{7})});
    const auto at_ = at::cat({positions, at::tensor(std::vector<std::int64_t>{21})});
    const auto causal = at::ones({6, 6}, at::kBool).tril();
    const auto truth = plain(model->embed(all), at_, {causal, causal}, 4);
    expectClose(logits, truth.logits[4], 1e-4, "logits after the prompt");
    expectClose(step, truth.logits[5], 1e-4, "logits of the step");
}

TEST_CASE("a prefill is cancelled between layers") {
    const c10::InferenceMode inference;
    const auto config = smallConfig();
    const auto model = test::loadQwen2(config, caseFile(".weights.safetensors"));
    std::stop_source source;
    Qwen2::Prefill call;
    call.embeddings = model->embed(at::arange(kPrompt));
    call.positions = at::arange(kPrompt);
    call.stop = source.get_token();
    int layers = 0;
    call.layerDone = [&](int done) {
        layers = done;
        source.request_stop();
    };
    KvCache cache(config.layers, 1);
    CHECK_THROWS_AS(model->prefill(call, cache), Cancelled);
    CHECK(layers == 1);
}
