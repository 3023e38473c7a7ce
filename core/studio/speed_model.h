#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/studio/speed_record.h"

namespace canopy {

/// How long a clip will take once its model is loaded, from the press to the finished file.
struct SpeedPrediction {
    double seconds = 0;
    double low = 0; ///< 90 % of clips are meant to lie between low and high
    double high = 0;
};

/// Times as a function of tokens, steps and settings, fitted to what this machine measured.
///
///   job = r0 + r1 * pixels + branches * (dense steps * d(N) + other steps * q(N) * d(N))
///   d(N) = d0 + d1 * N + d2 * N^2, all coefficients at least 0: overhead, linear layers, attention
///   q(N): the stop's step against a dense one, interpolated in log N between measured sizes, held beyond
///   them
///
/// Both fits minimise relative errors. The interval is Student's t over the relative errors of whole measured
/// jobs, widened by 5 % for every doubling of tokens beyond the measured sizes. Pure.
class SpeedModel {
public:
    /// An error says what is missing: dense clips of two sizes at least.
    static Result<SpeedModel> fit(SpeedRecord record);

    const SpeedRecord& record() const { return m_record; }
    /// None: nothing of this stop was measured. Size, frames, steps and guidance are the request's, filled.
    std::optional<SpeedPrediction> predict(const GenerationRequest& request, std::string_view stop) const;
    double relativeSpread() const {
        return m_spread;
    } ///< half width of the interval inside the measured sizes

    /// The part of a dense step at N tokens that grows with the square: what sparse attention can save of.
    double attentionShare(std::int64_t tokens) const;

private:
    explicit SpeedModel(SpeedRecord record);
    double denseStep(double tokens) const; ///< one branch
    std::optional<double> ratio(std::string_view stop, double tokens) const;
    std::optional<double> seconds(std::string_view stop, double tokens, double pixels, int branches,
                                  int steps, int denseSteps) const;

    SpeedRecord m_record;
    std::vector<double> m_dense;                                           ///< d0, d1, d2
    std::vector<double> m_rest;                                            ///< r0, r1
    std::map<std::string, std::map<double, double>, std::less<>> m_ratios; ///< by stop: tokens to q
    double m_leastTokens = 0;
    double m_mostTokens = 0;
    double m_spread = 0;
};

/// Least squares of relative errors with coefficients of at least 0: the x that minimises
/// sum_i (sum_j a_ij x_j / y_i - 1)^2 over all subsets of columns. For a handful of columns.
std::vector<double> fitRelative(const std::vector<std::vector<double>>& rows, const std::vector<double>& y);

} // namespace canopy
