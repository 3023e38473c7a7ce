#include "ui/shell/main_window.h"

#include <QAction>
#include <QActionGroup>
#include <QApplication>
#include <QCloseEvent>
#include <QDesktopServices>
#include <QDockWidget>
#include <QDropEvent>
#include <QFileDialog>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QMenu>
#include <QMenuBar>
#include <QMessageBox>
#include <QMimeData>
#include <QPointer>
#include <QPushButton>
#include <QScreen>
#include <QScrollArea>
#include <QStatusBar>
#include <QTabBar>
#include <QThreadPool>
#include <QTimer>
#include <QToolButton>
#include <QUrl>
#include <QVBoxLayout>

#include "core/base/files.h"
#include "core/base/log.h"
#include "ui/panels/library_panel.h"
#include "ui/panels/pane_parts.h"
#include "ui/panels/queue_panel.h"
#include "ui/panels/request_panel.h"
#include "ui/panels/status_strip.h"
#include "ui/panels/viewer_panel.h"
#include "ui/shell/create_workspace.h"
#include "ui/shell/dialogs.h"
#include "ui/shell/drop.h"
#include "ui/shell/focus_ring.h"
#include "ui/shell/note_bar.h"
#include "ui/viewer/video_view.h"

namespace canopy::ui {
namespace {

constexpr int kNarrowWidth = 1000; ///< at scale 1; below, docks become tabs beside the clip
constexpr int kLayoutVersion = 1;
constexpr std::uint64_t kMaxPromptBytes = 64 << 10;

QList<QKeySequence> keys(std::initializer_list<const char*> list) {
    QList<QKeySequence> out;
    for (const char* text : list)
        out << QKeySequence(QString::fromLatin1(text));
    return out;
}

} // namespace

MainWindow::MainWindow(ThemeManager* themes, StudioLink* link, WindowOptions options)
    : m_themes(themes)
    , m_link(link)
    , m_options(std::move(options))
    , m_settings(m_options.settings)
    , m_watchdog(new StallWatchdog(this))
    , m_overlay(std::make_unique<Overlay>()) {
    setObjectName(QStringLiteral("mainWindow"));
    setWindowTitle(tr("Canopy"));
    setAcceptDrops(true);
    setDockNestingEnabled(true);
    buildPanes();
    buildTopBar();
    m_workspace =
        new CreateWorkspace(m_link, {m_request, m_viewer, m_queue, m_library, m_status, m_notes}, this);
    buildMenus();
    m_ring = new FocusRing(this);

    m_request->setHistory(m_settings.prompts);
    m_request->setDefaultThreads(m_settings.threads);
    m_request->setSeedLocked(m_settings.seedLocked);
    if (m_settings.prompts.isEmpty()) // first launch: a sentence the starter's world knows
        m_request->setPrompt(tr("Above the sea at dusk, a big red hot air balloon rises fast"));
    m_viewer->playback().setLoop(m_settings.loop);
    setExpert(m_settings.expert);
    connect(m_themes, &ThemeManager::changed, this, &MainWindow::applyTheme);
    connect(m_link, &StudioLink::snapshotChanged, this, [this](const SnapshotPtr& snapshot) {
        m_cancelAction->setEnabled(snapshot->running != 0);
        if (m_overlay->isShown()) {
            m_profiler.update(*snapshot);
            m_overlay->setData(m_profiler);
        }
        if (m_quitWhenDone && snapshot->running == 0) {
            m_quitting = true;
            close();
        }
    });
    if (!m_options.note.isEmpty())
        m_notes->tell({m_options.note, {}, {}});

    const QSize wanted(m_themes->theme().px(1440), m_themes->theme().px(900));
    resize(wanted.boundedTo(screen()->availableSize()));
    applyTheme(m_themes->theme());
    resetWorkspace();
    if (!m_settings.geometry.isEmpty())
        restoreGeometry(m_settings.geometry);
    if (!m_settings.docks.isEmpty() && !m_narrow)
        restoreState(m_settings.docks, kLayoutVersion);
}

MainWindow::~MainWindow() = default;

void MainWindow::startServices() {
    m_watchdog->start();
    m_link->start();
    m_themes->followDesktop();
    probeOpenGl(this, [this](bool works) {
        if (!works)
            return;
        m_overlay = makeImguiOverlay(&m_viewer->view());
        m_overlay->setTheme(m_themes->theme());
        m_profilerAction->setVisible(true);
        m_profilerAction->setEnabled(true);
    });
    readDisk();
    auto* timer = new QTimer(this);
    timer->setInterval(10'000);
    connect(timer, &QTimer::timeout, this, &MainWindow::readDisk);
    timer->start();
}

void MainWindow::readDisk() {
    QPointer<StatusStrip> status(m_status);
    QThreadPool::globalInstance()->start([status, folder = m_options.clipFolder] {
        std::error_code error;
        std::filesystem::path existing = folder;
        while (!existing.empty() && existing != existing.root_path() &&
               !std::filesystem::exists(existing, error))
            existing = existing.parent_path();
        const auto space = std::filesystem::space(existing, error);
        const std::uint64_t free = error ? 0 : space.available;
        QMetaObject::invokeMethod(qApp, [status, free] {
            if (status)
                status->setDiskFree(free);
        });
    });
}

void MainWindow::buildPanes() {
    m_request = new RequestPanel;
    m_viewer = new ViewerPanel;
    m_queue = new QueuePanel;
    m_library = new LibraryPanel;
    m_status = new StatusStrip;
    m_notes = new NoteBar;

    auto* centre = new QWidget;
    auto* centreLayout = new QVBoxLayout(centre);
    centreLayout->setContentsMargins(0, 0, 0, 0);
    centreLayout->setSpacing(0);
    centreLayout->addWidget(m_notes);
    centreLayout->addWidget(m_viewer, 1);
    setCentralWidget(centre);

    const auto dock = [this](QWidget* content, const QString& title, const char* objectName,
                             Qt::DockWidgetArea area) {
        auto* widget = new QDockWidget(title);
        widget->setObjectName(QLatin1String(objectName));
        widget->setAccessibleName(title);
        widget->setTitleBarWidget(new QWidget); // the pane has its own header
        widget->setFeatures(QDockWidget::DockWidgetClosable);
        widget->setWidget(content);
        addDockWidget(area, widget);
        return widget;
    };
    m_leftDock = dock(m_request, tr("Prompt"), "promptDock", Qt::LeftDockWidgetArea);
    auto* right = new QWidget;
    right->setObjectName(QStringLiteral("rightPane"));
    right->setProperty("pane", "dock");
    right->setAttribute(Qt::WA_StyledBackground);
    auto* rightLayout = new QVBoxLayout(right);
    rightLayout->setContentsMargins(0, 0, 0, 0);
    rightLayout->setSpacing(0);
    rightLayout->addWidget(m_queue);
    rightLayout->addWidget(m_library, 1);
    m_rightDock = dock(right, tr("Queue and library"), "queueDock", Qt::RightDockWidgetArea);
    setTabPosition(Qt::AllDockWidgetAreas, QTabWidget::North);

    statusBar()->setSizeGripEnabled(false);
    statusBar()->addPermanentWidget(m_status, 1);
    statusBar()->setContentsMargins(0, 0, 0, 0);
    dresser::setFixedHeight(statusBar(), 28);
}

void MainWindow::buildTopBar() {
    auto* bar = new QWidget;
    bar->setObjectName(QStringLiteral("topBar"));
    bar->setAttribute(Qt::WA_StyledBackground);
    dresser::setFixedHeight(bar, 40);
    auto* layout = new QHBoxLayout(bar);
    dresser::setMargins(layout, 8, 0, 12, 0, 0);
    m_menuBar = new QMenuBar;
    m_menuBar->setObjectName(QStringLiteral("menuBar"));
    m_menuBar->setNativeMenuBar(false);
    m_menuBar->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    m_simple = new QPushButton(tr("Simple"));
    m_expert = new QPushButton(tr("Expert"));
    m_simple->setObjectName(QStringLiteral("simpleButton"));
    m_expert->setObjectName(QStringLiteral("expertButton"));
    m_simple->setProperty("segment", "left");
    m_expert->setProperty("segment", "right");
    m_simple->setToolTip(tr("Show the first few settings"));
    m_expert->setToolTip(tr("Show all settings"));
    for (auto* button : {m_simple, m_expert}) {
        button->setCheckable(true);
        button->setAccessibleName(button->text());
        connect(button, &QPushButton::clicked, this, [this, button] { setExpert(button == m_expert); });
    }
    layout->addWidget(m_menuBar, 1, Qt::AlignVCenter);
    layout->addWidget(m_simple);
    layout->addWidget(m_expert);
    setMenuWidget(bar);
}

QAction* MainWindow::addAction(QMenu* menu, const QString& text, const char* objectName,
                               const QList<QKeySequence>& shortcuts, std::function<void()> run) {
    auto* action = menu->addAction(text, this, std::move(run));
    action->setObjectName(QLatin1String(objectName));
    action->setShortcuts(shortcuts);
    QMainWindow::addAction(action); // so that its keys work in full screen, too
    return action;
}

void MainWindow::buildMenus() {
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

    auto* view = m_menuBar->addMenu(tr("View"));
    addAction(view, tr("Zoom in"), "zoomIn", keys({"Ctrl++", "Ctrl+="}),
              [this] { m_viewer->view().zoomIn(); });
    addAction(view, tr("Zoom out"), "zoomOut", keys({"Ctrl+-"}), [this] { m_viewer->view().zoomOut(); });
    addAction(view, tr("Fit"), "zoomFit", keys({"Ctrl+0"}), [this] { m_viewer->view().setFit(); });
    addAction(view, tr("Actual size"), "zoomActual", keys({"Ctrl+Alt+0"}),
              [this] { m_viewer->view().setZoom(1); });
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

    auto* generate = m_menuBar->addMenu(tr("Generate"));
    // The keys do not wait for the check of the form: the studio checks again and its refusal is shown there.
    auto* run = addAction(generate, tr("Generate"), "generate", keys({"Ctrl+Return", "Ctrl+Enter"}),
                          [this] { m_workspace->generate(false); });
    auto* front =
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
    more->addAction(run);
    more->addAction(front);
    m_request->generateMenuButton()->setMenu(more);

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
    connect(clip, &QMenu::aboutToShow, this, [this, reload, folder] {
        reload->setEnabled(!m_viewer->clipFile().isEmpty());
        folder->setEnabled(!m_viewer->clipFile().isEmpty());
    });

    auto* window = m_menuBar->addMenu(tr("Window"));
    window->addAction(m_leftDock->toggleViewAction());
    window->addAction(m_rightDock->toggleViewAction());
    window->addSeparator();
    addAction(window, tr("Next pane"), "nextPane", keys({"F6"}), [this] { movePane(1); });
    addAction(window, tr("Previous pane"), "previousPane", keys({"Shift+F6"}), [this] { movePane(-1); });
    window->addSeparator();
    addAction(window, tr("Reset this workspace"), "resetWorkspace", keys({"Ctrl+Shift+0"}),
              [this] { resetWorkspace(); });

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

void MainWindow::applyTheme(const Theme& theme) {
    dresser::dress(this, theme);
    m_overlay->setTheme(theme);
    const double width = this->width() / theme.scale();
    m_leftDock->setMinimumWidth(theme.px(width < kNarrowWidth ? 260 : width < 1400 ? 280 : 300));
    m_rightDock->setMinimumWidth(theme.px(width < 1400 ? 248 : 288));
    setNarrow(width < kNarrowWidth);
}

void MainWindow::setExpert(bool expert) {
    m_settings.expert = expert;
    m_simple->setChecked(!expert);
    m_expert->setChecked(expert);
    m_request->setExpert(expert);
}

void MainWindow::setNarrow(bool narrow) {
    if (narrow == m_narrow)
        return;
    m_narrow = narrow;
    m_viewer->setCompact(narrow);
    m_status->setCompact(narrow);
    resetWorkspace();
    // The tab bar comes with the next layout.
    QTimer::singleShot(0, this, [this] {
        for (auto* tabs : findChildren<QTabBar*>())
            tabs->setElideMode(Qt::ElideNone);
    });
}

void MainWindow::resetWorkspace() {
    const auto& theme = m_themes->theme();
    m_leftDock->show();
    m_rightDock->show();
    addDockWidget(Qt::LeftDockWidgetArea, m_leftDock);
    if (m_narrow) {
        addDockWidget(Qt::LeftDockWidgetArea, m_rightDock);
        tabifyDockWidget(m_leftDock, m_rightDock);
        m_leftDock->raise();
        resizeDocks({m_leftDock}, {theme.px(280)}, Qt::Horizontal);
    } else {
        addDockWidget(Qt::RightDockWidgetArea, m_rightDock);
        const bool small = width() / theme.scale() < 1400;
        resizeDocks({m_leftDock, m_rightDock}, {theme.px(small ? 280 : 300), theme.px(small ? 248 : 288)},
                    Qt::Horizontal);
    }
}

void MainWindow::movePane(int direction) {
    const QList<QPair<QWidget*, QWidget*>> panes = {
        {m_request, m_request->findChild<QWidget*>(QStringLiteral("promptField"))},
        {m_viewer, m_viewer->keyTarget()},
        {m_queue, m_queue->focusTarget()},
        {m_library, m_library->focusTarget()},
        {m_menuBar, m_menuBar}};
    int current = -1;
    for (int i = 0; i < panes.size(); ++i)
        if (auto* focus = focusWidget();
            focus && (panes[i].first == focus || panes[i].first->isAncestorOf(focus)))
            current = i;
    for (int step = 1; step <= panes.size(); ++step) {
        const int next =
            ((current + direction * step) % int(panes.size()) + int(panes.size())) % int(panes.size());
        auto* target = panes[next].second;
        if (m_narrow && (panes[next].first == m_queue || panes[next].first == m_library))
            m_rightDock->raise();
        else if (m_narrow && panes[next].first == m_request)
            m_leftDock->raise();
        if (target && target->isVisible() && target->isEnabled()) {
            target->setFocus(Qt::TabFocusReason);
            return;
        }
    }
}

void MainWindow::showProfiler(bool shown) {
    if (!m_overlay->isAvailable())
        return;
    // No observer, no cost: the worker measures blocks only while somebody looks.
    m_link->subscribe(shown ? std::vector<std::string>{"preview", "stage_times", "block_times"}
                            : std::vector<std::string>{"preview"});
    if (shown && m_link->snapshot()) {
        m_profiler.update(*m_link->snapshot());
        m_overlay->setData(m_profiler);
    }
    m_overlay->setShown(shown);
    m_profilerAction->setChecked(shown);
}

void MainWindow::openPreferences() {
    auto* dialog =
        new PreferencesDialog(m_settings, QString::fromStdString(m_options.defaultClipFolder.string()), this);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    connect(dialog, &PreferencesDialog::themeChosen, this, [this](ThemeChoice choice) {
        m_settings.theme = choice;
        m_themes->setChoice(choice);
    });
    connect(dialog, &PreferencesDialog::scaleChosen, this, [this](double scale) {
        m_settings.scale = scale;
        m_themes->setScale(scale);
    });
    connect(dialog, &PreferencesDialog::clipFolderChosen, this,
            [this](const QString& folder) { m_settings.clipFolder = folder; });
    connect(dialog, &PreferencesDialog::threadsChosen, this, [this](int threads) {
        m_settings.threads = threads;
        m_request->setDefaultThreads(threads);
    });
    connect(m_themes, &ThemeManager::changed, dialog,
            [dialog](const Theme& theme) { dresser::dress(dialog, theme); });
    connect(dialog, &QDialog::finished, this, &MainWindow::save);
    dresser::dress(dialog, m_themes->theme());
    dialog->open();
}

void MainWindow::chooseClip() {
    const QString name = QFileDialog::getOpenFileName(this, tr("Open clip"),
                                                      QString::fromStdString(m_options.clipFolder.string()),
                                                      tr("Videos (*.mp4 *.m4v *.mov *.mkv *.webm)"));
    if (!name.isEmpty())
        m_workspace->openClip(name);
}

void MainWindow::addModelFolder() {
    const QString name = QFileDialog::getExistingDirectory(this, tr("Add model folder"));
    if (!name.isEmpty())
        m_link->addModelFolder(name);
}

void MainWindow::save() {
    m_settings.prompts = m_request->history();
    m_settings.loop = m_viewer->playback().loops();
    m_settings.seedLocked = m_request->seedLocked();
    m_settings.geometry = saveGeometry();
    m_settings.docks = saveState(kLayoutVersion);
    if (m_options.settingsFile.empty())
        return;
    // The pool is waited for when the program ends, so that the last save is whole.
    QThreadPool::globalInstance()->start([file = m_options.settingsFile, settings = m_settings] {
        if (auto saved = saveUiSettings(file, settings); !saved)
            logError("ui", saved.error().message);
    });
}

void MainWindow::quitAtOnce() {
    m_quitting = true;
    close();
}

void MainWindow::raiseToFront() {
    if (isMinimized())
        showNormal();
    raise();
    activateWindow();
}

void MainWindow::closeEvent(QCloseEvent* event) {
    if (!m_quitting && m_workspace->isBusy()) {
        event->ignore();
        askBeforeQuit();
        return;
    }
    save();
    event->accept();
}

void MainWindow::askBeforeQuit() {
    auto* box = new QMessageBox(
        QMessageBox::NoIcon, tr("Quit Canopy"),
        tr("A clip is being made. If you stop now it stays in the list, and you can let it go on "
           "at the next start."),
        QMessageBox::NoButton, this);
    box->setObjectName(QStringLiteral("quitQuestion"));
    box->setAttribute(Qt::WA_DeleteOnClose);
    auto* finish = box->addButton(tr("Finish it first"), QMessageBox::AcceptRole);
    auto* stop = box->addButton(tr("Stop now"), QMessageBox::DestructiveRole);
    auto* stay = box->addButton(tr("Stay here"), QMessageBox::RejectRole);
    finish->setObjectName(QStringLiteral("quitFinish"));
    stop->setObjectName(QStringLiteral("quitStop"));
    stay->setObjectName(QStringLiteral("quitStay"));
    box->setDefaultButton(stay);
    connect(box, &QMessageBox::buttonClicked, this, [this, finish, stop](QAbstractButton* button) {
        if (button == static_cast<QAbstractButton*>(finish)) {
            m_quitWhenDone = true;
            m_link->pauseQueue();
            m_notes->tell({tr("Canopy closes when this clip is done."), tr("Stay open"), [this] {
                               m_quitWhenDone = false;
                               m_link->resumeQueue();
                           }});
        } else if (button == static_cast<QAbstractButton*>(stop)) {
            quitAtOnce();
        }
    });
    dresser::dress(box, m_themes->theme());
    box->open();
}

void MainWindow::resizeEvent(QResizeEvent* event) {
    QMainWindow::resizeEvent(event);
    setNarrow(width() / m_themes->theme().scale() < kNarrowWidth);
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
    // A drag out of the library is no drop on it.
    if (!event->source() && classifyDrop(event->mimeData()).kind != DropKind::None)
        event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event) {
    const Drop drop = classifyDrop(event->mimeData());
    event->acceptProposedAction();
    switch (drop.kind) {
    case DropKind::Clip:
        return m_workspace->offerClip(drop.file);
    case DropKind::Image:
        return m_workspace->takeImage(drop.file);
    case DropKind::Folder:
        return m_link->addModelFolder(drop.file);
    case DropKind::Prompt: {
        QPointer<MainWindow> self(this);
        QThreadPool::globalInstance()->start([self, path = drop.file.toStdString()] {
            auto text = readTextFile(path, kMaxPromptBytes);
            QMetaObject::invokeMethod(
                qApp, [self, text = std::make_shared<Result<std::string>>(std::move(text))] {
                    if (!self)
                        return;
                    if (*text)
                        self->m_request->setPrompt(QString::fromStdString(**text).trimmed());
                    else
                        self->m_notes->tell({QString::fromStdString(text->error().message), {}, {}});
                });
        });
        return;
    }
    case DropKind::None:
        return;
    }
}

} // namespace canopy::ui
