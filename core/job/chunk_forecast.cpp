#include "core/job/chunk_forecast.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace canopy {
namespace {

struct Mean {
    double sum = 0;
    double squares = 0;
    int count = 0;

    void add(double v) {
        sum += v;
        squares += v * v;
        ++count;
    }
    std::optional<double> value() const { return count ? std::optional(sum / count) : std::nullopt; }
    double deviation() const {
        return count > 1 ? std::sqrt(std::max(0.0, squares / count - sum / count * (sum / count))) : 0;
    }
};

bool isReuse(const ChunkStepRecord& step) {
    return step.decision == ChunkDecision::Reuse;
}

/// The step is planned as a reused one before it has run.
bool plansReuse(const ChunkRun& run, int step) {
    const auto k = static_cast<std::size_t>(step);
    return k < run.staticReuse.size() && run.staticReuse[k];
}

} // namespace

ChunkForecast chunkForecast(const ChunkRecord& record, double betweenRows) {
    ChunkForecast out;
    if (!record.run)
        return out;
    const ChunkRun& run = *record.run;
    out.secondsLeft.assign(static_cast<std::size_t>(std::max(0, run.chunks)), 0);
    std::vector<Mean> byStep(static_cast<std::size_t>(std::max(0, run.steps)));
    std::vector<int> next(out.secondsLeft.size(), 0);
    Mean computed, reused;
    for (const auto& row : record.rows) {
        for (const auto& step : row.chunks) {
            const double seconds = step.milliseconds / 1000;
            byStep[static_cast<std::size_t>(step.step)].add(seconds);
            (isReuse(step) ? reused : computed).add(seconds);
            auto& own = next[static_cast<std::size_t>(step.chunk)];
            own = std::max(own, step.step + 1);
        }
    }
    const auto anyStep = computed.value() ? computed.value() : reused.value();
    if (!anyStep)
        return out;
    const double perChunk =
        record.done.empty() ? 0 : std::max(0.0, betweenRows) / static_cast<double>(record.done.size());
    const int given =
        run.segments.empty() ? 0 : run.segments.front().firstChunk + run.segments.front().prefixChunks;
    double variance = 0;
    for (int c = given; c < run.chunks; ++c) {
        const auto i = static_cast<std::size_t>(c);
        for (int k = next[i]; k < run.steps; ++k) {
            const Mean& same = byStep[static_cast<std::size_t>(k)];
            const auto kind = plansReuse(run, k) && reused.value() ? reused.value() : anyStep;
            out.secondsLeft[i] += same.value().value_or(*kind);
            const double deviation = same.count > 1 ? same.deviation() : *kind * 0.3;
            variance += deviation * deviation;
        }
        if (next[i] < run.steps)
            out.secondsLeft[i] += perChunk;
        out.seconds += out.secondsLeft[i];
    }
    // Steps err together as well as each for itself.
    out.spread = std::sqrt(variance) + out.seconds * (record.done.empty() ? 0.3 : 0.08);
    return out;
}

} // namespace canopy
