#pragma once

#include <memory>
#include <optional>

#include <QImage>
#include <QObject>

#include "core/studio/ask_view.h"
#include "ui/theme/theme.h"
#include "ui/tokens/token_painter.h"
#include "ui/viewer/picture_layer.h"

namespace canopy::ui {

/// What the layer draws, as a value that may cross threads (exports).
struct OverlayExport {
    TokenScene scene;
    TokenPaint what; ///< of the shown sample; `other` and `cosine` are null and stand below
    std::vector<std::uint8_t> other;
    std::vector<float> cosine;
    Theme theme;
};

/// The overlay of the viewer: which cells of the shown frame were kept. Owns what is chosen on it (tree, cell
/// cursor) for all views of the run. GUI thread.
class TokenLayer : public QObject, public PictureLayer {
    Q_OBJECT
public:
    explicit TokenLayer(QObject* parent = nullptr);

    void setTheme(const Theme& theme);
    /// Another run: tree and cursor are let go where they are not in it.
    void setRun(std::shared_ptr<const TokenRun> run);
    bool setKeep(double keep); ///< see TokenScene::setKeep
    const TokenScene& scene() const { return m_scene; }

    void setLook(TokenLook look);
    TokenLook look() const { return m_look; }
    /// Time of the picture that is shown, of its own timestamp.
    void setSeconds(double seconds);
    int sample() const { return m_sample; }

    void selectTree(int tree);
    int selectedTree() const { return m_tree; }
    void setCursor(int cell); ///< -1 = none
    int cursor() const { return m_cursor; }
    /// Kept cells of a second run of the same frames; null = none.
    void setOther(std::shared_ptr<const TokenRun> other);
    bool hasOther() const { return m_other.has_value(); }
    /// Cells that only this run kept, and that only the other kept.
    std::pair<int, int> difference() const;
    /// While on, a chosen cell is asked about instead of lighting its tree.
    void setProbing(bool on);
    bool isProbing() const { return m_probing; }
    void setProbe(const SimilarityProbe& probe);
    void clearProbe();
    bool hasProbe() const { return m_probe.has_value(); }
    const std::optional<SimilarityProbe>& probe() const { return m_probe; }

    OverlayExport exportValue() const;
    QString cursorWords() const;

    void paintOver(QPainter& painter, const QRectF& picture, const QRectF& visible) override;
    bool click(const QPointF& point, const QRectF& picture) override;
    void hover(const QPointF& point, const QRectF& picture) override;
    void leave() override;
    bool key(int key, Qt::KeyboardModifiers modifiers) override;

Q_SIGNALS:
    void changed();      ///< paint again
    void sceneChanged(); ///< run or cut
    void sampleChanged(int sample);
    void treeSelected(int tree);
    void cursorMoved(const QString& words); ///< empty = no cell
    void lookChanged(canopy::ui::TokenLook look);
    void probeWanted(int cell);
    void probingChanged(bool on);

private:
    void moveCursor(int rows, int columns);
    void choose(int cell);
    TokenPaint what() const;
    void follow(); ///< the cell cursor stays on its place while frames go by

    Theme m_theme;
    bool m_hasTheme = false;
    QImage m_painted; ///< the overlay as drawn last: frames between two samples share it
    QRectF m_paintedFor;
    TokenScene m_scene;
    TokenLook m_look = TokenLook::Tokens;
    double m_seconds = 0;
    int m_sample = -1;
    int m_tree = -1;
    int m_cursor = -1;
    bool m_probing = false;
    std::optional<std::vector<std::uint8_t>> m_other;
    std::optional<SimilarityProbe> m_probe;
};

} // namespace canopy::ui
