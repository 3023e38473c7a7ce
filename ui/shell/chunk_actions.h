#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <QObject>

#include "ui/link/studio_link.h"

namespace canopy::ui {

class CacheInspector;
class CacheSelection;
class NoteBar;
class RequestPanel;
class TimelinePanel;
class ViewerPanel;

/// Decides what the chunk timeline of Create shows and does what is asked of a chunk: other takes of the clip
/// from there on. GUI thread. Owns none of the panes.
class ChunkActions : public QObject {
    Q_OBJECT
public:
    struct Panes {
        ViewerPanel* viewer;
        RequestPanel* request;
        TimelinePanel* timeline;
        NoteBar* notes;
    };
    ChunkActions(StudioLink* link, CacheSelection* selection, CacheInspector* inspector, const Panes& panes,
                 QObject* parent = nullptr);

    void setActive(bool active); ///< Create is in front
    /// Makes the clip that is shown again from this chunk on, with another seed.
    void regenerate(int chunk);
    /// Takes its settings into the form, from this chunk on.
    void changePrompt(int chunk);
    /// Makes it again from this chunk on, with nothing of that chunk reused.
    void forceComputing(int chunk);

Q_SIGNALS:
    void inspectRequested(int chunk);
    void takeChosen(const QString& file);

private:
    void onSnapshot();
    void showContent();
    void showFacts();
    void showTakes();
    void showMenu(int chunk, const QPoint& global);
    /// The settings of the clip that is shown, to be made again from a chunk on; nothing while it is made.
    std::optional<GenerationRequest> from(int chunk) const;
    void tellBudget(const GenerationRequest& request); ///< where it had to be raised

    StudioLink* m_link;
    CacheSelection* m_selection;
    CacheInspector* m_inspector;
    Panes m_p;
    std::vector<Clip> m_clips; ///< of the whole library
    QString m_looksFile;       ///< asked for or known
    std::shared_ptr<const std::vector<FrameLook>> m_looks;
    std::shared_ptr<const GrownFrames> m_grown; ///< of the last facts
    double m_secondsLeft = 0;                   ///< of the last snapshot; 0 = nothing runs or not known
    JobId m_factsJob = 0;
    QString m_takesOf; ///< what the takes were last looked up for
    bool m_active = true;
};

} // namespace canopy::ui
