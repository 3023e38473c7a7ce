#pragma once

#include <QWidget>

class QPushButton;

namespace canopy::ui {

enum class Workspace { Create, Ask };

/// The workspaces in the top bar. Tells what was chosen; shows what is.
class WorkspaceSwitch : public QWidget {
    Q_OBJECT
public:
    explicit WorkspaceSwitch(QWidget* parent = nullptr);
    void setCurrent(Workspace workspace);

Q_SIGNALS:
    void chosen(canopy::ui::Workspace workspace);

private:
    QPushButton* m_create;
    QPushButton* m_ask;
};

} // namespace canopy::ui
