#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "core/evaluation/calibration_run.h"
#include "core/evaluation/line_journal.h"
#include "core/job/threshold_budget.h"

namespace canopy::evaluation {
namespace {

Error incomplete(const std::string& what) {
    return makeError(ErrorCode::Malformed,
                     "The calibration cannot be finished: " + what +
                         ". Start it anew; its journal is damaged or of another version.");
}

/// Adds one sample's share to the means of a head.
Result<void> addSample(CalibratedHead& head, const HeadMeasurement& m, const CalibrationRequest& r) {
    const bool isError = r.procedure == CalibrationProcedure::Error;
    const std::size_t candidates = isError ? r.grid.size() : 1;
    if (m.sparsity.size() != candidates || m.bandError.size() != (isError ? candidates : 0))
        return incomplete("a measurement does not have one figure for each candidate threshold");
    head.candidates.resize(candidates);
    const double share = 1.0 / static_cast<double>(head.sample.steps.size());
    head.tau += share * m.profileTau;
    for (std::size_t k = 0; k < candidates; ++k) {
        HeadCandidate& candidate = head.candidates[k];
        candidate.sparsity += share * m.sparsity[k];
        for (std::size_t q = 0; isError && q < kErrorBands; ++q)
            candidate.bandError[q] += share * m.bandError[k][q];
    }
    return {};
}

/// To five digits: more says nothing about four samples, and files stay small.
double rounded(double v) {
    if (!(std::abs(v) > 0))
        return 0;
    const double scale = std::pow(10, 4 - std::floor(std::log10(std::abs(v))));
    return std::round(v * scale) / scale;
}

void roundFigures(CalibratedHead& head, const std::array<double, kErrorBands>& weights) {
    head.tau = std::clamp(rounded(head.tau), 0.0, 1.0);
    for (HeadCandidate& candidate : head.candidates) {
        candidate.sparsity = std::clamp(rounded(candidate.sparsity), 0.0, 1.0);
        candidate.error = 0;
        for (std::size_t q = 0; q < kErrorBands; ++q) {
            candidate.bandError[q] = rounded(candidate.bandError[q]);
            candidate.error += weights[q] * candidate.bandError[q];
        }
        candidate.error = rounded(candidate.error);
    }
}

void choose(AttentionCalibration& c) {
    std::vector<std::vector<ThresholdOption>> options;
    const auto shared = std::find(c.grid.begin(), c.grid.end(), c.host.tau) - c.grid.begin();
    double budget = 0;
    for (const auto& layer : c.heads) {
        for (const CalibratedHead& head : layer) {
            options.emplace_back();
            for (const HeadCandidate& candidate : head.candidates)
                options.back().push_back({candidate.error, candidate.sparsity});
            budget += options.back()[static_cast<std::size_t>(shared)].sparsity;
        }
    }
    c.budget = budget / static_cast<double>(options.size());
    const ThresholdChoice choice = chooseThresholds(options, c.budget, static_cast<int>(shared));
    c.lambda = choice.lambda;
    c.gap = choice.gap;
    std::size_t i = 0;
    for (auto& layer : c.heads)
        for (CalibratedHead& head : layer)
            head.tau = c.grid[static_cast<std::size_t>(choice.option[i++])];
}

} // namespace

Result<AttentionCalibration> calibrationFrom(const CalibrationRequest& r, const ModelRecord& model,
                                             const std::vector<HeadMeasurement>& measurements) {
    AttentionCalibration c;
    c.modelId = model.id;
    c.modelLabel = model.defaults.label;
    c.host = r.clip.attention;
    c.host.reuse = MaskReuse::Off;
    c.width = r.clip.width;
    c.height = r.clip.height;
    c.frames = r.clip.frames;
    c.tokens = videoTokens(r.clip);
    c.steps = r.clip.steps;
    c.shift = r.clip.shift;
    c.guidance = r.clip.guidance;
    c.seed = r.clip.seed;
    c.prompts = static_cast<int>(r.prompts.size());
    c.promptsHash = hashOf(r.prompts);
    c.procedure = r.procedure;
    c.paper = r.paper;
    if (r.procedure == CalibrationProcedure::Error)
        c.grid = r.grid;

    std::map<std::tuple<int, int, int>, const HeadMeasurement*> byPlace;
    for (const HeadMeasurement& m : measurements)
        byPlace[{m.layer, m.head, m.step}] = &m;
    const auto samples =
        calibrationSamples(model.dit.layers, model.dit.heads, c.prompts, c.steps, c.host.warmup, c.seed);
    for (int layer = 0; layer < model.dit.layers; ++layer) {
        c.heads.emplace_back();
        for (int h = 0; h < model.dit.heads; ++h) {
            CalibratedHead head;
            head.sample = samples[static_cast<std::size_t>(layer)][static_cast<std::size_t>(h)];
            for (const int step : head.sample.steps) {
                const auto found = byPlace.find({layer, h, step});
                if (found == byPlace.end())
                    return incomplete("layer " + std::to_string(layer + 1) + ", head " +
                                      std::to_string(h + 1) + " was not measured at step " +
                                      std::to_string(step + 1));
                if (auto added = addSample(head, *found->second, r); !added)
                    return added.error();
            }
            roundFigures(head, c.weights);
            c.heads.back().push_back(std::move(head));
        }
    }
    if (c.procedure == CalibrationProcedure::Error)
        choose(c);
    return c;
}

} // namespace canopy::evaluation
