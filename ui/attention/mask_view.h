#pragma once

#include <QImage>

#include "ui/attention/attention_view.h"

namespace canopy::ui {

enum class MaskLook { Current, Anchor, Difference };

/// Blocks of queries down, blocks of keys across, with a line where a latent frame begins. Pointer or up and
/// down choose a block of queries. Says in words why there is no mask.
class MaskView : public AttentionView {
    Q_OBJECT
public:
    explicit MaskView(AttentionSelection* selection, QWidget* parent = nullptr);
    void setLook(MaskLook look);
    MaskLook look() const { return m_look; }
    /// Intersection over union with the choice before; negative where one of the two is missing.
    double overlap() const;
    /// "q-block 39: latent frame 12, rows 15 to 17, 35 of 240 key blocks"; empty without a block.
    QString queryWords() const;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void describe() override;

private:
    QRectF area() const;
    const BlockBitmap* shown() const;
    QString whyNone() const;
    QImage picture(const BlockBitmap& mask, const BlockBitmap* against) const;
    void paintFrames(QPainter& painter, const QRectF& all, int blocks) const;
    int blockAt(const QPointF& point) const;

    MaskLook m_look = MaskLook::Current;
};

} // namespace canopy::ui
