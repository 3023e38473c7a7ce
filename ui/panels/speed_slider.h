#pragma once

#include <optional>
#include <vector>

#include <QSlider>

#include "core/studio/speed_model.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {

/// The Speed slider: places from dense to the fastest, each at its predicted seconds, with the interval of
/// the chosen one as a bracket and its likeness to the dense clip on the track. The part of the axis that
/// nothing reaches is hatched. Without predictions the places are evenly spaced and there are no figures. The
/// value is the place.
class SpeedSlider : public QSlider, public dresser::Dressed {
    Q_OBJECT
public:
    struct Stop {
        QString label;
        QString likeness; ///< "Same shot"; empty = not measured
        std::optional<SpeedPrediction> prediction;
    };
    explicit SpeedSlider(QWidget* parent = nullptr);

    void setStops(std::vector<Stop> stops);
    const std::vector<Stop>& stops() const { return m_stops; }
    /// Least seconds that any stop reaches lie above this end of the axis.
    double unreachableSeconds() const { return m_axisEnd; }
    void setTheme(const Theme& theme) override;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;
    double xOf(int stop) const; ///< logical pixels

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;

private:
    bool predicted() const;
    double xOfSeconds(double seconds) const;
    void take(double x);
    void paintTrack(QPainter& painter, double y) const;
    void paintBracket(QPainter& painter, double y) const;
    void paintAxis(QPainter& painter) const;

    Theme m_theme;
    bool m_hasTheme = false;
    std::vector<Stop> m_stops;
    double m_axisStart = 0; ///< seconds at the left end
    double m_axisEnd = 0;   ///< seconds at the right end, less than any stop takes
};

} // namespace canopy::ui
