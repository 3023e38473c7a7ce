#include "ui/viewer/video_view.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <QFocusEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QWheelEvent>

namespace canopy::ui {
namespace {

constexpr std::array kZooms = {0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0};

} // namespace

VideoView::VideoView(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("videoView"));
    setAccessibleName(tr("Viewer"));
    setFocusPolicy(Qt::StrongFocus);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    setAttribute(Qt::WA_OpaquePaintEvent);
}

void VideoView::setImage(const QImage& image, const QSize& pictureSize) {
    const QSize size = pictureSize.isValid() ? pictureSize : image.size();
    const bool resized = size != m_pictureSize;
    m_image = image;
    m_pictureSize = size;
    update();
    if (resized)
        Q_EMIT zoomChanged();
}

void VideoView::setHint(const QString& text) {
    if (m_hint == text)
        return;
    m_hint = text;
    update();
}

void VideoView::setLayer(PictureLayer* layer) {
    if (m_layer && !layer)
        m_layer->leave();
    m_layer = layer;
    setMouseTracking(layer != nullptr);
    update();
}

double VideoView::fitZoom() const {
    if (m_image.isNull())
        return 1;
    const double margin = 2.0 * m_theme.px(12);
    const double ratio = devicePixelRatioF();
    const double w = std::max(16.0, width() - margin) * ratio / m_pictureSize.width();
    const double h = std::max(16.0, height() - margin) * ratio / m_pictureSize.height();
    return std::min(w, h);
}

double VideoView::zoom() const {
    return m_fit ? fitZoom() : m_zoom;
}

QRectF VideoView::target() const {
    const QSizeF size = QSizeF(m_pictureSize) * (zoom() / devicePixelRatioF());
    const QPointF centre = QRectF(rect()).center() + (m_fit ? QPointF() : m_offset);
    // Whole device pixels keep edges sharp.
    const QPointF corner = centre - QPointF(size.width() / 2, size.height() / 2);
    return {QPointF(std::round(corner.x()), std::round(corner.y())), size};
}

void VideoView::setFit() {
    m_fit = true;
    m_offset = {};
    update();
    Q_EMIT zoomChanged();
}

void VideoView::setZoom(double factor) {
    m_fit = false;
    m_zoom = std::clamp(factor, kZooms.front(), kZooms.back());
    update();
    Q_EMIT zoomChanged();
}

void VideoView::zoomIn() {
    const double now = zoom();
    const auto next = std::find_if(kZooms.begin(), kZooms.end(), [&](double z) { return z > now * 1.01; });
    setZoom(next == kZooms.end() ? kZooms.back() : *next);
}

void VideoView::zoomOut() {
    const double now = zoom();
    const auto next = std::find_if(kZooms.rbegin(), kZooms.rend(), [&](double z) { return z < now * 0.99; });
    setZoom(next == kZooms.rend() ? kZooms.front() : *next);
}

void VideoView::follow(const VideoView& other) {
    m_fit = other.m_fit;
    m_zoom = other.m_zoom;
    m_offset = other.m_offset;
    update();
}

void VideoView::setTheme(const Theme& theme) {
    m_theme = theme;
    update();
    Q_EMIT zoomChanged();
}

QSize VideoView::minimumSizeHint() const {
    return {m_theme.px(240), m_theme.px(120)};
}

void VideoView::paintEvent(QPaintEvent* event) {
    QPainter painter(this);
    painter.fillRect(event->rect(), m_theme.colour(Role::Surround));
    if (!m_image.isNull()) {
        // Enlarged beyond 4x the person looks at pixels, so pixels are shown.
        painter.setRenderHint(QPainter::SmoothPixmapTransform, m_fit || zoom() < 4);
        painter.drawImage(target(), m_image);
        if (m_layer)
            m_layer->paintOver(painter, target(), rect());
    }
    if (m_image.isNull() && !m_hint.isEmpty()) {
        painter.setFont(m_theme.font(TextStyle::Body));
        // The surround of the light theme is darker than its panels: only the strongest text reaches its
        // contrast there.
        painter.setPen(m_theme.colour(Role::Text));
        painter.drawText(rect().adjusted(m_theme.px(24), 0, -m_theme.px(24), 0),
                         Qt::AlignCenter | Qt::TextWordWrap, m_hint);
    }
    if (m_keyboardFocus) {
        painter.setRenderHint(QPainter::Antialiasing, false);
        painter.setPen(QPen(m_theme.colour(Role::Focus), 2));
        painter.drawRect(rect().adjusted(1, 1, -1, -1));
    }
}

void VideoView::resizeEvent(QResizeEvent*) {
    Q_EMIT zoomChanged();
}

void VideoView::wheelEvent(QWheelEvent* event) {
    if (!(event->modifiers() & Qt::ControlModifier) || m_image.isNull())
        return event->ignore();
    event->angleDelta().y() > 0 ? zoomIn() : zoomOut();
    event->accept();
}

void VideoView::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton)
        return event->ignore();
    m_grab = event->position() - m_offset;
    m_pressed = event->position();
    m_layerDrags = m_layer && !m_image.isNull() && m_layer->grab(event->position(), target());
    m_dragging = !m_fit && !m_layerDrags;
}

void VideoView::mouseMoveEvent(QMouseEvent* event) {
    if (m_layer && !m_image.isNull() && !(event->buttons() & Qt::LeftButton))
        m_layer->hover(event->position(), target());
    if (m_layerDrags && m_layer)
        m_layer->drag(event->position(), target());
    if (!m_dragging)
        return;
    m_offset = event->position() - m_grab;
    const QSizeF size = QSizeF(m_pictureSize) * (zoom() / devicePixelRatioF());
    const double x = std::max(0.0, (size.width() - width()) / 2),
                 y = std::max(0.0, (size.height() - height()) / 2);
    m_offset = {std::clamp(m_offset.x(), -x, x), std::clamp(m_offset.y(), -y, y)};
    update();
    Q_EMIT panned();
}

void VideoView::mouseReleaseEvent(QMouseEvent* event) {
    m_dragging = false;
    m_layerDrags = false;
    // A press that moved was a drag of the picture.
    const bool still = (event->position() - m_pressed).manhattanLength() < m_theme.px(4);
    if (event->button() == Qt::LeftButton && still && m_layer && !m_image.isNull())
        m_layer->click(event->position(), target());
}

void VideoView::leaveEvent(QEvent*) {
    if (m_layer)
        m_layer->leave();
}

void VideoView::focusInEvent(QFocusEvent* event) {
    m_keyboardFocus =
        event->reason() != Qt::MouseFocusReason && event->reason() != Qt::ActiveWindowFocusReason;
    update();
}

void VideoView::focusOutEvent(QFocusEvent*) {
    m_keyboardFocus = false;
    update();
}

} // namespace canopy::ui
