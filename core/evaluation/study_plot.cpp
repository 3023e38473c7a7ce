#include "core/evaluation/study_plot.h"

#include <algorithm>
#include <cmath>

#include "core/evaluation/html_text.h"

namespace canopy::evaluation {
namespace {

constexpr double kWidth = 720, kHeight = 420, kLeft = 64, kRight = 200, kTop = 36, kBottom = 52;

/// An axis from data to pixels with round ticks.
struct Axis {
    double low = 0, high = 1, from = 0, to = 1, step = 1;
    double at(double v) const { return from + (v - low) / (high - low) * (to - from); }
};

Axis axisOver(double low, double high, double from, double to) {
    if (!(high > low)) {
        low -= 0.5;
        high += 0.5;
    }
    const double rough = (high - low) / 5, power = std::pow(10, std::floor(std::log10(rough)));
    const double step = power * (rough / power < 1.5   ? 1
                                 : rough / power < 3.5 ? 2
                                 : rough / power < 7.5 ? 5
                                                       : 10);
    return {std::floor(low / step) * step, std::ceil(high / step) * step, from, to, step};
}

std::string line(double x1, double y1, double x2, double y2, const char* attributes) {
    return format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>", x1, y1, x2, y2, attributes);
}

std::string textAt(double x, double y, const char* attributes, const std::string& text) {
    return format("<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes) + escaped(text) + "</text>";
}

std::string ticks(const Axis& x, const Axis& y) {
    std::string out;
    for (double v = x.low; v <= x.high + x.step / 2; v += x.step)
        out += line(x.at(v), y.from, x.at(v), y.to, "stroke=\"#ddd\"") +
               textAt(x.at(v), y.from + 18, "text-anchor=\"middle\"", format("%.4g", v));
    for (double v = y.low; v <= y.high + y.step / 2; v += y.step)
        out += line(x.from, y.at(v), x.to, y.at(v), "stroke=\"#ddd\"") +
               textAt(x.from - 8, y.at(v) + 4, "text-anchor=\"end\"", format("%.4g", v));
    return out;
}

/// Heights of labels beside the plot, in order of their points and at least a line apart.
std::vector<double> labelHeights(const std::vector<PlotPoint>& points, const Axis& y) {
    constexpr double kLine = 15;
    std::vector<double> heights;
    double last = kTop - kLine;
    for (const PlotPoint& p : points) {
        last = std::max(last + kLine, y.at(p.y.mean) + 4);
        heights.push_back(last);
    }
    const double over = std::max(0.0, last - (kHeight - 4));
    for (std::size_t i = heights.size(); i-- > 0;)
        heights[i] =
            std::min(heights[i], (i + 1 < heights.size() ? heights[i + 1] - kLine : heights[i] - over));
    return heights;
}

} // namespace

std::string svgScatter(const Plot& plot) {
    if (plot.points.empty())
        return {};
    double lowX = plot.points.front().x.low, highX = lowX, lowY = plot.points.front().y.low, highY = lowY;
    for (const PlotPoint& p : plot.points) {
        lowX = std::min(lowX, p.x.low);
        highX = std::max(highX, p.x.high);
        lowY = std::min(lowY, p.y.low);
        highY = std::max(highY, p.y.high);
    }
    if (plot.floor) {
        lowY = std::min(lowY, *plot.floor);
        highY = std::max(highY, *plot.floor);
    }
    const Axis x = axisOver(lowX, highX, kLeft, kWidth - kRight);
    const Axis y = axisOver(lowY, highY, kHeight - kBottom, kTop);
    std::vector<PlotPoint> points = plot.points;
    std::stable_sort(points.begin(), points.end(),
                     [](const PlotPoint& a, const PlotPoint& b) { return a.y.mean > b.y.mean; });

    std::string out = format("<svg viewBox=\"0 0 %g %g\" width=\"%g\" height=\"%g\" role=\"img\" "
                             "font-size=\"12\">",
                             kWidth, kHeight, kWidth, kHeight);
    out += "<title>" + escaped(plot.title) + "</title>" +
           textAt(kLeft, 20, "font-weight=\"600\"", plot.title) + ticks(x, y);
    out += textAt((x.from + x.to) / 2, kHeight - 12, "text-anchor=\"middle\"", plot.xLabel);
    out += textAt(
        14, (y.from + y.to) / 2,
        format("text-anchor=\"middle\" transform=\"rotate(-90 14 %.1f)\"", (y.from + y.to) / 2).c_str(),
        plot.yLabel);
    if (plot.floor)
        out += line(x.from, y.at(*plot.floor), x.to, y.at(*plot.floor),
                    "stroke=\"#888\" stroke-dasharray=\"5 4\"");
    const std::vector<double> heights = labelHeights(points, y);
    for (std::size_t i = 0; i < points.size(); ++i) {
        const PlotPoint& p = points[i];
        const char* stroke = p.isFloor ? "stroke=\"#888\"" : "stroke=\"#3560a8\"";
        out += line(x.at(p.x.low), y.at(p.y.mean), x.at(p.x.high), y.at(p.y.mean), stroke);
        out += line(x.at(p.x.mean), y.at(p.y.low), x.at(p.x.mean), y.at(p.y.high), stroke);
        out += format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>", x.at(p.x.mean), y.at(p.y.mean),
                      p.isFloor ? "#888" : "#3560a8");
        out += line(x.at(p.x.mean), y.at(p.y.mean), x.to + 8, heights[i] - 4,
                    "stroke=\"#bbb\" stroke-width=\"0.6\"");
        out += textAt(x.to + 12, heights[i], "", p.name);
    }
    return out + "</svg>\n";
}

} // namespace canopy::evaluation
