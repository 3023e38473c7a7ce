#include "ui/compare/pair_layer.h"

#include <algorithm>
#include <cmath>

#include <QPainter>
#include <QPolygonF>

#include "ui/compare/difference_image.h"

namespace canopy::ui {
namespace {

constexpr double kGrabWidth = 12; ///< logical pixels to either side of the wipe at scale 1

} // namespace

PairLayer::PairLayer(QObject* parent)
    : QObject(parent) {}

void PairLayer::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    m_difference = {};
    Q_EMIT changed();
}

void PairLayer::setMode(PairMode mode) {
    m_mode = mode;
    m_showsB = false;
    Q_EMIT changed();
}

void PairLayer::setImages(const QImage& a, const QImage& b) {
    m_a = a;
    m_b = b;
    m_difference = {};
    Q_EMIT changed();
}

void PairLayer::setNames(const QString& a, const QString& b) {
    m_nameA = a;
    m_nameB = b;
    Q_EMIT changed();
}

void PairLayer::setGain(int gain) {
    m_gain = gain;
    m_difference = {};
    Q_EMIT changed();
}

void PairLayer::setWipe(double share) {
    m_wipe = std::clamp(share, 0.0, 1.0);
    Q_EMIT changed();
    Q_EMIT wipeMoved(m_wipe);
}

void PairLayer::setShowsB(bool shows) {
    m_showsB = shows;
    Q_EMIT changed();
}

double PairLayer::wipeX(const QRectF& picture) const {
    return std::round(picture.left() + picture.width() * m_wipe);
}

void PairLayer::paintOver(QPainter& painter, const QRectF& picture, const QRectF& visible) {
    if (!m_hasTheme)
        return;
    if (m_b.isNull())
        return paintPlate(painter, picture, visible, false, false);
    switch (m_mode) {
    case PairMode::Wipe:
        return paintWipe(painter, picture, visible);
    case PairMode::SideBySide: // B has a view of its own
        return paintPlate(painter, picture, visible, false, false);
    case PairMode::Blink:
        if (m_showsB)
            painter.drawImage(picture, m_b);
        return paintPlate(painter, picture, visible, m_showsB, m_showsB);
    case PairMode::Difference:
        if (m_difference.isNull())
            m_difference = differenceImage(m_a, m_b, m_gain, m_theme.maps());
        painter.drawImage(picture, m_difference);
        return;
    }
}

void PairLayer::paintWipe(QPainter& painter, const QRectF& picture, const QRectF& visible) {
    const double x = wipeX(picture);
    painter.save();
    painter.setClipRect(QRectF(x, picture.top(), picture.right() - x, picture.height()));
    painter.drawImage(picture, m_b);
    painter.restore();
    paintPlate(painter, picture, visible, false, false);
    paintPlate(painter, picture, visible, true, true);
    const QRectF seen = picture & visible;
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.fillRect(QRectF(x - 2, seen.top(), 4, seen.height()), m_theme.colour(Role::Casing));
    painter.fillRect(QRectF(x - 1, seen.top(), 2, seen.height()), m_theme.colour(Role::Playhead));
    // The handle, with an arrow to either side.
    const double r = m_theme.px(13);
    const QPointF centre(x, seen.bottom() - m_theme.px(40));
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(m_theme.colour(Role::Casing), 2));
    painter.setBrush(m_theme.colour(Role::Playhead));
    painter.drawEllipse(centre, r, r);
    painter.setPen(Qt::NoPen);
    painter.setBrush(m_theme.colour(Role::Casing));
    for (const double side : {-1.0, 1.0}) {
        const double in = side * m_theme.px(3), out = side * m_theme.px(8), h = m_theme.px(4);
        painter.drawPolygon(
            QPolygonF({centre + QPointF(in, -h), centre + QPointF(in, h), centre + QPointF(out, 0)}));
    }
    painter.setBrush(Qt::NoBrush);
}

void PairLayer::paintPlate(QPainter& painter, const QRectF& picture, const QRectF& visible, bool isB,
                           bool atRight) const {
    const QRectF seen = picture & visible;
    const QString name = isB ? m_nameB : m_nameA;
    const QFont strong = m_theme.font(TextStyle::BodyStrong), body = m_theme.font(TextStyle::Body);
    const double pad = m_theme.px(10), gap = m_theme.px(8), h = m_theme.px(26);
    const double letter = QFontMetricsF(strong).horizontalAdvance(QStringLiteral("M"));
    const double room = std::max(0.0, seen.width() / 2 - 2 * pad - letter - gap);
    const QString text = QFontMetricsF(body).elidedText(name, Qt::ElideRight, room);
    const double w =
        letter + 2 * pad + (text.isEmpty() ? 0 : gap + QFontMetricsF(body).horizontalAdvance(text));
    const QRectF plate(atRight ? seen.right() - w : seen.left(), seen.top(), w, h);
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.fillRect(plate, m_theme.maps().plate);
    painter.setFont(strong);
    painter.setPen(m_theme.maps().plateText);
    painter.drawText(plate.adjusted(pad, 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter,
                     isB ? QStringLiteral("B") : QStringLiteral("A"));
    painter.setFont(body);
    painter.drawText(plate.adjusted(pad + letter + gap, 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter, text);
}

void PairLayer::hover(const QPointF& point, const QRectF& picture) {
    Q_EMIT pointerNearWipe(m_mode == PairMode::Wipe && !m_b.isNull() &&
                           std::abs(point.x() - wipeX(picture)) <= m_theme.px(kGrabWidth));
}

void PairLayer::leave() {
    Q_EMIT pointerNearWipe(false);
}

bool PairLayer::grab(const QPointF& point, const QRectF& picture) {
    return m_mode == PairMode::Wipe && !m_b.isNull() &&
           std::abs(point.x() - wipeX(picture)) <= m_theme.px(kGrabWidth);
}

void PairLayer::drag(const QPointF& point, const QRectF& picture) {
    if (picture.width() > 0)
        setWipe((point.x() - picture.left()) / picture.width());
}

} // namespace canopy::ui
