#pragma once

#include <QPointF>
#include <QRectF>

class QKeyEvent;
class QPainter;

namespace canopy::ui {

/// Something drawn over the viewer's picture and asked about the pointer before the viewer itself. GUI
/// thread.
class PictureLayer {
public:
    virtual ~PictureLayer() = default;
    /// `picture`: where the picture lies, logical pixels; `visible`: the part of the view that is shown.
    virtual void paintOver(QPainter& painter, const QRectF& picture, const QRectF& visible) = 0;
    /// True when the click is taken.
    virtual bool click(const QPointF& point, const QRectF& picture) = 0;
    virtual void hover(const QPointF& point, const QRectF& picture) = 0;
    virtual void leave() = 0;
    virtual bool key(int key, Qt::KeyboardModifiers modifiers) = 0;
    /// True when a drag that begins here is the layer's; then drag() follows until the button is let go.
    virtual bool grab(const QPointF&, const QRectF&) { return false; }
    virtual void drag(const QPointF&, const QRectF&) {}
};

} // namespace canopy::ui
