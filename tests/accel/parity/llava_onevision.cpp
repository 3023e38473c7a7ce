#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <doctest/doctest.h>

#include "accel/models/llava/pool_cells.h"
#include "tests/accel/parity/qa_models.h"

namespace canopy::test {

void checkLlavaOneVision(const ParityCase& reference) {
    const auto record = llavaRecord(reference.config());
    const auto pixels = reference.tensor("in.pixel_values_videos")[0];
    const auto before = reference.tensor("in.ids_before");
    const auto after = reference.tensor("in.ids_after");
    const double tolerance = reference.tolerance();
    for (const auto& file : reference.weightFiles()) {
        CAPTURE(file.string());
        const auto model = loadLlava(record, file);
        const auto& language = model->language();
        for (const auto& count : reference.json()["params"]["frames"].asArray()) {
            const std::int64_t frames = count.asInt();
            const std::string name = "frames" + std::to_string(frames) + ".";
            CAPTURE(frames);
            const auto hidden = model->tower()(pixels.narrow(0, 0, frames), {}).hidden;
            expectClose(hidden, reference.tensor(name + "mid.vision_features"), tolerance,
                        "mid.vision_features");
            const auto projected = model->project(hidden);
            expectClose(projected, reference.tensor(name + "mid.projected"), tolerance, "mid.projected");
            const auto cells = accel::poolCells(projected, record.vision.gridSide(), HostPooling::Bilinear);
            const auto video = at::cat({cells.flatten(0, 1), model->newline().unsqueeze(0)});
            expectClose(video, reference.tensor(name + "mid.pooled_with_newline")[0], tolerance,
                        "mid.pooled_with_newline");

            accel::Qwen2::Prefill call;
            call.embeddings = at::cat({language.embed(before), video, language.embed(after)});
            expectClose(call.embeddings, reference.tensor(name + "mid.inputs_embeds")[0], tolerance,
                        "mid.inputs_embeds");
            call.answerPosition = call.embeddings.size(0);
            call.positions = at::arange(call.answerPosition, at::TensorOptions(at::kLong));
            call.wantsAllLogits = true;
            const auto answer = reference.tensor(name + "out.greedy_ids");
            accel::KvCache cache(record.language.layers, answer.size(0));
            const auto logits = language.prefill(call, cache);
            expectClose(logits, reference.tensor(name + "out.prefill_logits")[0], tolerance,
                        "out.prefill_logits");
            const auto greedy = decodeGreedily(language, logits[logits.size(0) - 1], cache, answer.size(0));
            expectEqual(greedy.ids, answer, "out.greedy_ids");
            expectClose(greedy.logits, reference.tensor(name + "out.greedy_logits"), tolerance,
                        "out.greedy_logits");
        }
    }
}

} // namespace canopy::test
