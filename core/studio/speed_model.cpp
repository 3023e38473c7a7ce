#include "core/studio/speed_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/studio/speed_stops.h"

namespace canopy {
namespace {

constexpr double kLeastSpread = 0.04;       ///< of one job against the next on a quiet machine
constexpr double kSpreadPerDoubling = 0.05; ///< beyond the measured sizes

/// Two-sided 90 % quantile of Student's t.
double studentT(double freedom) {
    constexpr std::pair<double, double> kTable[] = {
        {1, 6.314},  {2, 2.920},  {3, 2.353},  {4, 2.132},  {5, 2.015},  {6, 1.943},  {8, 1.860},
        {10, 1.812}, {15, 1.753}, {20, 1.725}, {30, 1.697}, {60, 1.671}, {120, 1.658}};
    for (const auto& [at, t] : kTable)
        if (freedom <= at)
            return t;
    return 1.645;
}

/// Solves the symmetric system by Gauss with pivoting; empty when it is singular.
std::vector<double> solve(std::vector<std::vector<double>> m, std::vector<double> b) {
    const std::size_t n = b.size();
    for (std::size_t i = 0; i < n; ++i) {
        std::size_t pivot = i;
        for (std::size_t r = i + 1; r < n; ++r)
            if (std::abs(m[r][i]) > std::abs(m[pivot][i]))
                pivot = r;
        if (std::abs(m[pivot][i]) < 1e-12)
            return {};
        std::swap(m[i], m[pivot]);
        std::swap(b[i], b[pivot]);
        for (std::size_t r = 0; r < n; ++r) {
            if (r == i)
                continue;
            const double f = m[r][i] / m[i][i];
            for (std::size_t c = i; c < n; ++c)
                m[r][c] -= f * m[i][c];
            b[r] -= f * b[i];
        }
    }
    for (std::size_t i = 0; i < n; ++i)
        b[i] /= m[i][i];
    return b;
}

} // namespace

std::vector<double> fitRelative(const std::vector<std::vector<double>>& rows, const std::vector<double>& y) {
    const std::size_t columns = rows.empty() ? 0 : rows.front().size();
    std::vector<double> scale(columns, 0); // columns of very different size are made alike first
    for (std::size_t i = 0; i < rows.size(); ++i)
        for (std::size_t c = 0; c < columns; ++c)
            scale[c] = std::max(scale[c], std::abs(rows[i][c] / y[i]));
    std::vector<double> best(columns, 0);
    double bestError = std::numeric_limits<double>::infinity();
    for (std::size_t subset = 1; subset < (std::size_t{1} << columns); ++subset) {
        std::vector<std::size_t> used;
        for (std::size_t c = 0; c < columns; ++c)
            if ((subset >> c & 1) != 0 && scale[c] > 0)
                used.push_back(c);
        if (used.empty() || used.size() > rows.size())
            continue;
        std::vector<std::vector<double>> normal(used.size(), std::vector<double>(used.size(), 0));
        std::vector<double> right(used.size(), 0);
        for (std::size_t i = 0; i < rows.size(); ++i)
            for (std::size_t p = 0; p < used.size(); ++p) {
                const double a = rows[i][used[p]] / y[i] / scale[used[p]];
                right[p] += a;
                for (std::size_t q = 0; q < used.size(); ++q)
                    normal[p][q] += a * rows[i][used[q]] / y[i] / scale[used[q]];
            }
        const auto x = solve(normal, right);
        if (x.empty() || std::any_of(x.begin(), x.end(), [](double v) { return v < 0; }))
            continue;
        double error = 0;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            double sum = 0;
            for (std::size_t p = 0; p < used.size(); ++p)
                sum += rows[i][used[p]] / y[i] / scale[used[p]] * x[p];
            error += (sum - 1) * (sum - 1);
        }
        // A coefficient more has to earn its place.
        if (error < bestError - 1e-12) {
            bestError = error;
            std::fill(best.begin(), best.end(), 0);
            for (std::size_t p = 0; p < used.size(); ++p)
                best[used[p]] = x[p] / scale[used[p]];
        }
    }
    return best;
}

SpeedModel::SpeedModel(SpeedRecord record)
    : m_record(std::move(record)) {}

Result<SpeedModel> SpeedModel::fit(SpeedRecord record) {
    SpeedModel model(std::move(record));
    std::vector<std::vector<double>> dense, rest;
    std::vector<double> denseSeconds, restSeconds;
    model.m_leastTokens = std::numeric_limits<double>::infinity();
    for (const SpeedSample& s : model.m_record.samples) {
        const double n = static_cast<double>(s.tokens);
        if (s.denseStepSeconds > 0) {
            dense.push_back({1, n, n * n});
            denseSeconds.push_back(s.denseStepSeconds / s.branches);
        }
        if (s.restSeconds > 0) {
            rest.push_back({1, static_cast<double>(s.pixels)});
            restSeconds.push_back(s.restSeconds);
        }
        if (s.stop == "dense") {
            model.m_leastTokens = std::min(model.m_leastTokens, n);
            model.m_mostTokens = std::max(model.m_mostTokens, n);
        }
    }
    if (model.m_mostTokens <= model.m_leastTokens)
        return makeError(
            ErrorCode::InvalidArgument,
            "Dense clips of one size were measured; two sizes at least are needed to predict others.");
    model.m_dense = fitRelative(dense, denseSeconds);
    model.m_rest = fitRelative(rest, restSeconds);

    std::map<std::string, std::map<double, std::vector<double>>> ratios;
    for (const SpeedSample& s : model.m_record.samples)
        if (s.sparseStepSeconds > 0)
            ratios[s.stop][static_cast<double>(s.tokens)].push_back(
                s.sparseStepSeconds / s.branches / model.denseStep(static_cast<double>(s.tokens)));
    for (const auto& [stop, sizes] : ratios)
        for (const auto& [tokens, values] : sizes) {
            double sum = 0;
            for (const double v : values)
                sum += v;
            model.m_ratios[stop][tokens] = sum / static_cast<double>(values.size());
        }

    double squares = 0;
    int jobs = 0;
    for (const SpeedSample& s : model.m_record.samples) {
        const auto predicted =
            model.seconds(s.stop, static_cast<double>(s.tokens), static_cast<double>(s.pixels), s.branches,
                          s.steps, s.denseSteps);
        if (!predicted)
            continue;
        const double measured = s.restSeconds + s.denseSteps * s.denseStepSeconds +
                                (s.steps - s.denseSteps) * s.sparseStepSeconds;
        const double error = measured / *predicted - 1;
        squares += error * error;
        ++jobs;
    }
    // The dense step and the rest took up to five coefficients; each stop one a size.
    int coefficients = 0;
    for (const auto* fitted : {&model.m_dense, &model.m_rest})
        coefficients +=
            static_cast<int>(std::count_if(fitted->begin(), fitted->end(), [](double v) { return v > 0; }));
    for (const auto& [stop, sizes] : model.m_ratios)
        coefficients += static_cast<int>(sizes.size());
    const double freedom =
        std::max(1, 2 * jobs - coefficients); // steps and rest of every job were fitted apart
    const double spread = std::max(kLeastSpread, std::sqrt(squares / std::max(1, jobs - 2)));
    model.m_spread = studentT(freedom) * spread * std::sqrt(1 + 1.0 / std::max(1, jobs));
    return model;
}

double SpeedModel::denseStep(double tokens) const {
    return m_dense[0] + m_dense[1] * tokens + m_dense[2] * tokens * tokens;
}

double SpeedModel::attentionShare(std::int64_t tokens) const {
    const double n = static_cast<double>(tokens);
    return m_dense[2] * n * n / denseStep(n);
}

std::optional<double> SpeedModel::ratio(std::string_view stop, double tokens) const {
    const auto found = m_ratios.find(stop);
    if (found == m_ratios.end())
        return std::nullopt;
    const auto& sizes = found->second;
    const auto above = sizes.lower_bound(tokens);
    if (above == sizes.begin())
        return above->second;
    const auto below = std::prev(above);
    if (above == sizes.end())
        return below->second;
    const double share = std::log(tokens / below->first) / std::log(above->first / below->first);
    return below->second + share * (above->second - below->second);
}

std::optional<double> SpeedModel::seconds(std::string_view stop, double tokens, double pixels, int branches,
                                          int steps, int denseSteps) const {
    const double step = branches * denseStep(tokens);
    double sum = m_rest[0] + m_rest[1] * pixels + denseSteps * step;
    if (steps > denseSteps) {
        const auto q = ratio(stop, tokens);
        if (!q)
            return std::nullopt;
        sum += (steps - denseSteps) * *q * step;
    }
    return sum;
}

std::optional<SpeedPrediction> SpeedModel::predict(const GenerationRequest& r, std::string_view stop) const {
    const double tokens = static_cast<double>(videoTokens(r));
    const double pixels = static_cast<double>(r.width) * r.height * r.frames;
    if (tokens < 1 || r.steps < 1)
        return std::nullopt;
    const int dense = stop == "dense" ? r.steps : attentionOf(stop, r.steps).warmup;
    const auto sum = seconds(stop, tokens, pixels, r.guidance == 1.0 ? 1 : 2, r.steps, dense);
    if (!sum)
        return std::nullopt;
    const double beyond = tokens < m_leastTokens  ? std::log2(m_leastTokens / tokens)
                          : tokens > m_mostTokens ? std::log2(tokens / m_mostTokens)
                                                  : 0;
    const double width = m_spread + kSpreadPerDoubling * beyond;
    return SpeedPrediction{*sum, *sum * std::exp(-width), *sum * std::exp(width)};
}

} // namespace canopy
