#pragma once

#include <array>
#include <memory>
#include <vector>

#include <QWidget>

#include "core/media/compare.h"
#include "core/project/clip_library.h"
#include "ui/compare/pair_player.h"
#include "ui/compare/pair_view.h"
#include "ui/theme/dresser.h"
#include "ui/viewer/playback_keys.h"

class QLabel;
class QPushButton;
class QToolButton;

namespace canopy::ui {

class ComboField;
class MetricStrips;

/// The middle of Compare: which two clips, how they are laid over each other, transport, and the figures of
/// every frame. Shows what it is told; asks for clips by clipChosen().
class PairPane : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit PairPane(QWidget* parent = nullptr);

    PairPlayer& player() { return *m_player; }
    PairView& view() { return *m_view; }
    MetricStrips& strips() { return *m_strips; }

    /// What the two fields offer, newest first.
    void setClips(const std::vector<Clip>& clips);
    /// Chooses a file for a side and shows it; a file outside the library is added to both fields.
    void setFile(PairSide side, const QString& file);
    QString file(PairSide side) const { return m_player->file(side); }
    void setNames(const QString& a, const QString& b); ///< on the plates
    void setMode(PairMode mode);
    void nextMode();
    void setHint(const QString& text); ///< over the empty picture
    /// Null: not known (yet); the words then say why.
    void setFigures(std::shared_ptr<const media::FileComparison> figures, const QString& words);
    void goToNextWorst();
    /// Little room: what keys and menus give as well is left out.
    void setCompact(bool compact);
    QWidget* keyTarget() const;
    const Theme& theme() const { return m_theme; }
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void clipChosen(canopy::ui::PairSide side, const QString& file);
    void fileWanted(canopy::ui::PairSide side); ///< "Open a file…"
    void swapRequested();
    void hovered(const QString& words);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    QWidget* buildHeader();
    QWidget* buildTransport();
    void fillField(PairSide side);
    void showFrame();
    void showState();
    bool letterKey(int key, Qt::KeyboardModifiers modifiers);
    void showMenu(const QPoint& at);

    Theme m_theme;
    bool m_hasTheme = false;
    PairPlayer* m_player;
    PlaybackKeys m_keys;
    PairView* m_view = nullptr;
    MetricStrips* m_strips = nullptr;
    std::array<ComboField*, 2> m_fields{};
    std::array<QPushButton*, 4> m_modes{};
    std::array<QString, 2> m_extra; ///< files outside the library
    struct Offer {
        QString file;
        QString label;
    };
    std::vector<Offer> m_offers;
    QToolButton* m_zoom = nullptr;
    std::vector<QToolButton*> m_buttons;
    QToolButton* m_play = nullptr;
    QLabel* m_time = nullptr;
    QLabel* m_total = nullptr;
    QLabel* m_number = nullptr;
    QLabel* m_rank = nullptr;
    QPushButton* m_worst = nullptr;
    int m_worstShown = -1; ///< place in the list of worst frames; -1 = none asked for yet
};

} // namespace canopy::ui
