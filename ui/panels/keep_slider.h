#pragma once

#include <vector>

#include <QSlider>

#include "ui/theme/dresser.h"

namespace canopy::ui {

/// *Tokens kept*: 5 to 100 %, each doubling the same way long. The value counts tenths of a percent; pointer
/// and keys move by whole percent, PageUp and PageDown from mark to mark.
class KeepSlider : public QSlider, public dresser::Dressed {
    Q_OBJECT
public:
    explicit KeepSlider(QWidget* parent = nullptr);

    double keep() const { return value() / 1000.0; }
    void setKeep(double keep);
    /// Shares that were really run (small marks above the track).
    void setStops(std::vector<double> stops);
    const std::vector<double>& stops() const { return m_stops; }
    void setTheme(const Theme& theme) override;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;
    double xOf(double keep) const; ///< logical pixels

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;

private:
    void take(double x);
    Theme m_theme;
    bool m_hasTheme = false;
    std::vector<double> m_stops;
};

} // namespace canopy::ui
