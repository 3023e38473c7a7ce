#pragma once

// Private to core/evaluation.

#include <optional>
#include <string>
#include <vector>

#include "core/evaluation/study_table.h"

namespace canopy::evaluation {

struct PlotPoint {
    std::string name;
    Interval x, y;
    bool isFloor = false;
};

struct Plot {
    std::string title, xLabel, yLabel;
    std::vector<PlotPoint> points;
    std::optional<double> floor; ///< a horizontal line: how near equal methods come
};

/// Crosses of intervals with their names, as one <svg> element. Empty without points.
std::string svgScatter(const Plot& plot);

} // namespace canopy::evaluation
