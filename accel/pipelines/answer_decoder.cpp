#include "accel/pipelines/answer_decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/max.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "accel/ops/parallel.h"
#include "accel/pipelines/numeric_error.h"

namespace canopy::accel {
namespace {

constexpr std::int64_t kTop = 10;
/// Models whose step reads less decode on one thread: another one would have to be woken for each of a
/// step's products, some 50 us each, and longer on a busy machine.
constexpr std::uint64_t kSingleThreadBytes = std::uint64_t{48} << 20;

/// Id of the largest logit; one copy from the device. The maximum of what holds a NaN is NaN.
std::int32_t largest(const at::Tensor& logits) {
    const auto [value, index] = at::max(logits, 0);
    const auto both = at::stack({value.to(at::kDouble), index.to(at::kDouble)}).to(at::kCPU);
    const double* pair = both.const_data_ptr<double>();
    if (!std::isfinite(pair[0]))
        throw NumericError("numbers overflowed in the logits of the answer", -1);
    return static_cast<std::int32_t>(pair[1]);
}

} // namespace

void readFirstToken(const at::Tensor& logits, const BpeTokenizer& tokenizer,
                    const std::vector<std::int32_t>& letters, Answer& answer) {
    const auto [top, topIds] =
        at::topk(at::softmax(logits.to(at::kDouble), 0), std::min(kTop, logits.size(0)));
    const auto probability = top.to(at::kCPU).contiguous();
    const auto ids = topIds.to(at::kCPU).contiguous();
    answer.top.clear();
    for (std::int64_t i = 0; i < ids.size(0); ++i) {
        const auto id = static_cast<std::int32_t>(ids.const_data_ptr<std::int64_t>()[i]);
        answer.top.push_back({id, tokenizer.decodeAll({&id, 1}), probability.const_data_ptr<double>()[i]});
    }
    answer.letterProbabilities.clear();
    if (letters.empty())
        return;
    const std::vector<std::int64_t> wide(letters.begin(), letters.end());
    const auto among =
        at::softmax(logits.index_select(0, at::tensor(wide).to(logits.device())).to(at::kDouble), 0)
            .to(at::kCPU);
    const auto* p = among.const_data_ptr<double>();
    answer.letterProbabilities.assign(p, p + among.size(0));
}

void decodeAnswer(const Qwen2& language, at::Tensor logits, KvCache& cache, const BpeTokenizer& tokenizer,
                  const DecodeCall& call, Answer& answer) {
    std::optional<ops::SingleThread> alone;
    if (logits.device().is_cpu() && language.bytesPerStep() < kSingleThreadBytes)
        alone.emplace();
    std::string sent;
    const auto send = [&](const std::string& text) {
        if (text.size() > sent.size() && call.words)
            call.words(std::string_view(text).substr(sent.size()));
        sent = text;
    };
    answer.ids.clear();
    while (true) {
        const std::int32_t id = largest(logits);
        answer.ids.push_back(id);
        if (answer.ids.size() == 1 && call.firstToken)
            call.firstToken();
        if (call.progress)
            call.progress(static_cast<std::int64_t>(answer.ids.size()));
        if (std::find(call.stopIds.begin(), call.stopIds.end(), id) != call.stopIds.end()) {
            answer.stop = Answer::Stop::EndOfText;
            break;
        }
        send(tokenizer.decodePrefix(answer.ids));
        if (static_cast<std::int64_t>(answer.ids.size()) >= call.maxTokens) {
            answer.stop = Answer::Stop::Length;
            break;
        }
        logits = language.step(id, cache, call.stop);
    }
    answer.text = tokenizer.decode(answer.ids);
    send(answer.text);
}

} // namespace canopy::accel
