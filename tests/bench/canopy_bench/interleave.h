#pragma once

#include <functional>
#include <string>
#include <vector>

namespace canopy::bench {

struct Contender {
    std::string name;   ///< "ours", "cuDNN", ...
    std::string kernel; ///< what runs, for the table
    double flop = 0;
    std::function<void()> run; ///< queues one call on the current stream
};

struct Timing {
    std::string name, kernel;
    double flop = 0;
    std::vector<double> milliseconds; ///< one per round, in order
    double median() const;
    double least() const;
    double most() const;
    double teraflops() const { return flop / median() * 1e-9; }
};

/// Device times by events, A B C A B C ...: all contenders once per round after `warmUps` rounds that do not
/// count.
std::vector<Timing> interleave(const std::vector<Contender>& contenders, int warmUps, int rounds);

} // namespace canopy::bench
