#include "accel/samplers/flow_schedule.h"

#include <cmath>

namespace canopy::accel {

namespace {
constexpr double kTrainTimesteps = 1000;

double shifted(double sigma, double shift) {
    return shift * sigma / (1 + (shift - 1) * sigma);
}

/// Point i of n evenly spaced ones from a to b.
double linspace(double a, double b, int n, int i) {
    return n == 1 ? a : a + (b - a) * i / (n - 1);
}
} // namespace

FlowSchedule uniPcSchedule(int steps, double shift, TimeGrid grid) {
    FlowSchedule schedule;
    const bool original = grid == TimeGrid::Original;
    // The original grid starts at the training schedule's largest sigma, 1 - 1/1000, and ends at 0.
    const double first = original ? 1 - 1 / kTrainTimesteps : 1;
    const double last = original ? 0 : 1 / kTrainTimesteps;
    for (int i = 0; i < steps; ++i) {
        double sigma = shifted(linspace(first, last, steps + 1, i), shift);
        // log(1 - sigma) must stay finite in the first update.
        if (!original && std::abs(sigma - 1) < 1e-6)
            sigma -= 1e-6;
        schedule.sigmas.push_back(static_cast<float>(sigma));
        schedule.timesteps.push_back(std::trunc(sigma * kTrainTimesteps));
    }
    schedule.sigmas.push_back(0);
    return schedule;
}

FlowSchedule eulerSchedule(int steps, double shift) {
    FlowSchedule schedule;
    // Training sigmas 1/1000 .. 1 after the shift, in float32 as the public scheduler keeps them.
    const double first = static_cast<float>(shifted(1, shift));
    const double last = static_cast<float>(shifted(1 / kTrainTimesteps, shift));
    for (int i = 0; i < steps; ++i) {
        const double base =
            linspace(first * kTrainTimesteps, last * kTrainTimesteps, steps, i) / kTrainTimesteps;
        const auto sigma = static_cast<float>(shifted(base, shift));
        schedule.sigmas.push_back(sigma);
        schedule.timesteps.push_back(sigma * static_cast<float>(kTrainTimesteps));
    }
    schedule.sigmas.push_back(0);
    return schedule;
}

FlowSchedule plainSchedule(int steps, double shift) {
    FlowSchedule schedule;
    for (int i = 0; i <= steps; ++i) {
        const double sigma = shifted(linspace(1, 0, steps + 1, i), shift);
        schedule.sigmas.push_back(static_cast<float>(sigma));
        if (i < steps)
            schedule.timesteps.push_back(sigma * kTrainTimesteps);
    }
    return schedule;
}

} // namespace canopy::accel
