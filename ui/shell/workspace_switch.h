#pragma once

#include <array>

#include <QWidget>

class QPushButton;

namespace canopy::ui {

enum class Workspace { Create, Compare, Inspect, Ask };
inline constexpr int kWorkspaces = 4;

/// The workspaces in the top bar. Tells what was chosen; shows what is.
class WorkspaceSwitch : public QWidget {
    Q_OBJECT
public:
    explicit WorkspaceSwitch(QWidget* parent = nullptr);
    void setCurrent(Workspace workspace);

Q_SIGNALS:
    void chosen(canopy::ui::Workspace workspace);

private:
    std::array<QPushButton*, kWorkspaces> m_buttons{};
};

} // namespace canopy::ui
