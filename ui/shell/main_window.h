#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include <QMainWindow>

#include "ui/link/studio_link.h"
#include "ui/overlay/overlay.h"
#include "ui/shell/stall_watchdog.h"
#include "ui/shell/ui_settings.h"
#include "ui/shell/workspace_switch.h"
#include "ui/theme/theme_manager.h"

class QAction;
class QPushButton;

namespace canopy::ui {

class AskPanel;
class AskWorkspace;
class CacheInspector;
class CachePage;
class CacheSelection;
class ChunkActions;
class CompareWorkspace;
class ComparisonPanel;
class CreateWorkspace;
class FocusRing;
class InspectPages;
class InspectPanel;
class InspectWorkspace;
class LibraryPanel;
class NoteBar;
class PairPane;
class QueuePanel;
class RequestPanel;
class StatusStrip;
class TimelinePanel;
class TokenLayer;
class TokensPanel;
class VideoView;
class ViewerPanel;
class WindowLayout;

/// What the composition root hands to the window.
struct WindowOptions {
    UiSettings settings;
    std::filesystem::path settingsFile; ///< empty = nothing is saved
    std::filesystem::path clipFolder;   ///< in use; its free space is shown
    std::filesystem::path defaultClipFolder;
    std::vector<std::filesystem::path> licenceFolders;
    QString version;
    QString mediaText; ///< "FFmpeg 5.1 ..."
    QString note;      ///< told at the start, e.g. about broken settings
};

/// Arranges panes, menus and keys. What the panes show is the workspaces'.
class MainWindow : public QMainWindow {
    Q_OBJECT
public:
    MainWindow(ThemeManager* themes, StudioLink* link, WindowOptions options);
    ~MainWindow() override;

    /// Opens what may take time: studio, models, OpenGL probe, desktop theme. Call after show().
    void startServices();
    /// Ends without questions, within a moment (SIGTERM, log-out).
    void quitAtOnce();
    void raiseToFront();

    RequestPanel& requestPanel() { return *m_request; }
    ViewerPanel& viewerPanel() { return *m_viewer; }
    QueuePanel& queuePanel() { return *m_queue; }
    LibraryPanel& libraryPanel() { return *m_library; }
    NoteBar& noteBar() { return *m_notes; }
    AskPanel& askPanel() { return *m_chat; }
    TokensPanel& tokensPanel() { return *m_tokens; }
    TokenLayer& tokenLayer() { return *m_layer; }
    CreateWorkspace& workspace() { return *m_workspace; }
    AskWorkspace& askWorkspace() { return *m_ask; }
    CompareWorkspace& compareWorkspace() { return *m_compare; }
    InspectWorkspace& inspectWorkspace() { return *m_inspect; }
    InspectPanel& inspectPanel() { return *m_inspectPanel; }
    InspectPages& inspectPages() { return *m_pages; }
    CacheInspector& cacheInspector() { return *m_cacheInspector; }
    TimelinePanel& timelinePanel() { return *m_timeline; }
    ChunkActions& chunkActions() { return *m_chunks; }
    PairPane& pairPane() { return *m_pair; }
    ComparisonPanel& comparisonPanel() { return *m_result; }
    void setWorkspace(Workspace workspace);
    Workspace currentWorkspace() const;
    /// The Ask workspace with this video.
    void askAbout(const QString& file);
    /// The Compare workspace with this clip and its dense twin.
    void compareClip(const QString& file);
    StallWatchdog& watchdog() { return *m_watchdog; }
    Overlay& overlay() { return *m_overlay; }
    const UiSettings& settings() const { return m_settings; }

protected:
    void closeEvent(QCloseEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    void buildPanes();
    void buildTopBar();
    void buildMenus();
    QAction* addAction(class QMenu* menu, const QString& text, const char* objectName,
                       const QList<QKeySequence>& keys, std::function<void()> run);
    VideoView& shownPicture(); ///< what the zoom of the View menu acts on
    void applyTheme(const Theme& theme);
    void setExpert(bool expert);
    void buildFileAndEdit();
    void buildView();
    void buildGenerate();
    void buildClip();
    void buildAsk();
    void buildCompare();
    void buildInspect();
    void buildWindowAndHelp();
    void readPromptFile(const QString& file);
    void movePane(int direction);
    void showProfiler(bool shown);
    void showInspectPage(); ///< the page in front follows the clip, the other rests
    QWidget* inspectTarget() const;
    void watchTopics(); ///< of the worker: what anything in the window shows just now
    void openPreferences();
    void chooseClip();
    void addModelFolder();
    void save();
    void readDisk();
    void askBeforeQuit();

    ThemeManager* m_themes;
    StudioLink* m_link;
    WindowOptions m_options;
    UiSettings m_settings;
    StallWatchdog* m_watchdog;
    std::unique_ptr<Overlay> m_overlay;
    ProfilerData m_profiler;

    RequestPanel* m_request = nullptr;
    ViewerPanel* m_viewer = nullptr;
    QueuePanel* m_queue = nullptr;
    LibraryPanel* m_library = nullptr;
    StatusStrip* m_status = nullptr;
    NoteBar* m_notes = nullptr;
    TokenLayer* m_layer = nullptr;
    TokensPanel* m_tokens = nullptr;
    AskPanel* m_chat = nullptr;
    PairPane* m_pair = nullptr;
    ComparisonPanel* m_result = nullptr;
    CreateWorkspace* m_workspace = nullptr;
    AskWorkspace* m_ask = nullptr;
    CompareWorkspace* m_compare = nullptr;
    InspectPanel* m_inspectPanel = nullptr;
    InspectWorkspace* m_inspect = nullptr;
    CacheSelection* m_cache = nullptr;
    CachePage* m_cachePage = nullptr;
    InspectPages* m_pages = nullptr;
    CacheInspector* m_cacheInspector = nullptr;
    TimelinePanel* m_timeline = nullptr;
    ChunkActions* m_chunks = nullptr;
    WindowLayout* m_layout = nullptr;
    WorkspaceSwitch* m_switch = nullptr;
    FocusRing* m_ring = nullptr;
    QPushButton* m_simple = nullptr;
    QPushButton* m_expert = nullptr;
    QAction* m_profilerAction = nullptr;
    QAction* m_cancelAction = nullptr;
    QAction* m_generateAction = nullptr;
    QAction* m_frontAction = nullptr;
    QAction* m_askAction = nullptr;
    class QMenuBar* m_menuBar = nullptr;
    bool m_quitting = false;
    bool m_quitWhenDone = false;
};

} // namespace canopy::ui
