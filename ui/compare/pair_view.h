#pragma once

#include <memory>

#include <QTimer>
#include <QWidget>

#include "ui/compare/pair_layer.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {

class VideoView;

/// Two pictures of one size as a wipe, side by side, in turns or as their difference; zoom and place are the
/// same for both. Letter keys are told by keyPressed().
class PairView : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit PairView(QWidget* parent = nullptr);
    ~PairView() override;

    PairLayer& layer() { return *m_layer; }
    VideoView& viewA() { return *m_a; }
    VideoView& viewB() { return *m_b; } ///< shown side by side only
    void setMode(PairMode mode);
    PairMode mode() const { return m_layer->mode(); }
    void setImages(const QImage& a, const QImage& b);
    void setHint(const QString& text); ///< said while there is no picture
    /// The other clip while blinking, by hand.
    void blink();
    QWidget* keyTarget() const;
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void modeChanged(canopy::ui::PairMode mode);
    void zoomChanged();

protected:
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;

private:
    /// Names the clip on its side.
    class PlateLayer;
    void runBlink();

    VideoView* m_a;
    VideoView* m_b;
    PairLayer* m_layer;
    std::unique_ptr<PlateLayer> m_plateB;
    QTimer m_blink;
};

} // namespace canopy::ui
