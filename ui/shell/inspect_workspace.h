#pragma once

#include <functional>
#include <string>
#include <vector>

#include <QObject>

#include "ui/attention/attention_selection.h"
#include "ui/link/studio_link.h"
#include "ui/theme/theme.h"

class QWidget;

namespace canopy::ui {

class InspectPanel;
class NoteBar;
class StatusStrip;

/// What the Inspect workspace shows: the clip under way or the last one, until a recording is opened. Asks
/// the worker for block masks of the shown layer only while it is in front. GUI thread.
class InspectWorkspace : public QObject {
    Q_OBJECT
public:
    struct Panes {
        InspectPanel* panel;
        StatusStrip* status;
        NoteBar* notes;
    };
    InspectWorkspace(StudioLink* link, const Panes& panes, QWidget* window);

    void setActive(bool active);
    void openSession(const QString& file); ///< read in the background
    void chooseSession();
    void chooseCalibration();
    void showCalibration(const QString& file); ///< thresholds as `canopy-cli calibrate` wrote them
    void saveSession();
    void saveSessionAs(const QString& file);
    void showTable();
    void exportMaps(bool npz);
    void exportTo(const QString& file, bool npz);
    /// The chunks of the clip that the cache page shows: they are saved with the session.
    void setChunks(JobId job, std::shared_ptr<const ChunkRecord> record);
    bool showsFile() const { return !m_file.isEmpty(); }
    void showLive();
    /// Topics that this workspace wants watched just now.
    std::vector<std::string> topics() const;
    void setTheme(const Theme& theme) { m_theme = theme; }

Q_SIGNALS:
    void topicsChanged();
    /// A recording holds what was done chunk by chunk: it belongs on the cache page.
    void chunksOpened(const QString& file, const std::shared_ptr<const canopy::ChunkRecord>& record);

private:
    void onSnapshot(const SnapshotPtr& snapshot);
    void showSource();
    /// Runs `work` on the pool, then tells its sentence.
    void inBackground(std::function<QString()> work);

    StudioLink* m_link;
    Panes m_p;
    QWidget* m_window;
    Theme m_theme;
    AttentionSelection::RunPtr m_live;
    QString m_file;
    JobId m_chunksJob = 0;
    std::shared_ptr<const ChunkRecord> m_chunks;
    int m_layer = 0;
    bool m_active = false;
};

} // namespace canopy::ui
