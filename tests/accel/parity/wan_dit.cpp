#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <doctest/doctest.h>

#include "accel/models/wan/dit.h"
#include "tests/accel/parity/models.h"
#include "tests/support/parity_case.h"

namespace canopy::test {

using namespace canopy::accel;

namespace {

/// Keeps the hidden states behind every layer.
struct Tap : LayerBoundary {
    void passed(int layer, Branch, at::Tensor& hidden) override { states[layer] = hidden.clone(); }
    std::map<int, at::Tensor> states;
};

void expectPart(const ParityCase& reference, const std::string& name, const at::Tensor& ours,
                std::int64_t row) {
    if (!reference.has(name))
        return;
    const auto stored = reference.tensor(name);
    expectClose(ours, stored.dim() == ours.dim() + 1 ? stored[row] : stored, reference.tolerance(), name);
}

} // namespace

void checkWanDit(const ParityCase& reference) {
    const auto config = ditConfig(reference);
    const auto latents = reference.tensor("in.hidden_states");
    const auto text = reference.tensor("in.encoder_hidden_states");
    const auto timestep = reference.tensor("in.timestep");
    for (const auto& file : reference.weightFiles()) {
        CAPTURE(file.string());
        const auto dit = loadDit(config, file);
        const auto sample = reference.tensor("out.sample");
        for (std::int64_t b = 0; b < latents.size(0); ++b) {
            CAPTURE(b);
            Tap tap;
            ForwardContext context;
            context.grid = dit->grid(latents[b]);
            context.boundary = &tap;
            const auto time = timestep.narrow(0, b, 1).to(at::kFloat);
            const auto embedded = dit->embedText(text[b]);
            expectPart(reference, "mid.text_embedding", embedded, b);
            expectPart(reference, "mid.time_sinusoid", timeSinusoid(time, config.freqDim)[0], b);
            auto state = dit->embed(latents[b], time, embedded, 0, context);
            expectPart(reference, "mid.temb", state.time[0], b);
            expectPart(reference, "mid.timestep_proj", state.modulation[0], b);
            expectPart(reference, "mid.patch_embedding", state.hidden, b);
            if (b == 0) {
                expectClose(state.rope.cos, reference.tensor("mid.rope_cos"), reference.tolerance(),
                            "rope cos");
                expectClose(state.rope.sin, reference.tensor("mid.rope_sin"), reference.tolerance(),
                            "rope sin");
            }
            dit->layers(0, config.layers, state, context);
            expectPart(reference, "mid.block0", tap.states.at(0), b);
            expectPart(reference, "mid.block_last", tap.states.at(config.layers - 1), b);
            expectClose(dit->head(state, context), sample[b], reference.tolerance(), "out.sample");
        }
    }
}

void checkSkyReelsDit(const ParityCase& reference) {
    const auto config = ditConfig(reference);
    const auto latents = reference.tensor("in.hidden_states")[0];
    const auto text = reference.tensor("in.encoder_hidden_states")[0];
    for (const auto& file : reference.weightFiles()) {
        CAPTURE(file.string());
        const auto dit = loadDit(config, file);
        for (const auto& variant : reference.json()["variants"].asArray()) {
            const std::string name = variant["name"].asString();
            CAPTURE(name);
            Tap tap;
            ForwardContext context;
            context.grid = dit->grid(latents);
            context.boundary = &tap;
            const auto block = static_cast<int>(variant["causal_block_frames"].asInt());
            context.causalBlockFrames = block > 1 ? block : 0;
            const auto time = reference.tensor(name + ".in.timestep").reshape({-1}).to(at::kFloat);
            const auto fps = static_cast<int>(variant["fps_index"].asInt());
            auto state = dit->embed(latents, time, dit->embedText(text), fps, context);
            expectPart(reference, name + ".mid.temb", state.time, 0);
            dit->layers(0, config.layers, state, context);
            expectPart(reference, name + ".mid.block0", tap.states.at(0), 0);
            expectPart(reference, name + ".mid.block_last", tap.states.at(config.layers - 1), 0);
            expectClose(dit->head(state, context), reference.tensor(name + ".out.sample")[0],
                        reference.tolerance(), name + ".out.sample");
        }
    }
}

} // namespace canopy::test
