#include "ui/panels/speed_slider.h"

#include <algorithm>
#include <cmath>

#include <QLocale>
#include <QMouseEvent>
#include <QPainter>
#include <QWheelEvent>

namespace canopy::ui {
namespace {

constexpr double kUnreachableShare = 0.12; ///< of the axis, behind the fastest stop

QString axisText(double seconds) {
    if (seconds < 60)
        return SpeedSlider::tr("%1 s").arg(QLocale().toString(seconds, 'f', seconds < 10 ? 1 : 0));
    const int whole = int(std::lround(seconds));
    return QStringLiteral("%1:%2").arg(whole / 60).arg(whole % 60, 2, 10, QLatin1Char('0'));
}

} // namespace

SpeedSlider::SpeedSlider(QWidget* parent)
    : QSlider(Qt::Horizontal, parent) {
    setObjectName(QStringLiteral("speedSlider"));
    setAccessibleName(tr("Speed"));
    setRange(0, 0);
    setSingleStep(1);
    setPageStep(1);
    setFocusPolicy(Qt::StrongFocus);
}

void SpeedSlider::setStops(std::vector<Stop> stops) {
    m_stops = std::move(stops);
    setRange(0, std::max(0, int(m_stops.size()) - 1));
    m_axisStart = m_axisEnd = 0;
    if (predicted()) {
        double least = m_stops.front().prediction->seconds, most = least;
        for (const Stop& stop : m_stops) {
            least = std::min(least, stop.prediction->seconds);
            most = std::max(most, stop.prediction->seconds);
        }
        // The dense clip stands at the left end, unless a stop is slower than it.
        m_axisStart = most + 0.02 * (most - least);
        m_axisEnd = std::max(0.0, least - std::max(kUnreachableShare * (most - least), 0.04 * most));
    }
    update();
}

bool SpeedSlider::predicted() const {
    return !m_stops.empty() &&
           std::all_of(m_stops.begin(), m_stops.end(), [](auto& s) { return s.prediction; });
}

void SpeedSlider::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

QSize SpeedSlider::sizeHint() const {
    return {m_theme.px(260), m_theme.px(74)};
}

QSize SpeedSlider::minimumSizeHint() const {
    return {m_theme.px(160), m_theme.px(74)};
}

double SpeedSlider::xOfSeconds(double seconds) const {
    const double margin = m_theme.px(9), w = width() - 2 * margin;
    return margin + w * std::clamp((m_axisStart - seconds) / (m_axisStart - m_axisEnd), 0.0, 1.0);
}

double SpeedSlider::xOf(int stop) const {
    if (predicted())
        return xOfSeconds(m_stops[std::size_t(stop)].prediction->seconds);
    const double margin = m_theme.px(9), w = width() - 2 * margin;
    return margin + w * stop / std::max(1, int(m_stops.size()) - 1);
}

void SpeedSlider::take(double x) {
    int nearest = value();
    for (int i = 0; i < int(m_stops.size()); ++i)
        if (std::abs(xOf(i) - x) < std::abs(xOf(nearest) - x))
            nearest = i;
    setValue(nearest);
}

void SpeedSlider::paintTrack(QPainter& painter, double y) const {
    const double h = m_theme.px(8), margin = m_theme.px(9);
    const QRectF track(margin, y - h / 2, width() - 2 * margin, h);
    const double end = predicted() ? xOfSeconds([this] {
        double least = m_stops.front().prediction->seconds;
        for (const Stop& stop : m_stops)
            least = std::min(least, stop.prediction->seconds);
        return least;
    }())
                                   : track.right();
    painter.fillRect(QRectF(track.left(), track.top(), end - track.left(), h), m_theme.colour(Role::Raised));
    if (end < track.right() - 1)
        painter.fillRect(QRectF(end, track.top(), track.right() - end, h),
                         QBrush(m_theme.colour(Role::Outline), Qt::BDiagPattern));
    painter.setPen(QPen(m_theme.colour(Role::Outline), 1));
    painter.setBrush(Qt::NoBrush);
    painter.drawRect(track.adjusted(0.5, 0.5, -0.5, -0.5));
    for (int i = 0; i < int(m_stops.size()); ++i)
        painter.fillRect(QRectF(std::round(xOf(i)) - 1, track.top() - m_theme.px(3), 2, h + m_theme.px(6)),
                         m_theme.colour(Role::Text2));
}

void SpeedSlider::paintBracket(QPainter& painter, double y) const {
    if (!predicted())
        return;
    const auto& p = *m_stops[std::size_t(value())].prediction;
    const double x0 = std::round(xOfSeconds(p.high)), x1 = std::round(xOfSeconds(p.low));
    painter.setPen(QPen(m_theme.colour(Role::Accent), 2));
    painter.setBrush(Qt::NoBrush);
    painter.drawPolyline(QPolygonF({{x0, y + m_theme.px(6)}, {x0, y}, {x1, y}, {x1, y + m_theme.px(6)}}));
}

void SpeedSlider::paintAxis(QPainter& painter) const {
    painter.setFont(m_theme.font(TextStyle::Caption));
    painter.setPen(m_theme.colour(Role::Text2));
    const QRectF words(0, 0, width(), m_theme.px(14));
    painter.drawText(words, Qt::AlignLeft, tr("Dense"));
    painter.drawText(words, Qt::AlignRight, tr("Fast"));
    if (!predicted())
        return;
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    const QFontMetricsF metrics(painter.font());
    double taken = -1;
    for (int i = 0; i < 4; ++i) {
        const double seconds = m_axisStart + (m_axisEnd - m_axisStart) * i / 3.0, x = xOfSeconds(seconds);
        const QString text = axisText(seconds);
        const double w = metrics.horizontalAdvance(text), left = std::clamp(x - w / 2, 0.0, width() - w);
        if (left < taken)
            continue;
        taken = left + w + m_theme.px(6);
        painter.drawText(QPointF(left, height() - m_theme.px(3)), text);
    }
}

void SpeedSlider::paintEvent(QPaintEvent*) {
    if (!m_hasTheme || m_stops.empty())
        return;
    QPainter painter(this);
    const double y = m_theme.px(36), x = xOf(value());
    paintAxis(painter);
    paintTrack(painter, y);
    paintBracket(painter, m_theme.px(19));
    painter.setRenderHint(QPainter::Antialiasing);
    const double r = m_theme.px(9);
    if (hasFocus()) {
        painter.setPen(QPen(m_theme.colour(Role::FocusOnAccent), 2));
        painter.setBrush(Qt::NoBrush);
        painter.drawEllipse(QPointF(x, y), r + 2, r + 2);
    }
    painter.setPen(Qt::NoPen);
    painter.setBrush(m_theme.colour(isEnabled() ? Role::Accent : Role::Outline));
    painter.drawEllipse(QPointF(x, y), r, r);
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.fillRect(QRectF(std::round(x) - 1, y - m_theme.px(4), 2, m_theme.px(8)),
                     m_theme.colour(Role::OnAccent));
}

void SpeedSlider::mousePressEvent(QMouseEvent* event) {
    if (event->button() == Qt::LeftButton)
        take(event->position().x());
}

void SpeedSlider::mouseMoveEvent(QMouseEvent* event) {
    if (event->buttons() & Qt::LeftButton)
        take(event->position().x());
}

void SpeedSlider::wheelEvent(QWheelEvent* event) {
    if (hasFocus())
        QSlider::wheelEvent(event);
    else
        event->ignore();
}

} // namespace canopy::ui
