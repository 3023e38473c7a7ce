// Menus and keys of the main window.
#include <QAction>
#include <QActionGroup>
#include <QDesktopServices>
#include <QDockWidget>
#include <QFileDialog>
#include <QFileInfo>
#include <QMenu>
#include <QMenuBar>
#include <QToolButton>
#include <QUrl>

#include "ui/panels/ask_panel.h"
#include "ui/panels/inspect_pages.h"
#include "ui/panels/inspect_panel.h"
#include "ui/panels/pair_pane.h"
#include "ui/panels/request_panel.h"
#include "ui/panels/viewer_panel.h"
#include "ui/shell/ask_workspace.h"
#include "ui/shell/cache_inspector.h"
#include "ui/shell/compare_workspace.h"
#include "ui/shell/create_workspace.h"
#include "ui/shell/dialogs.h"
#include "ui/shell/inspect_workspace.h"
#include "ui/shell/main_window.h"
#include "ui/shell/window_layout.h"
#include "ui/tokens/token_layer.h"
#include "ui/viewer/video_view.h"

namespace canopy::ui {
namespace {

QList<QKeySequence> keys(std::initializer_list<const char*> list) {
    QList<QKeySequence> out;
    for (const char* text : list)
        out << QKeySequence(QString::fromLatin1(text));
    return out;
}

} // namespace

QAction* MainWindow::addAction(QMenu* menu, const QString& text, const char* objectName,
                               const QList<QKeySequence>& shortcuts, std::function<void()> run) {
    auto* action = menu->addAction(text, this, std::move(run));
    action->setObjectName(QLatin1String(objectName));
    action->setShortcuts(shortcuts);
    QMainWindow::addAction(action); // so that its keys work in full screen, too
    return action;
}

void MainWindow::buildMenus() {
    buildFileAndEdit();
    buildView();
    buildGenerate();
    buildClip();
    buildCompare();
    buildInspect();
    buildAsk();
    buildWindowAndHelp();
}

void MainWindow::buildFileAndEdit() {
    auto* file = m_menuBar->addMenu(tr("File"));
    addAction(file, tr("Open clip…"), "openClip", keys({"Ctrl+O"}), [this] { chooseClip(); });
    addAction(file, tr("Reload settings from…"), "reloadSettingsFrom", {}, [this] {
        const QString name = QFileDialog::getOpenFileName(
            this, tr("Reload settings from"), QString::fromStdString(m_options.clipFolder.string()),
            tr("Clips (*.mp4)"));
        if (!name.isEmpty())
            m_workspace->reloadSettings(name);
    });
    file->addSeparator();
    addAction(file, tr("Open session…"), "openSession", {}, [this] {
        setWorkspace(Workspace::Inspect);
        m_inspect->chooseSession();
    });
    addAction(file, tr("Save session…"), "saveSession", {}, [this] { m_inspect->saveSession(); });
    file->addSeparator();
    addAction(file, tr("Add model folder…"), "addModelFolder", {}, [this] { addModelFolder(); });
    addAction(file, tr("Open clip folder"), "openClipFolder", {}, [this] {
        QDesktopServices::openUrl(QUrl::fromLocalFile(QString::fromStdString(m_options.clipFolder.string())));
    });
    file->addSeparator();
    addAction(file, tr("Quit"), "quit", keys({"Ctrl+Q"}), [this] { close(); });

    auto* edit = m_menuBar->addMenu(tr("Edit"));
    addAction(edit, tr("Copy settings"), "copySettings", keys({"Ctrl+Shift+C"}),
              [this] { m_workspace->copySettings(); });
    addAction(edit, tr("Paste settings"), "pasteSettings", keys({"Ctrl+Shift+V"}),
              [this] { m_workspace->pasteSettings(); });
    edit->addSeparator();
    addAction(edit, tr("Earlier prompt"), "earlierPrompt", keys({"Alt+Up"}),
              [this] { m_request->walkHistory(-1); });
    addAction(edit, tr("Later prompt"), "laterPrompt", keys({"Alt+Down"}),
              [this] { m_request->walkHistory(1); });
    edit->addSeparator();
    addAction(edit, tr("Preferences…"), "preferences", keys({"Ctrl+,"}), [this] { openPreferences(); });
}

VideoView& MainWindow::shownPicture() {
    return currentWorkspace() == Workspace::Compare ? m_pair->view().viewA() : m_viewer->view();
}

void MainWindow::buildView() {
    auto* view = m_menuBar->addMenu(tr("View"));
    addAction(view, tr("Zoom in"), "zoomIn", keys({"Ctrl++", "Ctrl+="}), [this] { shownPicture().zoomIn(); });
    addAction(view, tr("Zoom out"), "zoomOut", keys({"Ctrl+-"}), [this] { shownPicture().zoomOut(); });
    addAction(view, tr("Fit"), "zoomFit", keys({"Ctrl+0"}), [this] { shownPicture().setFit(); });
    addAction(view, tr("Actual size"), "zoomActual", keys({"Ctrl+Alt+0"}),
              [this] { shownPicture().setZoom(1); });
    view->addSeparator();
    m_profilerAction = addAction(view, tr("Profiler"), "profiler", keys({"F3"}),
                                 [this] { showProfiler(!m_overlay->isShown()); });
    m_profilerAction->setCheckable(true);
    // Absent until OpenGL is known to work.
    m_profilerAction->setVisible(false);
    m_profilerAction->setEnabled(false);
    auto* themeMenu = view->addMenu(tr("Theme"));
    auto* group = new QActionGroup(this);
    const std::pair<ThemeChoice, QString> choices[] = {{ThemeChoice::System, tr("As the desktop")},
                                                       {ThemeChoice::Dark, tr("Dark")},
                                                       {ThemeChoice::Light, tr("Light")},
                                                       {ThemeChoice::HighContrast, tr("High contrast")}};
    for (const auto& [choice, text] : choices) {
        auto* action = themeMenu->addAction(text, this, [this, choice = choice] {
            m_settings.theme = choice;
            m_themes->setChoice(choice);
        });
        action->setCheckable(true);
        action->setChecked(choice == m_settings.theme);
        group->addAction(action);
    }
    auto* scaleMenu = view->addMenu(tr("Size of the interface"));
    for (int percent : {80, 90, 100, 110, 125, 150, 175, 200, 250, 300})
        scaleMenu->addAction(tr("%1 %").arg(percent), this, [this, percent] {
            m_settings.scale = percent / 100.0;
            m_themes->setScale(m_settings.scale);
        });
    view->addSeparator();
    addAction(view, tr("Simple or Expert"), "toggleExpert", keys({"Ctrl+E"}),
              [this] { setExpert(!m_settings.expert); });
    addAction(view, tr("Full screen"), "fullScreen", keys({"F11"}),
              [this] { isFullScreen() ? showNormal() : showFullScreen(); });
}

void MainWindow::buildGenerate() {
    auto* generate = m_menuBar->addMenu(tr("Generate"));
    // The keys do not wait for the check of the form: the studio checks again and its refusal is shown there.
    m_generateAction = addAction(generate, tr("Generate"), "generate", keys({"Ctrl+Return", "Ctrl+Enter"}),
                                 [this] { m_workspace->generate(false); });
    m_frontAction =
        addAction(generate, tr("Generate before all waiting jobs"), "generateAtFront",
                  keys({"Ctrl+Shift+Return", "Ctrl+Shift+Enter"}), [this] { m_workspace->generate(true); });
    generate->addSeparator();
    m_cancelAction =
        addAction(generate, tr("Cancel the clip being made"), "cancelRunning",
                  keys({"Ctrl+Alt+Return", "Ctrl+Alt+Enter"}), [this] { m_workspace->cancelRunning(); });
    m_cancelAction->setEnabled(false);
    addAction(generate, tr("Pause or resume the queue"), "togglePause", keys({"Ctrl+Alt+P"}),
              [this] { m_workspace->togglePause(); });
    auto* more = new QMenu(m_request);
    more->addAction(m_generateAction);
    more->addAction(m_frontAction);
    m_request->generateMenuButton()->setMenu(more);
}

void MainWindow::buildClip() {
    auto* clip = m_menuBar->addMenu(tr("Clip"));
    // Single keys belong to the picture; here they are only named.
    const auto named = [&](const QString& text, const char* key, const char* objectName,
                           std::function<void()> act) {
        return addAction(clip, text + u'\t' + tr(key), objectName, {}, std::move(act));
    };
    auto& playback = m_viewer->playback();
    named(tr("Play or pause"), "Space", "clipPlay", [&playback] { playback.toggle(); });
    named(tr("First frame"), "Home", "clipFirst", [&playback] { playback.seek(0); });
    named(tr("Last frame"), "End", "clipLast", [&playback] { playback.seek(playback.frames() - 1); });
    auto* loop =
        addAction(clip, tr("Loop"), "clipLoop", {}, [&playback] { playback.setLoop(!playback.loops()); });
    loop->setCheckable(true);
    connect(&playback, &Playback::stateChanged, loop,
            [loop, &playback] { loop->setChecked(playback.loops()); });
    loop->setChecked(playback.loops());
    clip->addSeparator();
    auto* reload = addAction(clip, tr("Reload settings"), "clipReload", {},
                             [this] { m_workspace->reloadSettings(m_viewer->clipFile()); });
    auto* folder = addAction(clip, tr("Show in folder"), "clipFolder", {}, [this] {
        QDesktopServices::openUrl(QUrl::fromLocalFile(QFileInfo(m_viewer->clipFile()).path()));
    });
    auto* about =
        addAction(clip, tr("Ask about this clip"), "clipAsk", {}, [this] { askAbout(m_viewer->clipFile()); });
    auto* twin = addAction(clip, tr("Compare with its dense twin"), "clipCompare", {},
                           [this] { compareClip(m_viewer->clipFile()); });
    connect(clip, &QMenu::aboutToShow, this, [this, reload, folder, about, twin] {
        twin->setEnabled(!m_viewer->clipFile().isEmpty());
        about->setEnabled(!m_viewer->clipFile().isEmpty());
        reload->setEnabled(!m_viewer->clipFile().isEmpty());
        folder->setEnabled(!m_viewer->clipFile().isEmpty());
    });
}

void MainWindow::buildCompare() {
    auto* menu = m_menuBar->addMenu(tr("Compare"));
    const auto add = [&](const QString& text, const char* objectName, std::function<void()> act) {
        addAction(menu, text, objectName, {}, [this, act = std::move(act)] {
            setWorkspace(Workspace::Compare);
            act();
        });
    };
    add(tr("Clip A…"), "compareFileA", [this] { m_compare->chooseFile(PairSide::A); });
    add(tr("Clip B…"), "compareFileB", [this] { m_compare->chooseFile(PairSide::B); });
    add(tr("Swap A and B\tS"), "compareSwap", [this] { m_compare->swap(); });
    menu->addSeparator();
    // Single keys belong to the picture; here they are only named.
    const std::tuple<QString, const char*, PairMode> modes[] = {
        {tr("Wipe\tW"), "compareWipe", PairMode::Wipe},
        {tr("Side by side"), "compareSide", PairMode::SideBySide},
        {tr("Blink\tX"), "compareBlink", PairMode::Blink},
        {tr("Difference\t0"), "compareDifference", PairMode::Difference}};
    for (const auto& [text, objectName, mode] : modes)
        add(text, objectName, [this, mode = mode] { m_pair->setMode(mode); });
    add(tr("Next worst frame\tN"), "compareWorst", [this] { m_pair->goToNextWorst(); });
    menu->addSeparator();
    add(tr("Make the dense twin"), "compareTwin", [this] { m_compare->makeTwin(); });
    add(tr("Measure the noise floor"), "compareFloor", [this] { m_compare->measureFloor(); });
    add(tr("The frames as a table…"), "compareTable", [this] { m_compare->showTable(); });
    add(tr("Export the figures…"), "compareExport", [this] { m_compare->exportCsv(); });
}

void MainWindow::buildInspect() {
    auto* menu = m_menuBar->addMenu(tr("Inspect"));
    const auto add = [&](const QString& text, const char* objectName, std::function<void()> act) {
        addAction(menu, text, objectName, {}, [this, act = std::move(act)] {
            setWorkspace(Workspace::Inspect);
            act();
        });
    };
    auto& selection = m_inspectPanel->selection();
    // Single keys belong to the map; here they are only named.
    add(tr("Step before\tPage up"), "inspectEarlier",
        [&selection] { selection.setStep(selection.cell().step - 1); });
    add(tr("Next step\tPage down"), "inspectLater",
        [&selection] { selection.setStep(selection.cell().step + 1); });
    add(tr("Newest step"), "inspectFollow", [&selection] { selection.follow(); });
    menu->addSeparator();
    const auto onAttention = [this] { return m_pages->page() == InspectPage::Attention; };
    add(tr("The run as a table…"), "inspectTable",
        [this, onAttention] { onAttention() ? m_inspect->showTable() : m_cacheInspector->showTable(); });
    for (const bool npz : {false, true})
        add(npz ? tr("Export maps as NPZ…") : tr("Export figures as CSV…"), npz ? "inspectNpz" : "inspectCsv",
            [this, onAttention, npz] {
                onAttention() ? m_inspect->exportMaps(npz) : m_cacheInspector->exportRun(npz);
            });
    menu->addSeparator();
    add(tr("Attention"), "inspectShowAttention", [this] { m_pages->setPage(InspectPage::Attention); });
    add(tr("Cache"), "inspectShowCache", [this] { m_pages->setPage(InspectPage::Cache); });
    menu->addSeparator();
    add(tr("Back to this program's run"), "inspectLive", [this] {
        m_inspect->showLive();
        m_cacheInspector->showLive();
    });
}

void MainWindow::buildAsk() {
    auto* ask = m_menuBar->addMenu(tr("Ask"));
    // The keys that it shares with Generate are its own in the Ask workspace.
    m_askAction = addAction(ask, tr("Ask"), "ask", {}, [this] {
        setWorkspace(Workspace::Ask);
        m_ask->ask();
    });
    addAction(ask, tr("New question"), "newQuestion", keys({"Ctrl+N"}), [this] {
        setWorkspace(Workspace::Ask);
        m_ask->newQuestion();
    });
    addAction(ask, tr("Attach a video…"), "attachVideoAction", {}, [this] {
        setWorkspace(Workspace::Ask);
        m_ask->chooseVideo();
    });
    ask->addSeparator();
    // Single keys belong to the picture; here they are only named.
    const auto look = [&](const QString& text, const char* objectName, TokenLook value) {
        addAction(ask, text, objectName, {}, [this, value] {
            setWorkspace(Workspace::Ask);
            m_ask->setLook(value);
        });
    };
    look(tr("Picture alone\tT"), "askPicture", TokenLook::Picture);
    look(tr("Show tokens\tT"), "askTokens", TokenLook::Tokens);
    look(tr("Show links\tShift+T"), "askLinks", TokenLook::Links);
    addAction(ask, tr("Similarity of a cell"), "askSimilarity", {}, [this] {
        setWorkspace(Workspace::Ask);
        m_ask->setProbing(!m_layer->isProbing());
    });
    addAction(ask, tr("The run as a table…"), "askTable", {}, [this] { m_ask->showTable(); });
    auto* exports = ask->addMenu(tr("Export"));
    exports->addActions(m_chat->exportMenu()->actions());
}

void MainWindow::buildWindowAndHelp() {
    auto* window = m_menuBar->addMenu(tr("Window"));
    addAction(window, tr("Create"), "showCreate", keys({"Ctrl+1", "Alt+1"}),
              [this] { setWorkspace(Workspace::Create); });
    addAction(window, tr("Compare"), "showCompare", keys({"Ctrl+2", "Alt+2"}),
              [this] { setWorkspace(Workspace::Compare); });
    addAction(window, tr("Inspect"), "showInspect", keys({"Ctrl+3", "Alt+3"}),
              [this] { setWorkspace(Workspace::Inspect); });
    addAction(window, tr("Ask"), "showAsk", keys({"Ctrl+4", "Alt+4"}),
              [this] { setWorkspace(Workspace::Ask); });
    window->addSeparator();
    for (auto* dock :
         {m_layout->promptDock(), m_layout->queueDock(), m_layout->resultDock(), m_layout->chatDock()})
        window->addAction(dock->toggleViewAction());
    for (auto* dock : {m_layout->resultDock(), m_layout->chatDock()})
        dock->toggleViewAction()->setVisible(false);
    window->addSeparator();
    addAction(window, tr("Next pane"), "nextPane", keys({"F6"}), [this] { movePane(1); });
    addAction(window, tr("Previous pane"), "previousPane", keys({"Shift+F6"}), [this] { movePane(-1); });
    window->addSeparator();
    addAction(window, tr("Reset this workspace"), "resetWorkspace", keys({"Ctrl+Shift+0"}),
              [this] { m_layout->reset(); });

    auto* help = m_menuBar->addMenu(tr("Help"));
    const auto open = [this](QDialog* dialog) {
        dialog->setAttribute(Qt::WA_DeleteOnClose);
        dresser::dress(dialog, m_themes->theme());
        dialog->open();
    };
    addAction(help, tr("Keyboard shortcuts"), "shortcuts", keys({"F1"}),
              [this, open] { open(new ShortcutsDialog(this)); });
    addAction(help, tr("Licences"), "licences", {},
              [this, open] { open(new LicencesDialog(m_options.licenceFolders, this)); });
    addAction(help, tr("About Canopy"), "about", {},
              [this, open] { open(new AboutDialog(m_options.version, m_options.mediaText, this)); });
}

} // namespace canopy::ui
