#include <ATen/ops/arange.h>
#include <doctest/doctest.h>

#include "tests/accel/parity/qa_models.h"

namespace canopy::test {

void checkQwen2(const ParityCase& reference) {
    const auto config = qwen2Config(reference.config());
    const auto ids = reference.tensor("in.input_ids")[0];
    const std::int64_t n = ids.size(0);
    const auto answer = reference.tensor("out.greedy_ids");
    for (const auto& file : reference.weightFiles()) {
        CAPTURE(file.string());
        const auto model = loadQwen2(config, file);
        int compared = 0;
        accel::Qwen2::Prefill call;
        call.embeddings = model->embed(ids);
        call.positions = at::arange(n, at::TensorOptions(at::kLong));
        call.answerPosition = n;
        call.wantsAllLogits = true;
        call.tap = [&](std::string_view name, const at::Tensor& x) {
            const std::string stored = "mid." + std::string(name);
            if (!reference.has(stored))
                return;
            expectClose(x, reference.tensor(stored)[0], reference.tolerance(), stored);
            ++compared;
        };
        expectClose(call.embeddings, reference.tensor("mid.embedding")[0], reference.tolerance(),
                    "mid.embedding");
        accel::KvCache cache(config.layers, answer.size(0));
        expectClose(model->prefill(call, cache), reference.tensor("out.prefill_logits")[0],
                    reference.tolerance(), "out.prefill_logits");
        CHECK(compared >= config.layers + 1);
        for (int i = 0; i < config.layers; ++i) {
            const std::string base = "out.cache.layer" + std::to_string(i);
            expectClose(cache.layer(i).seenKeys(), reference.tensor(base + ".k")[0], reference.tolerance(),
                        base + ".k");
            expectClose(cache.layer(i).seenValues(), reference.tensor(base + ".v")[0], reference.tolerance(),
                        base + ".v");
        }

        // As a question is answered: nothing but the last token's logits, then step by step.
        call.tap = {};
        call.wantsAllLogits = false;
        accel::KvCache fresh(config.layers, answer.size(0));
        const auto greedy = decodeGreedily(*model, model->prefill(call, fresh), fresh, answer.size(0));
        expectEqual(greedy.ids, answer, "out.greedy_ids");
        expectClose(greedy.logits, reference.tensor("out.greedy_logits"), reference.tolerance(),
                    "out.greedy_logits");
    }
}

} // namespace canopy::test
