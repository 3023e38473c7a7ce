#include "ui/cache/cache_view.h"

#include <QAccessible>
#include <QFocusEvent>
#include <QKeyEvent>
#include <QPainter>

namespace canopy::ui {

CacheView::CacheView(CacheSelection* selection, const QString& name, const char* objectName, QWidget* parent)
    : QWidget(parent)
    , m_selection(selection) {
    setObjectName(QLatin1String(objectName));
    setAccessibleName(name);
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    connect(selection, &CacheSelection::sceneChanged, this, qOverload<>(&QWidget::update));
    connect(selection, &CacheSelection::frameChanged, this, qOverload<>(&QWidget::update));
    connect(selection, &CacheSelection::cellChanged, this, [this] {
        describe();
        update();
    });
}

void CacheView::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

QString CacheView::spoken() const {
    return m_selection->words(m_selection->chunk(), m_selection->step());
}

void CacheView::describe() {
    setAccessibleDescription(spoken());
    if (hasFocus()) {
        QAccessibleEvent event(this, QAccessible::DescriptionChanged);
        QAccessible::updateAccessibility(&event);
    }
}

void CacheView::focusRing(QPainter& painter) {
    if (!m_keyboardFocus)
        return;
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(m_theme.colour(Role::Focus), 2));
    painter.drawRect(rect().adjusted(1, 1, -1, -1));
}

void CacheView::paintSentence(QPainter& painter, const QRectF& area, const QString& sentence) {
    painter.setFont(m_theme.font(TextStyle::Label));
    painter.setPen(m_theme.colour(Role::Text3));
    painter.drawText(area, Qt::AlignLeft | Qt::AlignVCenter | Qt::TextWordWrap, sentence);
}

void CacheView::keyPressEvent(QKeyEvent* event) {
    if (scene().isEmpty() || event->modifiers() & (Qt::ControlModifier | Qt::AltModifier))
        return QWidget::keyPressEvent(event);
    const int chunk = m_selection->chunk(), step = m_selection->step();
    switch (event->key()) {
    case Qt::Key_Left:
        return m_selection->select(chunk - 1, step);
    case Qt::Key_Right:
        return m_selection->select(chunk + 1, step);
    case Qt::Key_Up:
        return m_selection->select(chunk, step - 1);
    case Qt::Key_Down:
        return m_selection->select(chunk, step + 1);
    case Qt::Key_Home:
        return m_selection->select(0, step);
    case Qt::Key_End:
        return m_selection->select(scene().chunkCount() - 1, step);
    case Qt::Key_PageUp:
        return m_selection->select(chunk, 0);
    case Qt::Key_PageDown:
        return m_selection->select(chunk, scene().steps - 1);
    case Qt::Key_Return:
    case Qt::Key_Enter:
        Q_EMIT m_selection->seekRequested(scene().chunks[std::size_t(chunk)].firstFrame);
        return Q_EMIT m_selection->opened(chunk, step);
    default:
        QWidget::keyPressEvent(event);
    }
}

void CacheView::focusInEvent(QFocusEvent* event) {
    m_keyboardFocus =
        event->reason() != Qt::MouseFocusReason && event->reason() != Qt::ActiveWindowFocusReason;
    describe();
    update();
}

void CacheView::focusOutEvent(QFocusEvent*) {
    m_keyboardFocus = false;
    update();
}

void CacheView::leaveEvent(QEvent*) {
    Q_EMIT m_selection->hovered({});
}

} // namespace canopy::ui
