#pragma once

#include <QWidget>

#include "ui/theme/dresser.h"
#include "ui/tokens/sample_axis.h"
#include "ui/tokens/token_layer.h"

namespace canopy::ui {

/// A view of the run below the picture: shares the sampled frames' axis, the time cursor, the chosen tree and
/// the arrow keys. Paints from the layer's scene; asks for times by seekRequested().
class RunView : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    RunView(TokenLayer* layer, const QString& name, const char* objectName, QWidget* parent = nullptr);
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void seekRequested(double seconds);
    void hovered(const QString& words);

protected:
    SampleAxis axis() const;
    const TokenScene& scene() const { return m_layer->scene(); }
    void seekTo(int sample);
    void focusRing(QPainter& painter);
    /// The time cursor: a line through the centre of the shown sample's slot.
    void paintCursor(QPainter& painter, double top, double bottom);

    void keyPressEvent(QKeyEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;
    void leaveEvent(QEvent* event) override;

    TokenLayer* m_layer;
    Theme m_theme;
    bool m_hasTheme = false;

private:
    bool m_keyboardFocus = false;
};

} // namespace canopy::ui
