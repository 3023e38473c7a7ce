#pragma once

#include <QImage>

#include "ui/attention/attention_view.h"

namespace canopy::ui {

/// One latent frame of the clip under what the chosen block of queries sees of it: kept blocks clear, skipped
/// ones veiled, the block itself in the accent. Left and right go through the frames.
class KeyFrameView : public AttentionView {
    Q_OBJECT
public:
    explicit KeyFrameView(AttentionSelection* selection, QWidget* parent = nullptr);
    int frame() const { return m_frame; }
    void setFrame(int frame);
    void setShowsKeys(bool shows); ///< false: the picture alone
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

Q_SIGNALS:
    void frameChanged(int frame);

protected:
    void paintEvent(QPaintEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void describe() override;

private:
    void takePicture();
    QRectF target() const;
    /// Tokens of this frame that belong to blocks [first, last] of the clip, as rectangles.
    std::vector<QRectF> spans(const QRectF& picture, int firstToken, int lastToken) const;
    void paintKeys(QPainter& painter, const QRectF& picture) const;
    void paintPlate(QPainter& painter, const QRectF& picture, const QString& text) const;
    QString words() const;

    QImage m_picture;
    std::shared_ptr<const PreviewImage> m_preview;
    int m_frame = 0;
    bool m_showsKeys = true;
};

} // namespace canopy::ui
