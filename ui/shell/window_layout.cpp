#include "ui/shell/window_layout.h"

#include <QDockWidget>
#include <QMainWindow>
#include <QTabBar>
#include <QTimer>

namespace canopy::ui {
namespace {

constexpr int kNarrowWidth = 1000; ///< at scale 1; below, docks become tabs beside the clip
constexpr int kFullWidth = 1400;   ///< at scale 1; below, docks are narrower
constexpr int kVersion = 3;

} // namespace

WindowLayout::WindowLayout(QMainWindow* window, const Panes& panes, QObject* parent)
    : QObject(parent)
    , m_window(window)
    , m_panes(panes) {
    m_prompt = dock(panes.prompt, tr("Prompt"), "promptDock", Qt::LeftDockWidgetArea);
    m_queue = dock(panes.queue, tr("Queue and library"), "queueDock", Qt::RightDockWidgetArea);
    m_chat = dock(panes.chat, tr("Ask"), "askDock", Qt::RightDockWidgetArea);
    m_window->setTabPosition(Qt::AllDockWidgetAreas, QTabWidget::North);
    m_result = dock(panes.result, tr("Result"), "resultDock", Qt::RightDockWidgetArea);
    m_chat->hide();
    m_result->hide();
    m_panes.tokens->hide();
    m_panes.pair->hide();
    m_panes.inspect->hide();
}

QDockWidget* WindowLayout::dock(QWidget* content, const QString& title, const char* objectName,
                                Qt::DockWidgetArea area) {
    auto* widget = new QDockWidget(title);
    widget->setObjectName(QLatin1String(objectName));
    widget->setAccessibleName(title);
    widget->setTitleBarWidget(new QWidget); // the pane has its own header
    widget->setFeatures(QDockWidget::DockWidgetClosable);
    widget->setWidget(content);
    m_window->addDockWidget(area, widget);
    return widget;
}

void WindowLayout::setWorkspace(Workspace workspace) {
    if (workspace == m_workspace)
        return;
    if (m_workspace == Workspace::Create)
        m_createState = m_window->saveState(kVersion);
    m_workspace = workspace;
    m_panes.tokens->setVisible(workspace == Workspace::Ask);
    m_panes.pair->setVisible(workspace == Workspace::Compare);
    m_panes.inspect->setVisible(workspace == Workspace::Inspect);
    m_panes.viewer->setVisible(workspace == Workspace::Create || workspace == Workspace::Ask);
    showDocks();
    arrange();
    if (workspace == Workspace::Create && !m_narrow && !m_createState.isEmpty())
        m_window->restoreState(m_createState, kVersion);
}

void WindowLayout::showDocks() {
    const std::pair<QDockWidget*, Workspace> homes[] = {{m_prompt, Workspace::Create},
                                                        {m_queue, Workspace::Create},
                                                        {m_result, Workspace::Compare},
                                                        {m_chat, Workspace::Ask}};
    for (const auto& [dock, home] : homes) {
        dock->setVisible(home == m_workspace);
        dock->toggleViewAction()->setVisible(home == m_workspace);
    }
}

void WindowLayout::fit(const Theme& theme) {
    m_theme = theme;
    const double width = m_window->width() / theme.scale();
    const bool small = width < kFullWidth, narrow = width < kNarrowWidth;
    m_prompt->setMinimumWidth(theme.px(narrow ? 260 : small ? 280 : 300));
    m_queue->setMinimumWidth(theme.px(small ? 248 : 288));
    m_chat->setMinimumWidth(theme.px(narrow ? 300 : 400));
    m_result->setMinimumWidth(theme.px(narrow ? 250 : 288));
    if (narrow == m_narrow)
        return;
    m_narrow = narrow;
    Q_EMIT narrowChanged(narrow); // first: panes that became small must not push the window
    arrange();
    // The tab bar comes with the next layout.
    QTimer::singleShot(0, m_window, [window = m_window] {
        for (auto* tabs : window->findChildren<QTabBar*>())
            tabs->setElideMode(Qt::ElideNone);
    });
}

void WindowLayout::reset() {
    showDocks();
    arrange();
}

void WindowLayout::arrange() {
    const bool small = m_window->width() / m_theme.scale() < kFullWidth;
    if (m_workspace == Workspace::Ask) {
        m_window->addDockWidget(Qt::RightDockWidgetArea, m_chat);
        m_window->resizeDocks({m_chat}, {m_theme.px(m_narrow ? 320 : small ? 440 : 540)}, Qt::Horizontal);
        return;
    }
    if (m_workspace == Workspace::Inspect)
        return;
    if (m_workspace == Workspace::Compare) {
        m_window->addDockWidget(Qt::RightDockWidgetArea, m_result);
        m_window->resizeDocks({m_result}, {m_theme.px(m_narrow ? 260 : 300)}, Qt::Horizontal);
        return;
    }
    m_window->addDockWidget(Qt::LeftDockWidgetArea, m_prompt);
    if (m_narrow) {
        m_window->addDockWidget(Qt::LeftDockWidgetArea, m_queue);
        m_window->tabifyDockWidget(m_prompt, m_queue);
        m_prompt->raise();
        m_window->resizeDocks({m_prompt}, {m_theme.px(280)}, Qt::Horizontal);
    } else {
        m_window->addDockWidget(Qt::RightDockWidgetArea, m_queue);
        m_window->resizeDocks({m_prompt, m_queue},
                              {m_theme.px(small ? 280 : 300), m_theme.px(small ? 248 : 288)}, Qt::Horizontal);
    }
}

void WindowLayout::raisePane(QWidget* pane) {
    for (auto* dock : {m_prompt, m_queue, m_chat, m_result})
        if (dock->isAncestorOf(pane))
            dock->raise();
}

QByteArray WindowLayout::save() const {
    return m_workspace == Workspace::Create ? m_window->saveState(kVersion) : m_createState;
}

void WindowLayout::restore(const QByteArray& state) {
    if (!state.isEmpty() && !m_narrow && m_workspace == Workspace::Create)
        m_window->restoreState(state, kVersion);
}

} // namespace canopy::ui
