#pragma once

#include <array>
#include <optional>

#include <QImage>
#include <QObject>

#include "ui/viewer/frame_store.h"
#include "ui/viewer/playback.h"

namespace canopy::ui {

enum class PairSide { A, B };

/// Two clips under one time cursor: frame k of both is shown, or the last pair stays. Without B it plays A
/// alone. GUI thread.
class PairPlayer : public QObject {
    Q_OBJECT
public:
    explicit PairPlayer(QObject* parent = nullptr);

    void open(PairSide side, const QString& file); ///< empty closes
    QString file(PairSide side) const { return of(side).file; }
    const std::optional<ClipFacts>& facts(PairSide side) const { return of(side).facts; }
    /// Why the two cannot be shown together, in a sentence; empty = nothing is wrong.
    QString problem() const;
    bool isPair() const; ///< both are open and fit

    Playback& playback() { return *m_playback; }
    const QImage& image(PairSide side) const { return of(side).shown; } ///< of shownFrame()
    int shownFrame() const { return m_shownFrame; }

Q_SIGNALS:
    void changed(); ///< files, facts or problem
    void shown(int frame);

private:
    struct Side {
        FrameStore* store = nullptr;
        QString file;
        std::optional<ClipFacts> facts;
        QString error;
        QImage shown;
    };
    const Side& of(PairSide side) const { return m_sides[std::size_t(side)]; }
    Side& of(PairSide side) { return m_sides[std::size_t(side)]; }
    void settle();
    void showFrame();

    Playback* m_playback;
    std::array<Side, 2> m_sides;
    int m_shownFrame = -1;
};

} // namespace canopy::ui
