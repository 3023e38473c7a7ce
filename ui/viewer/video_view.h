#pragma once

#include <QImage>
#include <QWidget>

#include "ui/theme/dresser.h"
#include "ui/viewer/picture_layer.h"

namespace canopy::ui {

/// Paints one picture in the neutral surround, by QPainter alone. Fit or a zoom factor; drag moves an
/// enlarged picture. Keys are not handled here: the panel owns the transport.
class VideoView : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit VideoView(QWidget* parent = nullptr);

    /// `pictureSize`: pixels of the clip the image stands for, when the image is a smaller preview of it.
    void setImage(const QImage& image, const QSize& pictureSize = {});
    /// Said in the middle while there is no picture.
    void setHint(const QString& text);
    const QImage& image() const { return m_image; }

    /// Drawn over the picture and asked about the pointer first; null = none. Not owned.
    void setLayer(PictureLayer* layer);
    PictureLayer* layer() const { return m_layer; }
    QRectF pictureRect() const { return target(); } ///< logical pixels of this widget

    bool isFit() const { return m_fit; }
    void setFit();
    /// Device pixels per picture pixel; 1 = 100 %.
    void setZoom(double factor);
    double zoom() const; ///< in effect, also while fitted
    void zoomIn();
    void zoomOut();
    /// Takes zoom and place of another view, which shows a picture of the same size.
    void follow(const VideoView& other);

    void setTheme(const Theme& theme) override;
    QSize minimumSizeHint() const override;

Q_SIGNALS:
    void zoomChanged();
    void panned(); ///< an enlarged picture was dragged

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;
    void leaveEvent(QEvent* event) override;

private:
    QRectF target() const; ///< where the picture lies, logical pixels
    double fitZoom() const;

    Theme m_theme;
    QImage m_image;
    QSize m_pictureSize;
    QString m_hint;
    bool m_fit = true;
    double m_zoom = 1;
    QPointF m_offset; ///< of the centre, logical pixels
    PictureLayer* m_layer = nullptr;
    QPointF m_grab;
    QPointF m_pressed;
    bool m_dragging = false;
    bool m_layerDrags = false;
    bool m_keyboardFocus = false;
};

} // namespace canopy::ui
