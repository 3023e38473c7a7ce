#include "accel/samplers/solver.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>

namespace canopy::accel {

namespace {

/// alpha = 1 - sigma, lambda = log alpha - log sigma. Double: the differences of lambda near the ends are
/// small.
struct Level {
    double alpha;
    double sigma;
    double lambda;
};

Level level(const FlowSchedule& schedule, int index) {
    // alpha in float32, as the public solvers compute it: at sigma = 1 - 1e-6 the rounding is part of the
    // method.
    const float sigma = schedule.sigmas[static_cast<std::size_t>(index)];
    const double alpha = static_cast<double>(1.0f - sigma);
    return {alpha, sigma, std::log(alpha) - std::log(static_cast<double>(sigma))};
}

/// The coefficients of bh2 in data prediction: hh = -h, B(h) = e^hh - 1.
struct Coefficients {
    double phi1; ///< e^hh - 1
    double b1;   ///< phi_2 / B
    double b2;   ///< 2 phi_3 / B
};

Coefficients coefficients(double h) {
    const double hh = -h;
    const double phi1 = std::expm1(hh);
    const double k1 = phi1 / hh - 1;
    const double k2 = k1 / hh - 0.5;
    return {phi1, k1 / phi1, 2 * k2 / phi1};
}

/// Predictor of the given order from x at `index` to index + 1; clean[back] is the newest prediction.
at::Tensor predict(const FlowSchedule& schedule, const SolverState& state, const at::Tensor& x, int order) {
    const Level from = level(schedule, state.step);
    const Level to = level(schedule, state.step + 1);
    const auto& m0 = state.clean.back();
    // The last step goes to sigma = 0: lambda is infinite, e^-h is 0.
    if (to.sigma == 0)
        return m0;
    const double h = to.lambda - from.lambda;
    const double phi1 = coefficients(h).phi1;
    auto next = x * (to.sigma / from.sigma) - m0 * (to.alpha * phi1);
    if (order == 2) {
        const Level before = level(schedule, state.step - 1);
        const double r = (before.lambda - from.lambda) / h;
        const auto d1 = (state.clean[state.clean.size() - 2] - m0) / r;
        next = next - d1 * (to.alpha * phi1 * 0.5); // order 2: the simplified weight
    }
    return next;
}

/// Corrector: improves the sample at state.step with the model's answer there (`clean`).
at::Tensor correct(const FlowSchedule& schedule, const SolverState& state, const at::Tensor& clean) {
    const Level from = level(schedule, state.step - 1);
    const Level to = level(schedule, state.step);
    const auto& m0 = state.clean.back();
    const double h = to.lambda - from.lambda;
    const auto c = coefficients(h);
    auto x = state.lastSample * (to.sigma / from.sigma) - m0 * (to.alpha * c.phi1);
    const auto d1t = clean - m0;
    if (state.order == 1) {
        x = x - d1t * (to.alpha * c.phi1 * 0.5);
    } else {
        const Level before = level(schedule, state.step - 2);
        const double r = (before.lambda - from.lambda) / h;
        const auto d1 = (state.clean[state.clean.size() - 2] - m0) / r;
        // Solve [1 1; r 1] rho = [b1; b2].
        const double rho0 = (c.b1 - c.b2) / (1 - r);
        const double rho1 = c.b1 - rho0;
        x = x - (d1 * rho0 + d1t * rho1) * (to.alpha * c.phi1);
    }
    return x;
}

} // namespace

at::Tensor predictedClean(const FlowSchedule& schedule, int step, const at::Tensor& velocity,
                          const at::Tensor& x) {
    return x - velocity * static_cast<double>(schedule.sigmas[static_cast<std::size_t>(step)]);
}

at::Tensor uniPcStep(const FlowSchedule& schedule, SolverState& state, const at::Tensor& velocity,
                     const at::Tensor& x) {
    const auto clean = predictedClean(schedule, state.step, velocity, x);
    const auto sample = state.step > 0 ? correct(schedule, state, clean) : x;
    state.clean.push_back(clean);
    if (state.clean.size() > 2)
        state.clean.erase(state.clean.begin());
    const int order = std::min({2, schedule.steps() - state.step, state.step + 1});
    auto next = predict(schedule, state, sample, order);
    state.order = order;
    state.lastSample = sample;
    ++state.step;
    return next;
}

void rememberFirstResult(SolverState& state, const at::Tensor& next) {
    if (state.step == 1 && state.lastSample.defined())
        state.lastSample = next;
}

at::Tensor eulerStep(const FlowSchedule& schedule, SolverState& state, const at::Tensor& velocity,
                     const at::Tensor& x) {
    const auto i = static_cast<std::size_t>(state.step++);
    return x + velocity * static_cast<double>(schedule.sigmas[i + 1] - schedule.sigmas[i]);
}

at::Tensor solverStep(Sampler sampler, const FlowSchedule& schedule, SolverState& state,
                      const at::Tensor& velocity, const at::Tensor& x) {
    return sampler == Sampler::UniPc ? uniPcStep(schedule, state, velocity, x)
                                     : eulerStep(schedule, state, velocity, x);
}

} // namespace canopy::accel
