#include "ui/panels/keep_slider.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QWheelEvent>

#include "ui/panels/ask_groups.h"

namespace canopy::ui {
namespace {

constexpr double kLeast = 0.05;
constexpr std::array kMarks = {0.05, 0.10, 0.20, 0.25, 0.50, 1.0};

} // namespace

KeepSlider::KeepSlider(QWidget* parent)
    : QSlider(Qt::Horizontal, parent) {
    setObjectName(QStringLiteral("keepSlider"));
    setAccessibleName(tr("Tokens kept"));
    setRange(int(kLeast * 1000), 1000);
    setSingleStep(10);
    setValue(1000);
    setFocusPolicy(Qt::StrongFocus);
    setToolTip(
        tr("Share of the video's tokens that the language model is given. At 100 % nothing is pruned."));
}

void KeepSlider::setKeep(double keep) {
    setValue(int(std::lround(keep * 1000)));
}

void KeepSlider::setStops(std::vector<double> stops) {
    m_stops = std::move(stops);
    update();
}

void KeepSlider::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

QSize KeepSlider::sizeHint() const {
    return {m_theme.px(400), m_theme.px(40)};
}

QSize KeepSlider::minimumSizeHint() const {
    return {m_theme.px(200), m_theme.px(40)};
}

double KeepSlider::xOf(double keep) const {
    const double margin = m_theme.px(8);
    const double share = std::log2(std::clamp(keep, kLeast, 1.0) / kLeast) / std::log2(1 / kLeast);
    return margin + share * (width() - 2 * margin);
}

void KeepSlider::take(double x) {
    const double margin = m_theme.px(8);
    const double share = std::clamp((x - margin) / std::max(1.0, width() - 2 * margin), 0.0, 1.0);
    setKeep(std::round(kLeast * std::pow(1 / kLeast, share) * 100) / 100);
}

void KeepSlider::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    const double y = m_theme.px(11), x = xOf(keep()), h = m_theme.px(4);
    painter.fillRect(QRectF(xOf(kLeast), y - h / 2, xOf(1) - xOf(kLeast), h), m_theme.colour(Role::Outline));
    painter.fillRect(QRectF(xOf(kLeast), y - h / 2, x - xOf(kLeast), h), m_theme.colour(Role::Accent));
    painter.setRenderHint(QPainter::Antialiasing);
    for (const double stop : m_stops) { // shares that were run
        painter.setPen(QPen(m_theme.colour(Role::Panel), 1));
        painter.setBrush(m_theme.colour(Role::Text));
        const double at = xOf(stop), r = m_theme.px(3);
        painter.drawEllipse(QPointF(at, y), r, r);
    }
    painter.setPen(QPen(m_theme.colour(Role::Panel), 2));
    painter.setBrush(m_theme.colour(Role::Accent));
    const double r = m_theme.px(9);
    painter.drawEllipse(QPointF(x, y), r, r);
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.fillRect(QRectF(std::round(x) - 1, y - m_theme.px(4), 2, m_theme.px(8)),
                     m_theme.colour(Role::OnAccent));
    if (hasFocus()) {
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(m_theme.colour(Role::FocusOnAccent), 2));
        painter.drawEllipse(QPointF(x, y), r + 1, r + 1);
        painter.setRenderHint(QPainter::Antialiasing, false);
    }
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    painter.setPen(m_theme.colour(Role::Text2));
    const QFontMetricsF metrics(painter.font());
    double taken = -1;
    for (const double mark : kMarks) {
        const QString text = percentText(mark);
        const double w = metrics.horizontalAdvance(text);
        painter.fillRect(QRectF(std::round(xOf(mark)), y + m_theme.px(11), 1, m_theme.px(4)),
                         m_theme.colour(Role::Outline));
        const double left = std::clamp(xOf(mark) - w / 2, 0.0, width() - w);
        if (left < taken && mark < kMarks.back())
            continue; // its tick stays
        taken = left + w + m_theme.px(4);
        painter.drawText(QPointF(left, height() - m_theme.px(2)), text);
    }
}

void KeepSlider::mousePressEvent(QMouseEvent* event) {
    if (event->button() == Qt::LeftButton)
        take(event->position().x());
}

void KeepSlider::mouseMoveEvent(QMouseEvent* event) {
    if (event->buttons() & Qt::LeftButton)
        take(event->position().x());
}

void KeepSlider::keyPressEvent(QKeyEvent* event) {
    if (event->key() == Qt::Key_PageUp || event->key() == Qt::Key_PageDown) {
        const bool up = event->key() == Qt::Key_PageUp;
        double next = up ? kMarks.back() : kMarks.front();
        for (const double mark : kMarks)
            if (up ? (mark > keep() + 1e-6 && mark < next) : (mark < keep() - 1e-6 && mark > next))
                next = mark;
        setKeep(next);
        return;
    }
    QSlider::keyPressEvent(event);
}

void KeepSlider::wheelEvent(QWheelEvent* event) {
    if (hasFocus())
        QSlider::wheelEvent(event);
    else
        event->ignore();
}

} // namespace canopy::ui
