#include "core/job/reuse_fit.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <set>
#include <string>
#include <utility>

namespace canopy {

namespace {

constexpr std::size_t kTerms = 5;
using Terms = std::array<double, kTerms>;

/// Powers 4 to 0.
Terms powersOf(double x) {
    return {x * x * x * x, x * x * x, x * x, x, 1};
}

double dot(const Terms& a, const Terms& b) {
    double sum = 0;
    for (std::size_t i = 0; i < kTerms; ++i)
        sum += a[i] * b[i];
    return sum;
}

/// Gauss with row pivots. The matrix is regular: the samples have at least five different abscissae.
Terms solve(std::array<Terms, kTerms> a, Terms b) {
    for (std::size_t column = 0; column < kTerms; ++column) {
        std::size_t pivot = column;
        for (std::size_t row = column + 1; row < kTerms; ++row)
            if (std::abs(a[row][column]) > std::abs(a[pivot][column]))
                pivot = row;
        std::swap(a[column], a[pivot]);
        std::swap(b[column], b[pivot]);
        for (std::size_t row = column + 1; row < kTerms; ++row) {
            const double factor = a[row][column] / a[column][column];
            for (std::size_t i = column; i < kTerms; ++i)
                a[row][i] -= factor * a[column][i];
            b[row] -= factor * b[column];
        }
    }
    Terms x{};
    for (std::size_t row = kTerms; row-- > 0;) {
        double rest = b[row];
        for (std::size_t i = row + 1; i < kTerms; ++i)
            rest -= a[row][i] * x[i];
        x[row] = rest / a[row][row];
    }
    return x;
}

} // namespace

std::vector<double> timeChanges(const ChunkRun& run) {
    std::vector<double> changes(run.staticSums.size(), 0);
    for (std::size_t k = 1; k + 1 < changes.size(); ++k)
        changes[k] = run.staticSums[k] - run.staticSums[k - 1];
    return changes;
}

std::vector<ChangeSample> changeSamples(const ChunkRecord& record, const std::vector<double>& times) {
    std::vector<ChangeSample> samples;
    for (const auto& row : record.rows)
        for (const auto& step : row.chunks) {
            const auto k = static_cast<std::size_t>(step.step);
            if (step.change && k < times.size() && times[k] > 0)
                samples.push_back({times[k], *step.change});
        }
    return samples;
}

Result<ReuseFit> fitReuse(const std::vector<ChangeSample>& samples) {
    std::set<double> different;
    ReuseFit fit;
    for (const auto& sample : samples) {
        different.insert(sample.time);
        fit.meanChange += sample.output / static_cast<double>(samples.size());
        fit.largestTimeChange = std::max(fit.largestTimeChange, sample.time);
    }
    if (different.size() < kTerms || fit.largestTimeChange <= 0)
        return makeError(ErrorCode::InvalidArgument,
                         "The time features take " + std::to_string(different.size()) +
                             " different changes, and a polynomial of degree 4 needs " +
                             std::to_string(kTerms) + "; calibrate with more steps.");
    // In units of the largest change, where the normal equations are well conditioned.
    const double unit = fit.largestTimeChange;
    std::array<Terms, kTerms> normal{};
    Terms right{};
    for (const auto& sample : samples) {
        const Terms powers = powersOf(sample.time / unit);
        for (std::size_t i = 0; i < kTerms; ++i) {
            for (std::size_t j = 0; j < kTerms; ++j)
                normal[i][j] += powers[i] * powers[j];
            right[i] += powers[i] * sample.output;
        }
    }
    fit.polynomial = solve(normal, right);
    double squares = 0;
    for (const auto& sample : samples) {
        const double missed = sample.output - dot(fit.polynomial, powersOf(sample.time / unit));
        squares += missed * missed;
    }
    fit.residual = std::sqrt(squares / static_cast<double>(samples.size()));
    double scale = 1;
    for (std::size_t i = kTerms; i-- > 0; scale /= unit)
        fit.polynomial[i] *= scale;
    return fit;
}

} // namespace canopy
