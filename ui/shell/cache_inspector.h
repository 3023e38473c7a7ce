#pragma once

#include <map>
#include <memory>

#include <QObject>

#include "ui/cache/cache_selection.h"
#include "ui/link/studio_link.h"
#include "ui/theme/theme.h"

class QWidget;

namespace canopy::ui {

class CachePage;
class NoteBar;
class StatusStrip;
class ViewerPanel;

/// Decides what the cache page of Inspect shows: what block-wise sampling did in the clip under way, else in
/// the one that the viewer shows. GUI thread. Owns none of them.
class CacheInspector : public QObject {
    Q_OBJECT
public:
    struct Panes {
        ViewerPanel* viewer;
        CachePage* page;
        StatusStrip* status;
        NoteBar* notes;
    };
    CacheInspector(StudioLink* link, CacheSelection* selection, const Panes& panes, QWidget* window);

    void setTheme(const Theme& theme) { m_theme = theme; } ///< of the dialogs
    /// The record of a recording, without its clip; until another clip is chosen or showLive().
    void showFile(const QString& file, std::shared_ptr<const ChunkRecord> record);
    void showLive();
    void showTable();
    /// Asks for a name and writes the run: arrays as .npz, else one line a step as CSV.
    void exportRun(bool npz);
    /// The job whose run is shown; 0 = none.
    JobId shownJob() const { return m_shown; }
    /// The clip that the views are about, with or without a run to show; null = none.
    const JobRow* job() const { return m_snapshot && !m_fileRecord ? wanted() : nullptr; }
    std::shared_ptr<const ChunkRecord> record() const { return m_shownRecord; }

private:
    using RecordPtr = std::shared_ptr<const ChunkRecord>;

    void onSnapshot(const SnapshotPtr& snapshot);
    void follow();
    const JobRow* jobOfViewer() const; ///< of the clip that it shows
    const JobRow* wanted() const;
    bool viewerShowsIt() const; ///< the shown run's clip or its preview
    void show(const JobRow* job, RecordPtr record);
    void showFrame();
    void seek(int frame);
    void write(bool npz, const QString& file);

    StudioLink* m_link;
    CacheSelection* m_selection;
    Panes m_p;
    QWidget* m_window;
    Theme m_theme;
    SnapshotPtr m_snapshot;
    std::map<JobId, RecordPtr> m_records; ///< of finished clips; null = being read, or there is none
    std::map<JobId, QString> m_missing;   ///< why there is none
    JobId m_live = 0;                     ///< followed since it began, until another clip is chosen
    JobId m_lastRunning = 0;
    QString m_file;
    RecordPtr m_fileRecord;
    JobId m_shown = 0;
    RecordPtr m_shownRecord;
    double m_shownSeconds = 0;
};

} // namespace canopy::ui
