#include "ui/shell/workspace_switch.h"

#include <QHBoxLayout>
#include <QPushButton>

namespace canopy::ui {

WorkspaceSwitch::WorkspaceSwitch(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("workspaceSwitch"));
    setAccessibleName(tr("Workspace"));
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    struct Entry {
        Workspace workspace;
        QString text;
        const char* objectName;
        const char* segment;
        QString help;
    };
    const Entry entries[] = {
        {Workspace::Create, tr("Create"), "workspaceCreate", "left", tr("Make clips (Ctrl+1)")},
        {Workspace::Compare, tr("Compare"), "workspaceCompare", "middle", tr("Compare two clips (Ctrl+2)")},
        {Workspace::Inspect, tr("Inspect"), "workspaceInspect", "middle",
         tr("See which heads kept what, and why it got faster (Ctrl+3)")},
        {Workspace::Ask, tr("Ask"), "workspaceAsk", "right", tr("Ask about a video (Ctrl+4)")}};
    for (const auto& entry : entries) {
        auto* button = new QPushButton(entry.text);
        button->setObjectName(QLatin1String(entry.objectName));
        button->setProperty("segment", QLatin1String(entry.segment));
        button->setToolTip(entry.help);
        button->setCheckable(true);
        button->setAccessibleName(tr("Workspace %1").arg(button->text()));
        connect(button, &QPushButton::clicked, this, [this, workspace = entry.workspace] {
            setCurrent(workspace);
            Q_EMIT chosen(workspace);
        });
        layout->addWidget(button);
        m_buttons[std::size_t(entry.workspace)] = button;
    }
    setCurrent(Workspace::Create);
}

void WorkspaceSwitch::setCurrent(Workspace workspace) {
    for (std::size_t i = 0; i < m_buttons.size(); ++i)
        m_buttons[i]->setChecked(i == std::size_t(workspace));
}

} // namespace canopy::ui
