#include "ui/compare/difference_image.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace canopy::ui {

QImage differenceImage(const QImage& a, const QImage& b, int gain, const MapTokens& maps) {
    if (a.isNull() || a.size() != b.size())
        return {};
    std::array<QRgb, 256> colours;
    for (std::size_t i = 0; i < colours.size(); ++i)
        colours[i] = maps.continuous(std::min(1.0, double(i) * gain / 255)).rgb();
    const QImage left = a.convertToFormat(QImage::Format_RGB32);
    const QImage right = b.convertToFormat(QImage::Format_RGB32);
    QImage out(a.size(), QImage::Format_RGB32);
    for (int y = 0; y < out.height(); ++y) {
        const auto* p = reinterpret_cast<const QRgb*>(left.constScanLine(y));
        const auto* q = reinterpret_cast<const QRgb*>(right.constScanLine(y));
        auto* to = reinterpret_cast<QRgb*>(out.scanLine(y));
        for (int x = 0; x < out.width(); ++x) {
            const int most =
                std::max({std::abs(qRed(p[x]) - qRed(q[x])), std::abs(qGreen(p[x]) - qGreen(q[x])),
                          std::abs(qBlue(p[x]) - qBlue(q[x]))});
            to[x] = colours[std::size_t(most)];
        }
    }
    return out;
}

} // namespace canopy::ui
