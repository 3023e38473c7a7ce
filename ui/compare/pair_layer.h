#pragma once

#include <QImage>
#include <QObject>
#include <QString>

#include "ui/theme/theme.h"
#include "ui/viewer/picture_layer.h"

namespace canopy::ui {

enum class PairMode { Wipe, SideBySide, Blink, Difference };

/// Draws B over A: right of the wipe, in turns, or as their difference. Also the plates that say which clip
/// is where. GUI thread.
class PairLayer : public QObject, public PictureLayer {
    Q_OBJECT
public:
    explicit PairLayer(QObject* parent = nullptr);

    void setTheme(const Theme& theme);
    void setMode(PairMode mode);
    PairMode mode() const { return m_mode; }
    /// Pictures of one frame; null B = there is none to compare with.
    void setImages(const QImage& a, const QImage& b);
    void setNames(const QString& a, const QString& b); ///< "dense", "balanced"
    void setGain(int gain);
    int gain() const { return m_gain; }
    const MapTokens& maps() const { return m_theme.maps(); }
    /// Share of the picture's width that shows A.
    void setWipe(double share);
    double wipe() const { return m_wipe; }
    /// While blinking: B is on the screen.
    void setShowsB(bool shows);
    bool showsB() const { return m_showsB; }

    void paintOver(QPainter& painter, const QRectF& picture, const QRectF& visible) override;
    bool click(const QPointF&, const QRectF&) override { return false; }
    void hover(const QPointF& point, const QRectF& picture) override;
    void leave() override;
    bool key(int, Qt::KeyboardModifiers) override { return false; }
    bool grab(const QPointF& point, const QRectF& picture) override;
    void drag(const QPointF& point, const QRectF& picture) override;

    /// A plate with a letter and a name in a corner of what is seen of the picture.
    void paintPlate(QPainter& painter, const QRectF& picture, const QRectF& visible, bool isB,
                    bool atRight) const;

Q_SIGNALS:
    void changed(); ///< what is drawn
    void wipeMoved(double share);
    void pointerNearWipe(bool near);

private:
    void paintWipe(QPainter& painter, const QRectF& picture, const QRectF& visible);
    double wipeX(const QRectF& picture) const;

    Theme m_theme;
    bool m_hasTheme = false;
    PairMode m_mode = PairMode::Wipe;
    QImage m_a;
    QImage m_b;
    QImage m_difference; ///< of m_a and m_b; made when it is first drawn
    QString m_nameA;
    QString m_nameB;
    int m_gain = 8;
    double m_wipe = 0.5;
    bool m_showsB = false;
};

} // namespace canopy::ui
