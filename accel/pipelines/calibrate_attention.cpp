#include "accel/pipelines/calibrate_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>

#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "accel/nn/attention.h"
#include "accel/pipelines/denoise.h"
#include "accel/pipelines/encode_prompt.h"
#include "accel/pipelines/generate_video.h"
#include "accel/pipelines/numeric_error.h"
#include "accel/pipelines/velocity_bands.h"
#include "accel/policies/attention/threshold_profile.h"
#include "accel/policies/attention_policies.h"

namespace canopy::accel {

namespace {

/// Heads to be measured at one step of one prompt, by layer.
using PointHeads = std::map<int, std::vector<int>>;
/// By step, ascending.
using PromptPoints = std::map<int, PointHeads>;

/// What is left to measure, by prompt.
std::map<int, PromptPoints> openPoints(const CalibrationRequest& r, const DitConfig& dit) {
    std::set<std::tuple<int, int, int>> done;
    for (std::size_t i = 0; i + 2 < r.measured.size(); i += 3)
        done.emplace(r.measured[i], r.measured[i + 1], r.measured[i + 2]);
    const auto samples = calibrationSamples(dit.layers, dit.heads, static_cast<int>(r.prompts.size()),
                                            r.clip.steps, r.clip.attention.warmup, r.clip.seed);
    std::map<int, PromptPoints> points;
    for (int layer = 0; layer < dit.layers; ++layer)
        for (int head = 0; head < dit.heads; ++head) {
            const HeadSample& sample =
                samples[static_cast<std::size_t>(layer)][static_cast<std::size_t>(head)];
            for (const int step : sample.steps)
                if (!done.contains({layer, head, step}))
                    points[sample.prompt][step][layer].push_back(head);
        }
    return points;
}

/// Dense attention that keeps one layer's call and result.
class RecordingAttention : public AttentionPolicy {
public:
    at::Tensor attend(const AttentionCall& call) override {
        m_call = call;
        m_output = denseAttention(call);
        return m_output;
    }
    const AttentionCall& call() const { return m_call; }
    const at::Tensor& output() const { return m_output; }

private:
    AttentionCall m_call; ///< of the last layer that ran
    at::Tensor m_output;
};

/// A given result for one layer, dense attention for those above.
class ReplacedAttention : public AttentionPolicy {
public:
    ReplacedAttention(int layer, at::Tensor output)
        : m_layer(layer)
        , m_output(std::move(output)) {}
    at::Tensor attend(const AttentionCall& call) override {
        return call.layer == m_layer ? m_output : denseAttention(call);
    }

private:
    int m_layer;
    at::Tensor m_output;
};

AttentionCall oneHead(AttentionCall call, int head) {
    call.q = call.q.narrow(2, head, 1);
    call.k = call.k.narrow(2, head, 1);
    call.v = call.v.narrow(2, head, 1);
    return call;
}

class Calibration {
public:
    Calibration(LoadedModel& model, const CalibrationRequest& request, const CalibrationOptions& options,
                CalibrationObserver& observer, std::stop_token stop)
        : m_model(model)
        , m_request(request)
        , m_options(options)
        , m_observer(observer)
        , m_stop(std::move(stop))
        , m_points(openPoints(request, model.record().dit))
        , m_layers(model.record().dit.layers)
        , m_guided(request.clip.guidance != 1.0) {
        for (const double tau : request.grid) {
            AttentionSettings settings = request.clip.attention;
            settings.tau = tau;
            m_hosts.push_back(makeSparseHost(settings));
        }
    }

    void run() {
        if (m_points.empty())
            return;
        m_observer.stage("load", 0, 2);
        m_model.textEncoder(m_stop);
        m_observer.stage("text", 0, 1);
        std::map<int, at::Tensor> prompts;
        for (const auto& [prompt, points] : m_points)
            prompts[prompt] =
                encodePrompt(m_model, m_request.prompts[static_cast<std::size_t>(prompt)], m_stop);
        const at::Tensor negative =
            m_guided ? encodePrompt(m_model, m_request.clip.negativePrompt, m_stop) : at::Tensor();
        m_observer.stage("text", 1, 1);
        if (!keepsWholeModel(m_model.record(), m_request.clip)) {
            m_model.dropTextEncoder();
            if (m_options.releaseMemory)
                m_options.releaseMemory();
        }
        m_observer.stage("load", 1, 2);
        m_dit = &m_model.transformer(m_stop);
        m_observer.stage("load", 2, 2);

        for (const auto& [prompt, points] : m_points)
            m_blocks += blocksOf(points);
        advance(0);
        Conditioning conditioning;
        conditioning.guidance = m_request.clip.guidance;
        conditioning.fpsIndex = fpsIndexOf(m_request.clip, m_model.record().defaults);
        if (m_guided)
            conditioning.negative = m_dit->embedText(negative);
        for (const auto& [prompt, points] : m_points) {
            conditioning.prompt = m_dit->embedText(prompts.at(prompt));
            measurePrompt(conditioning, points);
        }
    }

private:
    bool measuresErrors() const { return m_request.procedure == CalibrationProcedure::Error; }

    /// Transformer blocks that a prompt takes: the dense run, and at each point the reference, the walk and
    /// the forks.
    int blocksOf(const PromptPoints& points) const {
        int blocks = points.rbegin()->first * m_layers * (m_guided ? 2 : 1);
        for (const auto& [step, layers] : points) {
            blocks += (measuresErrors() ? 2 : 1) * m_layers;
            for (const auto& [layer, heads] : layers)
                if (measuresErrors())
                    blocks += static_cast<int>(heads.size() * m_hosts.size()) * (m_layers - layer);
        }
        return blocks;
    }
    void advance(int blocks) {
        m_blocksDone += blocks;
        m_observer.stage("calibrate", m_blocksDone, m_blocks);
    }

    void measurePrompt(const Conditioning& conditioning, const PromptPoints& points) {
        const GenerationRequest& clip = m_request.clip;
        const int frames = latentFrames(clip.frames);
        const auto noise = initialNoise(clip.seed, m_model.record().vae.latentChannels, frames,
                                        clip.height / 8, clip.width / 8);
        const DenoisePlan whole = synchronousPlan(clip.sampler, scheduleOf(clip), frames);
        DenoiseState state = startState(whole, noise.to(m_model.device()));
        DenoiseEvents events;
        events.pace = m_options.pace;
        events.rowDone = [&](int, int, double) { advance(m_layers * (m_guided ? 2 : 1)); };
        for (const auto& [step, layers] : points) {
            DenoisePlan plan = whole;
            plan.rows.resize(static_cast<std::size_t>(step));
            denoise(*m_dit, conditioning, plan, state, {}, events, m_stop);
            measurePoint(conditioning, state.latents,
                         whole.schedule.timesteps[static_cast<std::size_t>(step)], step, layers);
        }
    }

    ForwardContext contextOf(const TokenGrid& grid, int step, AttentionPolicy* attention) const {
        ForwardContext context;
        context.step = step;
        context.grid = grid;
        context.stop = m_stop;
        context.attention = attention;
        context.blockDone = [this](int) {
            if (m_options.pace)
                m_options.pace();
        };
        return context;
    }

    void measurePoint(const Conditioning& conditioning, const at::Tensor& latents, double timestep, int step,
                      const PointHeads& layers) {
        const auto time =
            at::tensor(std::vector<float>{static_cast<float>(timestep)}, at::kFloat).to(latents.device());
        RecordingAttention dense;
        const TokenGrid grid = m_dit->grid(latents);
        const ForwardContext context = contextOf(grid, step, &dense);
        at::Tensor reference;
        if (measuresErrors()) {
            reference = finite(m_dit->velocity(latents, time, conditioning.prompt, conditioning.fpsIndex,
                                               contextOf(grid, step, nullptr)),
                               step);
            advance(m_layers);
        }
        auto state = m_dit->embed(latents, time, conditioning.prompt, conditioning.fpsIndex, context);
        for (int layer = 0; layer < m_layers; ++layer) {
            const WanDit::State entering = state;
            m_dit->layers(layer, layer + 1, state, context);
            advance(1);
            if (!layers.contains(layer))
                continue;
            for (const int head : layers.at(layer))
                m_observer.measured(measuresErrors() ? measureErrors(entering, dense, reference, head, step)
                                                     : profile(dense.call(), head, step));
        }
    }

    HeadMeasurement measureErrors(const WanDit::State& entering, const RecordingAttention& dense,
                                  const at::Tensor& reference, int head, int step) {
        const AttentionCall alone = oneHead(dense.call(), head);
        const int layer = alone.layer;
        HeadMeasurement out;
        out.layer = layer;
        out.head = head;
        out.step = step;
        at::Tensor last; // of the candidate before
        for (const auto& host : m_hosts) {
            std::unique_ptr<SparseMask> mask;
            host->choose(alone, {0}, mask);
            out.sparsity.push_back(1 - host->keptShare(*mask).front());
            const at::Tensor attended = host->attend(alone, *mask);
            if (last.defined() && attended.equal(last)) {
                out.bandError.push_back(out.bandError.back());
            } else {
                at::Tensor replaced = dense.output().clone();
                replaced.narrow(2, head, 1).copy_(attended);
                ReplacedAttention fork(layer, replaced);
                WanDit::State state = entering;
                const ForwardContext context = contextOf(alone.grid, step, &fork);
                m_dit->layers(layer, m_layers, state, context);
                out.bandError.push_back(bandErrors(finite(m_dit->head(state, context), step), reference));
            }
            last = attended;
            advance(m_layers - layer);
        }
        return out;
    }

    HeadMeasurement profile(const AttentionCall& call, int head, int step) const {
        AttentionSettings settings = m_request.clip.attention;
        const AttentionCall alone = oneHead(call, head);
        settings.tau = profiledThreshold(alone, 0, settings.stride);
        std::unique_ptr<SparseMask> mask;
        const auto host = makeSparseHost(settings);
        host->choose(alone, {0}, mask);
        HeadMeasurement out;
        out.layer = call.layer;
        out.head = head;
        out.step = step;
        out.profileTau = settings.tau;
        out.sparsity.push_back(1 - host->keptShare(*mask).front());
        return out;
    }

    static at::Tensor finite(at::Tensor velocity, int step) {
        if (!at::isfinite(velocity).all().item<bool>())
            throw NumericError("numbers overflowed in the velocity", step);
        return velocity;
    }

    LoadedModel& m_model;
    const CalibrationRequest& m_request;
    const CalibrationOptions& m_options;
    CalibrationObserver& m_observer;
    const std::stop_token m_stop;
    const std::map<int, PromptPoints> m_points;
    const int m_layers;
    const bool m_guided;
    std::vector<std::unique_ptr<SparseHost>> m_hosts; ///< one for each candidate
    const WanDit* m_dit = nullptr;
    int m_blocksDone = 0;
    int m_blocks = 0;
};

} // namespace

void calibrateAttention(LoadedModel& model, const CalibrationRequest& request,
                        const CalibrationOptions& options, CalibrationObserver& observer,
                        const std::stop_token& stop) {
    Calibration(model, request, options, observer, stop).run();
}

} // namespace canopy::accel
