#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <doctest/doctest.h>

#include "accel/pipelines/denoise.h"
#include "tests/accel/parity/models.h"
#include "tests/accel/parity/vae_model.h"
#include "tests/support/parity_case.h"

namespace canopy::test {

using namespace canopy::accel;

void checkPipelineWan(const ParityCase& reference) {
    const auto& params = reference.json()["params"];
    std::optional<ParityCase> text, transformer, vae;
    for (const auto& name : reference.json()["weights_from"].asArray()) {
        const auto part = reference.sibling(name.asString());
        (part.kind() == "umt5" ? text : part.kind() == "wan_dit" ? transformer : vae).emplace(part);
    }
    REQUIRE((text && transformer && vae));
    const auto encoder = loadUmt5(umt5Config(*text), text->weightFiles().front());
    const auto dit = loadDit(ditConfig(*transformer), transformer->weightFiles().front());

    const auto ids = reference.tensor("in.input_ids");
    const auto mask = reference.tensor("in.attention_mask");
    Conditioning conditioning;
    const auto embeds =
        at::stack({encoder->promptEmbeds(ids[0], mask[0], {}), encoder->promptEmbeds(ids[1], mask[1], {})});
    expectClose(embeds, reference.tensor("mid.prompt_embeds"), reference.tolerance(), "mid.prompt_embeds");
    conditioning.prompt = dit->embedText(embeds[0]);
    conditioning.negative = dit->embedText(embeds[1]);
    conditioning.guidance = params["guidance"].asDouble();

    const auto schedule = uniPcSchedule(static_cast<int>(params["steps"].asInt()), params["shift"].asDouble(),
                                        TimeGrid::Diffusers);
    const auto latents = reference.tensor("in.latents")[0];
    const auto plan = synchronousPlan(Sampler::UniPc, schedule, static_cast<int>(latents.size(1)));
    const auto stored = reference.tensor("mid.latents");
    auto state = startState(plan, latents);
    DenoiseEvents events;
    events.rowDone = [&](int row, int, double) {
        expectClose(state.latents, stored[row][0], reference.tolerance(),
                    "latents after step " + std::to_string(row));
    };
    denoise(*dit, conditioning, plan, state, {}, events, {});
    expectClose(state.latents, reference.tensor("out.latents")[0], reference.tolerance(), "out.latents");
    expectClose(decodePreClamp(*vae, state.latents), reference.tensor("out.video_pre_clamp")[0], 5e-3,
                "out.video_pre_clamp");
}

void checkPipelineSkyReels(const ParityCase& reference) {
    const auto& params = reference.json()["params"];
    const auto transformer = reference.sibling(reference.json()["weights_from"].asArray().front().asString());
    const auto latents = reference.tensor("in.latents")[0];
    const auto embeds = reference.tensor("in.prompt_embeds");
    const auto frames = static_cast<int>(latents.size(1));
    for (const auto& file : transformer.weightFiles()) {
        CAPTURE(file.string());
        const auto dit = loadDit(ditConfig(transformer), file);
        for (const auto& run : params["runs"].asArray()) {
            const auto& v = run.asArray();
            const std::string name = v[0].asString();
            CAPTURE(name);
            const auto block = static_cast<int>(v[3].asInt(1));
            Conditioning conditioning;
            conditioning.prompt = dit->embedText(embeds[0]);
            conditioning.negative = dit->embedText(embeds[1]);
            conditioning.guidance = v[5].asDouble();
            conditioning.fpsIndex = params["fps"].asInt() == 16 ? 0 : 1;
            const auto schedule =
                uniPcSchedule(static_cast<int>(v[1].asInt()), v[4].asDouble(), TimeGrid::Diffusers);
            const DiffusionForcingSetting setting{frames, frames, static_cast<int>(v[2].asInt()), 0, block};
            const auto plan = forcingPlan(Sampler::UniPc, schedule, setting, block > 1);
            const auto matrix = reference.tensor(name + ".step_matrix");
            const auto stored = reference.tensor(name + ".latents");
            REQUIRE(static_cast<std::int64_t>(plan.rows.size()) == stored.size(0));
            auto state = startState(plan, latents);
            DenoiseEvents events;
            events.rowDone = [&](int row, int, double) {
                expectEqual(at::tensor(plan.rows[static_cast<std::size_t>(row)].timesteps,
                                       at::TensorOptions(at::kDouble)),
                            matrix[row], name + ".step_matrix");
                expectClose(state.latents, stored[row][0], reference.tolerance(),
                            name + " latents after row " + std::to_string(row));
            };
            denoise(*dit, conditioning, plan, state, {}, events, {});
        }
    }
}

} // namespace canopy::test
