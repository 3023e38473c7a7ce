#pragma once

#include <string>

namespace canopy::bench {

/// What the card does at this moment, by the driver's management library. Zeros and empty text where it is
/// missing.
struct CardState {
    std::string name, driver;
    unsigned smMegahertz = 0, memoryMegahertz = 0, temperature = 0;
    double watts = 0, wattLimit = 0;
};

CardState readCardState();

} // namespace canopy::bench
