#include "ui/shell/main_window.h"

#include <QAction>
#include <QApplication>
#include <QCloseEvent>
#include <QDropEvent>
#include <QFileDialog>
#include <QHBoxLayout>
#include <QMenuBar>
#include <QMessageBox>
#include <QMimeData>
#include <QPointer>
#include <QPushButton>
#include <QScreen>
#include <QStatusBar>
#include <QThreadPool>
#include <QTimer>
#include <QVBoxLayout>

#include "core/base/files.h"
#include "core/base/log.h"
#include "ui/panels/ask_panel.h"
#include "ui/panels/cache_page.h"
#include "ui/panels/comparison_panel.h"
#include "ui/panels/inspect_pages.h"
#include "ui/panels/inspect_panel.h"
#include "ui/panels/library_panel.h"
#include "ui/panels/pair_pane.h"
#include "ui/panels/pane_parts.h"
#include "ui/panels/pane_scroll.h"
#include "ui/panels/queue_panel.h"
#include "ui/panels/request_panel.h"
#include "ui/panels/speed_box.h"
#include "ui/panels/status_strip.h"
#include "ui/panels/timeline_panel.h"
#include "ui/panels/tokens_panel.h"
#include "ui/panels/viewer_panel.h"
#include "ui/shell/ask_workspace.h"
#include "ui/shell/cache_inspector.h"
#include "ui/shell/chunk_actions.h"
#include "ui/shell/compare_workspace.h"
#include "ui/shell/create_workspace.h"
#include "ui/shell/dialogs.h"
#include "ui/shell/drop.h"
#include "ui/shell/focus_ring.h"
#include "ui/shell/inspect_workspace.h"
#include "ui/shell/note_bar.h"
#include "ui/shell/window_layout.h"
#include "ui/tokens/token_layer.h"
#include "ui/viewer/video_view.h"

namespace canopy::ui {
namespace {

constexpr std::uint64_t kMaxPromptBytes = 64 << 10;
constexpr int kFullHeight = 850; ///< pixels at scale 1; below, the timeline folds its last row

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
    m_ask = new AskWorkspace(m_link, m_layer, {m_chat, m_viewer, m_tokens, m_status, m_notes}, this);
    m_compare =
        new CompareWorkspace(m_link, {m_pair, &m_request->speed(), m_result, m_status, m_notes}, this);
    m_inspect = new InspectWorkspace(m_link, {m_inspectPanel, m_status, m_notes}, this);
    m_cacheInspector = new CacheInspector(m_link, m_cache, {m_viewer, m_cachePage, m_status, m_notes}, this);
    m_chunks =
        new ChunkActions(m_link, m_cache, m_cacheInspector, {m_viewer, m_request, m_timeline, m_notes}, this);
    connect(m_chunks, &ChunkActions::takeChosen, m_workspace, &CreateWorkspace::openClip);
    connect(m_chunks, &ChunkActions::inspectRequested, this, [this](int chunk) {
        m_pages->setPage(InspectPage::Cache);
        setWorkspace(Workspace::Inspect);
        m_cache->select(chunk, 0);
    });
    connect(m_inspect, &InspectWorkspace::chunksOpened, this,
            [this](const QString& file, const std::shared_ptr<const ChunkRecord>& record) {
                m_pages->setPage(InspectPage::Cache);
                m_cacheInspector->showFile(file, record);
            });
    connect(m_cache, &CacheSelection::sceneChanged, this,
            [this] { m_inspect->setChunks(m_cacheInspector->shownJob(), m_cacheInspector->record()); });
    connect(m_pages, &InspectPages::pageChanged, this, &MainWindow::showInspectPage);
    connect(m_inspect, &InspectWorkspace::topicsChanged, this, &MainWindow::watchTopics);
    connect(m_link, &StudioLink::opened, this, &MainWindow::watchTopics);
    connect(m_library, &LibraryPanel::askRequested, this, &MainWindow::askAbout);
    connect(m_library, &LibraryPanel::compareRequested, this, &MainWindow::compareClip);
    connect(m_workspace, &CreateWorkspace::questionChosen, this, [this](const QString& video, JobId id) {
        askAbout(video);
        m_ask->showTokens(id);
    });
    buildMenus();
    m_ring = new FocusRing(this);

    m_request->setHistory(m_settings.prompts);
    m_request->setDefaultThreads(m_settings.threads);
    m_chat->form().setDefaultThreads(m_settings.threads);
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
    m_layout->reset();
    if (!m_settings.geometry.isEmpty())
        restoreGeometry(m_settings.geometry);
    m_layout->restore(m_settings.docks);
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

    m_layer = new TokenLayer(this);
    m_tokens = new TokensPanel(m_layer);
    m_chat = new AskPanel;
    m_pair = new PairPane;
    m_result = new ComparisonPanel;
    m_inspectPanel = new InspectPanel;
    m_cache = new CacheSelection(this);
    m_cachePage = new CachePage(m_cache);
    m_pages = new InspectPages(m_inspectPanel, m_cachePage);

    auto* centre = new QWidget;
    auto* centreLayout = new QVBoxLayout(centre);
    centreLayout->setContentsMargins(0, 0, 0, 0);
    centreLayout->setSpacing(0);
    centreLayout->addWidget(m_notes);
    centreLayout->addWidget(m_viewer, 1);
    m_timeline = new TimelinePanel(m_cache);
    centreLayout->addWidget(m_timeline);
    centreLayout->addWidget(m_pair, 1);
    centreLayout->addWidget(m_pages, 1);
    auto* tokensScroll = new PaneScroll(m_tokens, "tokensScroll");
    centreLayout->addWidget(tokensScroll);
    setCentralWidget(centre);

    auto* right = new QWidget;
    right->setObjectName(QStringLiteral("rightPane"));
    right->setProperty("pane", "dock");
    right->setAttribute(Qt::WA_StyledBackground);
    auto* rightLayout = new QVBoxLayout(right);
    rightLayout->setContentsMargins(0, 0, 0, 0);
    rightLayout->setSpacing(0);
    rightLayout->addWidget(m_queue);
    rightLayout->addWidget(m_library, 1);
    m_layout = new WindowLayout(
        this, {m_request, right, m_chat, tokensScroll, m_viewer, m_pair, m_result, m_pages}, this);
    connect(m_layout, &WindowLayout::narrowChanged, this, [this](bool narrow) {
        m_viewer->setCompact(narrow);
        m_pair->setCompact(narrow);
        m_inspectPanel->setCompact(narrow);
        m_status->setCompact(narrow);
        m_simple->setVisible(!narrow); // the View menu has them, too
        m_expert->setVisible(!narrow);
    });

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
    dresser::setMinimumWidth(m_menuBar, 160); // what has no room goes behind its last button
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
    m_switch = new WorkspaceSwitch;
    connect(m_switch, &WorkspaceSwitch::chosen, this, &MainWindow::setWorkspace);
    auto* simpleExpert = new QHBoxLayout;
    simpleExpert->setSpacing(0);
    simpleExpert->addWidget(m_simple);
    simpleExpert->addWidget(m_expert);
    layout->addWidget(m_menuBar, 1, Qt::AlignVCenter);
    layout->addWidget(m_switch);
    layout->addSpacing(12);
    layout->addLayout(simpleExpert);
    setMenuWidget(bar);
}

void MainWindow::applyTheme(const Theme& theme) {
    dresser::dress(this, theme);
    m_overlay->setTheme(theme);
    m_layer->setTheme(theme);
    m_layout->fit(theme);
    m_inspect->setTheme(theme);
    m_cacheInspector->setTheme(theme);
}

void MainWindow::setExpert(bool expert) {
    m_settings.expert = expert;
    m_simple->setChecked(!expert);
    m_expert->setChecked(expert);
    m_request->setExpert(expert);
    m_chat->form().setExpert(expert);
}

Workspace MainWindow::currentWorkspace() const {
    return m_layout->workspace();
}

void MainWindow::setWorkspace(Workspace workspace) {
    const bool ask = workspace == Workspace::Ask, create = workspace == Workspace::Create;
    const bool inspect = workspace == Workspace::Inspect; // looks at what Create's viewer holds
    m_switch->setCurrent(workspace);
    if (workspace == m_layout->workspace())
        return;
    m_layout->setWorkspace(workspace);
    // Those that leave the viewer go first.
    if (!create && !inspect)
        m_workspace->setActive(false);
    if (!ask)
        m_ask->setActive(false);
    m_workspace->setActive(create || inspect);
    m_ask->setActive(ask);
    m_compare->setActive(workspace == Workspace::Compare);
    m_chunks->setActive(create);
    showInspectPage();
    // The same keys start what the workspace is for.
    const auto asKeys = [](std::initializer_list<const char*> list) {
        QList<QKeySequence> out;
        for (const char* text : list)
            out << QKeySequence(QLatin1String(text));
        return out;
    };
    const auto plain = asKeys({"Ctrl+Return", "Ctrl+Enter"});
    m_generateAction->setShortcuts(create ? plain : QList<QKeySequence>());
    m_frontAction->setShortcuts(create ? asKeys({"Ctrl+Shift+Return", "Ctrl+Shift+Enter"})
                                       : QList<QKeySequence>());
    m_askAction->setShortcuts(ask ? plain : QList<QKeySequence>());
    (ask       ? m_chat->form().focusTarget()
     : create  ? m_viewer->keyTarget()
     : inspect ? inspectTarget()
               : m_pair->keyTarget())
        ->setFocus(Qt::OtherFocusReason);
}

void MainWindow::compareClip(const QString& file) {
    m_compare->compare(file);
    setWorkspace(Workspace::Compare);
}

void MainWindow::askAbout(const QString& file) {
    setWorkspace(Workspace::Ask);
    m_ask->attach(file);
}

void MainWindow::movePane(int direction) {
    const QList<QPair<QWidget*, QWidget*>> panes = {
        {m_request, m_request->findChild<QWidget*>(QStringLiteral("promptField"))},
        {m_viewer, m_viewer->keyTarget()},
        {m_timeline, m_timeline->focusTarget()},
        {m_queue, m_queue->focusTarget()},
        {m_library, m_library->focusTarget()},
        {m_tokens, m_tokens->focusTarget()},
        {m_chat, m_chat->form().focusTarget()},
        {m_pair, m_pair->keyTarget()},
        {m_result, m_result->focusTarget()},
        {m_pages, inspectTarget()},
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
        if (m_layout->isNarrow())
            m_layout->raisePane(panes[next].first);
        if (target && target->isVisible() && target->isEnabled()) {
            target->setFocus(Qt::TabFocusReason);
            return;
        }
    }
}

void MainWindow::showProfiler(bool shown) {
    if (!m_overlay->isAvailable())
        return;
    if (shown && m_link->snapshot()) {
        m_profiler.update(*m_link->snapshot());
        m_overlay->setData(m_profiler);
    }
    m_overlay->setShown(shown);
    m_profilerAction->setChecked(shown);
    watchTopics();
}

void MainWindow::showInspectPage() {
    const bool inspect = currentWorkspace() == Workspace::Inspect;
    m_inspect->setActive(inspect && m_pages->page() == InspectPage::Attention);
}

QWidget* MainWindow::inspectTarget() const {
    return m_pages->page() == InspectPage::Attention ? m_inspectPanel->keyTarget()
                                                     : m_cachePage->focusTarget();
}

void MainWindow::watchTopics() {
    if (!m_link->isOpen())
        return; // asked again when it is
    // No observer, no cost: blocks and masks only while somebody looks. The scalars of attention and of
    // chunks are kept for every clip, so that Inspect can say afterwards why it was fast.
    std::vector<std::string> topics{"preview", "attention", "chunks"};
    if (m_overlay->isShown())
        topics.insert(topics.end(), {"stage_times", "block_times"});
    const auto inspected = m_inspect->topics();
    topics.insert(topics.end(), inspected.begin(), inspected.end());
    m_link->subscribe(std::move(topics));
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
        m_chat->form().setDefaultThreads(threads);
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
    if (name.isEmpty())
        return;
    if (currentWorkspace() == Workspace::Ask)
        m_ask->attach(name);
    else if (currentWorkspace() == Workspace::Compare)
        m_compare->compare(name);
    else
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
    m_settings.docks = m_layout->save();
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
        tr("A job is under way. If you stop now it stays in the list, and you can let it go on at the next "
           "start."),
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
            m_notes->tell({tr("Canopy closes when this job is done."), tr("Stay open"), [this] {
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
    m_layout->fit(m_themes->theme());
    m_timeline->setCompact(height() < m_themes->theme().px(kFullHeight));
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
        return currentWorkspace() == Workspace::Ask       ? m_ask->attach(drop.file)
               : currentWorkspace() == Workspace::Compare ? m_compare->compare(drop.file)
                                                          : m_workspace->offerClip(drop.file);
    case DropKind::Image:
        return m_workspace->takeImage(drop.file);
    case DropKind::Folder:
        return m_link->addModelFolder(drop.file);
    case DropKind::Session:
        setWorkspace(Workspace::Inspect);
        return m_inspect->openSession(drop.file);
    case DropKind::Prompt:
        return readPromptFile(drop.file);
    case DropKind::None:
        return;
    }
}

void MainWindow::readPromptFile(const QString& file) {
    QPointer<MainWindow> self(this);
    QThreadPool::globalInstance()->start([self, path = file.toStdString()] {
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
}

} // namespace canopy::ui
