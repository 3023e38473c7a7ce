#include "ui/panels/pane_scroll.h"

#include <algorithm>

#include <QEvent>

namespace canopy::ui {

PaneScroll::PaneScroll(QWidget* content, const char* objectName, QWidget* parent)
    : QScrollArea(parent) {
    setObjectName(QLatin1String(objectName));
    setProperty("pane", "dock");
    setWidgetResizable(true);
    setFrameShape(QFrame::NoFrame);
    setFocusPolicy(Qt::NoFocus);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Preferred);
    setWidget(content);
    content->installEventFilter(this);
}

QSize PaneScroll::sizeHint() const {
    const int wanted = widget()->hasHeightForWidth()
                           ? widget()->heightForWidth(std::max(1, viewport()->width()))
                           : widget()->sizeHint().height();
    return {widget()->sizeHint().width(), std::max(wanted, widget()->minimumSizeHint().height())};
}

QSize PaneScroll::minimumSizeHint() const {
    return {widget()->minimumSizeHint().width(), std::min(sizeHint().height(), 96)};
}

bool PaneScroll::eventFilter(QObject* watched, QEvent* event) {
    if (watched == widget() && event->type() == QEvent::LayoutRequest)
        updateGeometry();
    return QScrollArea::eventFilter(watched, event);
}

} // namespace canopy::ui
