#pragma once

#include <QObject>

#include "ui/shell/workspace_switch.h"
#include "ui/theme/theme.h"

class QDockWidget;
class QMainWindow;

namespace canopy::ui {

/// Which panes are docked where in each workspace, and how they fold in a narrow window. The arrangement of
/// Create is the one that is remembered; Compare and Ask have one fixed dock each, Inspect
/// has none.
class WindowLayout : public QObject {
    Q_OBJECT
public:
    struct Panes {
        QWidget* prompt;
        QWidget* queue; ///< queue and library
        QWidget* chat;
        QWidget* tokens;  ///< below the picture, in Ask
        QWidget* viewer;  ///< in the middle of Create and Ask
        QWidget* pair;    ///< in the middle of Compare
        QWidget* result;  ///< of a comparison
        QWidget* inspect; ///< all of Inspect
    };
    WindowLayout(QMainWindow* window, const Panes& panes, QObject* parent = nullptr);

    void setWorkspace(Workspace workspace);
    Workspace workspace() const { return m_workspace; }
    /// After another theme, scale or width.
    void fit(const Theme& theme);
    bool isNarrow() const { return m_narrow; }
    void reset(); ///< of the present workspace
    void raisePane(QWidget* pane);

    QByteArray save() const;
    void restore(const QByteArray& state);
    QDockWidget* promptDock() const { return m_prompt; }
    QDockWidget* queueDock() const { return m_queue; }
    QDockWidget* chatDock() const { return m_chat; }
    QDockWidget* resultDock() const { return m_result; }

Q_SIGNALS:
    void narrowChanged(bool narrow);

private:
    QDockWidget* dock(QWidget* content, const QString& title, const char* objectName,
                      Qt::DockWidgetArea area);
    void arrange();
    void showDocks();

    QMainWindow* m_window;
    Panes m_panes;
    Theme m_theme;
    QDockWidget* m_prompt;
    QDockWidget* m_queue;
    QDockWidget* m_chat;
    QDockWidget* m_result;
    Workspace m_workspace = Workspace::Create;
    QByteArray m_createState; ///< while another workspace is shown
    bool m_narrow = false;
};

} // namespace canopy::ui
