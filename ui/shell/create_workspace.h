#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include <QObject>
#include <QSet>

#include "ui/link/studio_link.h"
#include "ui/panels/library_panel.h"
#include "ui/panels/queue_panel.h"
#include "ui/panels/request_panel.h"
#include "ui/panels/status_strip.h"
#include "ui/panels/viewer_panel.h"
#include "ui/shell/note_bar.h"

namespace canopy::ui {

/// Decides what the panes of Create show: joins the link's values with the panels and keeps the one selection
/// (a job, a clip or nothing). GUI thread. Owns none of the panes.
class CreateWorkspace : public QObject {
    Q_OBJECT
public:
    struct Panes {
        RequestPanel* request;
        ViewerPanel* viewer;
        QueuePanel* queue;
        LibraryPanel* library;
        StatusStrip* status;
        NoteBar* notes;
    };
    CreateWorkspace(StudioLink* link, const Panes& panes, QObject* parent = nullptr);

    void generate(bool atFront);
    void cancelRunning();
    void togglePause();
    void openClip(const QString& file);
    void offerClip(const QString& file); ///< dropped: Reload settings / Open in viewer
    void reloadSettings(const QString& file);
    void takeImage(const QString& file);
    void takeVideo(const QString& file); ///< the next clip goes on from its end
    void copySettings() const;
    void pasteSettings();
    bool isBusy() const; ///< a clip is being made or a question answered here
    /// While another workspace has the viewer, jobs that start do not take it.
    void setActive(bool active);
    JobId shownJob() const { return m_job; }

Q_SIGNALS:
    /// A question was chosen in the queue: it is shown in the Ask workspace.
    void questionChosen(const QString& video, canopy::JobId id);

private:
    void connectSpeed();
    void showJobs();
    void onSnapshot(const SnapshotPtr& snapshot);
    void onClips(const std::vector<Clip>& clips);
    void showJob(JobId id);
    void updateShown();
    void showMaking(const JobRow& row);
    void showFailure(const JobRow& row);
    void welcome();
    void updateWaiting();
    const JobRow* running() const;
    const JobRow* runningClip() const;
    void showQuestion(const JobRow& row);

    StudioLink* m_link;
    Panes m_p;
    SnapshotPtr m_snapshot;
    JobId m_job = 0;     ///< shown; 0 = a clip or nothing
    JobId m_cardJob = 0; ///< whose failure the card tells
    bool m_active = true;
    bool m_follow = true; ///< the running job is shown as soon as it runs
    JobId m_lastRunning = 0;
    bool m_atFront = false;
    bool m_clipsKnown = false;
    bool m_welcoming = false;
    std::optional<GenerationRequest> m_asked; ///< sent and not yet acknowledged
    std::uint64_t m_clipCount = 0;
    QSet<QString> m_told;
    /// By file: jobs of earlier starts have no preview to show in their row.
    std::map<std::filesystem::path, std::shared_ptr<const Thumbnail>> m_clipThumbnails;
    QString m_offered; ///< dropped file whose card is shown
    QTimer m_checkTimer;
};

} // namespace canopy::ui
