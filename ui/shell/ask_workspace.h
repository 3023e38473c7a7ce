#pragma once

#include <map>
#include <memory>
#include <optional>

#include <QObject>
#include <QTimer>

#include "ui/link/studio_link.h"
#include "ui/tokens/token_layer.h"

class QLabel;
class QPushButton;
class QWidget;

namespace canopy::ui {

class AskPanel;
class NoteBar;
class PictureReader;
class RunExporter;
class StatusStrip;
class TokensPanel;
class ViewerPanel;

/// Decides what the panes of Ask show: joins the link's values with chat, overlay and strip around the one
/// video and its time. GUI thread. Owns the controls it adds to the viewer, none of the panes.
class AskWorkspace : public QObject {
    Q_OBJECT
public:
    struct Panes {
        AskPanel* chat;
        ViewerPanel* viewer;
        TokensPanel* tokens;
        StatusStrip* status;
        NoteBar* notes;
    };
    AskWorkspace(StudioLink* link, TokenLayer* layer, const Panes& panes, QWidget* window);

    void setActive(bool active);
    bool isActive() const { return m_active; }
    void attach(const QString& file); ///< the video that questions are about
    void chooseVideo();
    void ask();
    void newQuestion();
    void showTokens(JobId id); ///< on picture, strip and forest
    JobId shown() const { return m_shown; }
    void setLook(TokenLook look);
    void setProbing(bool on);
    void showTable();

private:
    void buildViewerControls();
    void connectPanes();
    void onSnapshot(const SnapshotPtr& snapshot);
    void onViewerContent();
    void setVideo(const QString& file);
    void takeAsks();
    void showRun(std::shared_ptr<const TokenRun> run);
    void send(const AskRequest& request);
    void showDifference(JobId a, JobId b);
    void followKeep();
    void showReadout();
    void showSample();
    void showVideoNote();
    void showLook();
    const AskView* view(JobId id) const;

    StudioLink* m_link;
    TokenLayer* m_layer;
    Panes m_p;
    QWidget* m_window;
    PictureReader* m_pictures;
    RunExporter* m_exporter;
    SnapshotPtr m_snapshot;
    std::vector<AskView> m_asks;                             ///< with the runs that were read from files
    std::map<JobId, std::shared_ptr<const TokenRun>> m_runs; ///< of earlier starts; null = being read
    bool m_active = false;
    JobId m_shown = 0;
    JobId m_wanted = 0; ///< asked last: shown as soon as its tokens are known
    std::optional<AskCheck> m_check;
    QTimer m_checkTimer;
    QWidget* m_looks = nullptr;
    QPushButton* m_look[3] = {};
    QPushButton* m_probe = nullptr;
    QLabel* m_sample = nullptr;
    QWidget* m_legend = nullptr;
};

} // namespace canopy::ui
