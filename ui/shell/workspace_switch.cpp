#include "ui/shell/workspace_switch.h"

#include <QHBoxLayout>
#include <QPushButton>

namespace canopy::ui {

WorkspaceSwitch::WorkspaceSwitch(QWidget* parent)
    : QWidget(parent)
    , m_create(new QPushButton(tr("Create")))
    , m_ask(new QPushButton(tr("Ask"))) {
    setObjectName(QStringLiteral("workspaceSwitch"));
    setAccessibleName(tr("Workspace"));
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    m_create->setObjectName(QStringLiteral("workspaceCreate"));
    m_ask->setObjectName(QStringLiteral("workspaceAsk"));
    m_create->setProperty("segment", "left");
    m_ask->setProperty("segment", "right");
    m_create->setToolTip(tr("Make clips (Ctrl+1)"));
    m_ask->setToolTip(tr("Ask about a video (Ctrl+4)"));
    for (auto* button : {m_create, m_ask}) {
        button->setCheckable(true);
        button->setAccessibleName(tr("Workspace %1").arg(button->text()));
        connect(button, &QPushButton::clicked, this, [this, button] {
            const Workspace workspace = button == m_ask ? Workspace::Ask : Workspace::Create;
            setCurrent(workspace);
            Q_EMIT chosen(workspace);
        });
        layout->addWidget(button);
    }
    setCurrent(Workspace::Create);
}

void WorkspaceSwitch::setCurrent(Workspace workspace) {
    m_create->setChecked(workspace == Workspace::Create);
    m_ask->setChecked(workspace == Workspace::Ask);
}

} // namespace canopy::ui
