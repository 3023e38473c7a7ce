#include "core/studio/attention_account.h"

#include <algorithm>
#include <vector>

namespace canopy {

namespace {

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

bool isDense(const AttentionStep& step) {
    return std::all_of(step.calls.begin(), step.calls.end(),
                       [](const AttentionRecord& r) { return r.mode == AttentionRecord::Mode::Warmup; });
}

} // namespace

double speedupModel(double f, double w, double rho, double eta, double o) {
    return 1 / ((1 - f) + f * (w + (1 - w) * (rho / eta + o)));
}

AttentionAccount accountOf(const RunTelemetry& run) {
    AttentionAccount account;
    std::vector<double> denseStep, denseAttention;
    double sparseAttention = 0, choosing = 0, kept = 0;
    int heads = 0;
    for (const auto& step : run.steps) {
        account.measured += step->seconds;
        ++account.steps;
        double attention = 0;
        for (const AttentionRecord& call : step->calls) {
            attention += call.attentionSeconds;
            choosing += call.estimateSeconds;
            for (const auto& head : call.heads) {
                ++heads;
                kept += head.keptShare;
                account.choicesAvoided += head.reason == RefreshReason::Reused;
            }
        }
        if (isDense(*step)) {
            ++account.denseSteps;
            denseStep.push_back(step->seconds);
            denseAttention.push_back(attention);
        } else {
            sparseAttention += attention;
        }
    }
    if (heads > 0) {
        account.keptShare = kept / heads;
        account.reusedShare = double(account.choicesAvoided) / heads;
    }
    const int sparseSteps = account.steps - account.denseSteps;
    if (denseStep.empty() || sparseSteps == 0)
        return account;

    AttentionAccount::AgainstDense d;
    const double step = median(denseStep), attention = median(denseAttention);
    d.denseSeconds = step * account.steps;
    d.skipped = attention * sparseSteps - sparseAttention;
    d.choosing = choosing;
    d.rest = account.measured - (d.denseSeconds - d.skipped + d.choosing);
    d.density = account.keptShare;
    d.warmupShare = double(account.denseSteps) / account.steps;
    if (step <= 0 || attention <= 0 || sparseAttention <= 0 || account.measured <= 0)
        return account;
    d.attentionShare = attention / step;
    d.efficiency = d.density * attention * sparseSteps / sparseAttention;
    d.overhead = choosing / (attention * sparseSteps);
    d.measuredFactor = d.denseSeconds / account.measured;
    d.modelFactor = speedupModel(d.attentionShare, d.warmupShare, d.density, d.efficiency, d.overhead);
    account.dense = d;
    return account;
}

} // namespace canopy
