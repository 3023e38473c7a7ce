#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <QObject>

#include "ui/link/studio_link.h"
#include "ui/panels/comparison_panel.h"
#include "ui/panels/pair_pane.h"

class QWidget;

namespace canopy::ui {

class NoteBar;
class PairFigures;
class SpeedBox;
class PairPictures;
class StatusStrip;

/// Decides what the panes of Compare show: which two clips, their figures, the noise floor, and the clips
/// that are made for the comparison. GUI thread. Owns none of the panes.
class CompareWorkspace : public QObject {
    Q_OBJECT
public:
    struct Panes {
        PairPane* pair;
        const SpeedBox* speed; ///< whose predictions a measured time is held against
        ComparisonPanel* result;
        StatusStrip* status;
        NoteBar* notes;
    };
    CompareWorkspace(StudioLink* link, const Panes& panes, QWidget* window);

    void setActive(bool active);
    /// An accelerated clip beside its dense twin, or a dense clip beside its newest accelerated one; alone
    /// where there is none.
    void compare(const QString& file);
    void setClips(const QString& a, const QString& b);
    void chooseFile(PairSide side);
    void swap();
    void makeTwin();
    void measureFloor();
    void exportCsv();
    void showTable();

private:
    /// What a clip made for the comparison is for.
    struct Making {
        enum class Goal { Twin, Floor } goal = Goal::Twin;
        JobId job = 0; ///< 0 = asked for, not yet in the list
        GenerationRequest request;
        JobId after = 0; ///< the newest job when it was asked for
    };
    void connectPanes();
    void onLibrary(const std::vector<Clip>& clips);
    void onSnapshot(const SnapshotPtr& snapshot);
    void chooseDefault();
    void setFile(PairSide side, const QString& file);
    const Clip* clip(PairSide side) const; ///< null: not read yet, or no clip of ours
    void start(Making::Goal goal, const GenerationRequest& request);
    void compareFigures();
    void findFloor();
    void show();
    QString waitingWords() const;
    QString nameOf(const Clip* clip) const;
    QString makingWords() const;

    StudioLink* m_link;
    Panes m_p;
    QWidget* m_window;
    PairFigures* m_figures;
    PairFigures* m_floorFigures;
    PairPictures* m_pictures;
    std::vector<Clip> m_clips;
    bool m_libraryKnown = false;
    std::map<QString, std::optional<Clip>> m_outside; ///< files outside the library; none = no clip of ours
    SnapshotPtr m_snapshot;
    bool m_active = false;
    bool m_chosen = false; ///< somebody chose clips: no more defaults
    std::optional<Making> m_making;
    QString m_makingWords;
    QString m_refusal; ///< why a clip for the comparison could not be made
    std::shared_ptr<const media::FileComparison> m_compared;
    QString m_comparedWords;
    QString m_floorFile;
    std::optional<NoiseFloor> m_floor;
    QString m_floorWords;
};

} // namespace canopy::ui
