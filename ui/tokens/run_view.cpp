#include "ui/tokens/run_view.h"

#include <QFocusEvent>
#include <QKeyEvent>
#include <QPainter>

namespace canopy::ui {

RunView::RunView(TokenLayer* layer, const QString& name, const char* objectName, QWidget* parent)
    : QWidget(parent)
    , m_layer(layer) {
    setObjectName(QLatin1String(objectName));
    setAccessibleName(name);
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    connect(layer, &TokenLayer::sceneChanged, this, qOverload<>(&QWidget::update));
    connect(layer, &TokenLayer::sampleChanged, this, qOverload<>(&QWidget::update));
    connect(layer, &TokenLayer::treeSelected, this, qOverload<>(&QWidget::update));
}

void RunView::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

SampleAxis RunView::axis() const {
    return {0, double(width()), scene().isEmpty() ? 0 : scene().run().frames};
}

void RunView::seekTo(int sample) {
    if (sample >= 0 && !scene().isEmpty() && sample < scene().run().frames)
        Q_EMIT seekRequested(scene().run().frameSeconds[std::size_t(sample)]);
}

void RunView::focusRing(QPainter& painter) {
    if (!m_keyboardFocus)
        return;
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(m_theme.colour(Role::Focus), 2));
    painter.drawRect(rect().adjusted(1, 1, -1, -1));
}

void RunView::paintCursor(QPainter& painter, double top, double bottom) {
    if (m_layer->sample() < 0)
        return;
    const double x = std::round(axis().centre(m_layer->sample()));
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.fillRect(QRectF(x - 1, top, 3, bottom - top), m_theme.colour(Role::Casing));
    painter.fillRect(QRectF(x, top, 1, bottom - top), m_theme.colour(Role::Playhead));
}

void RunView::keyPressEvent(QKeyEvent* event) {
    const int sample = m_layer->sample();
    switch (event->key()) {
    case Qt::Key_Left:
        return seekTo(std::max(0, sample - 1));
    case Qt::Key_Right:
        return seekTo(sample + 1);
    case Qt::Key_Home:
        return seekTo(0);
    case Qt::Key_End:
        return seekTo(scene().isEmpty() ? -1 : scene().run().frames - 1);
    default:
        if (!m_layer->key(event->key(), event->modifiers()))
            QWidget::keyPressEvent(event);
    }
}

void RunView::focusInEvent(QFocusEvent* event) {
    m_keyboardFocus =
        event->reason() != Qt::MouseFocusReason && event->reason() != Qt::ActiveWindowFocusReason;
    update();
}

void RunView::focusOutEvent(QFocusEvent*) {
    m_keyboardFocus = false;
    update();
}

void RunView::leaveEvent(QEvent*) {
    Q_EMIT hovered({});
}

} // namespace canopy::ui
