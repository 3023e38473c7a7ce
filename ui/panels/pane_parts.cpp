#include "ui/panels/pane_parts.h"

#include <QFrame>
#include <QHBoxLayout>
#include <QLabel>
#include <QToolButton>

#include "ui/theme/dresser.h"
#include "ui/theme/fields.h"

namespace canopy::ui {

QWidget* paneHeader(const QString& title, std::initializer_list<QWidget*> right, const QString& objectName) {
    auto* header = new QWidget;
    header->setObjectName(objectName);
    header->setProperty("pane", "header");
    header->setAttribute(Qt::WA_StyledBackground);
    dresser::setFixedHeight(header, 36);
    auto* layout = new QHBoxLayout(header);
    dresser::setMargins(layout, 12, 0, 10, 0, 8);
    layout->addWidget(textLabel(title, "strong"));
    layout->addStretch(1);
    for (auto* widget : right)
        layout->addWidget(widget);
    return header;
}

QToolButton* iconButton(const QString& icon, const QString& name, const QString& objectName, bool plain) {
    auto* button = new QToolButton;
    button->setObjectName(objectName);
    button->setAccessibleName(name);
    button->setToolTip(name);
    button->setFocusPolicy(Qt::StrongFocus);
    if (plain)
        button->setProperty("kind", "plain");
    dresser::setIcon(button, icon, plain ? Role::Text2 : Role::Text);
    return button;
}

ElidedLabel* sectionTitle(const QString& title, const QString& hint, QVBoxLayout* into) {
    auto* row = new QHBoxLayout;
    dresser::setMargins(row, 0, 0, 0, 0, 8);
    row->addWidget(textLabel(title, "strong"));
    auto* words = new ElidedLabel;
    words->setProperty("look", "hint");
    words->setFullText(hint);
    row->addWidget(words, 1);
    into->addLayout(row);
    return words;
}

QFrame* rule() {
    auto* line = new QFrame;
    line->setProperty("rule", "h");
    return line;
}

QFrame* verticalRule() {
    auto* line = new QFrame;
    line->setProperty("rule", "v");
    return line;
}

QLabel* textLabel(const QString& text, const char* look, const QString& objectName) {
    auto* label = new QLabel(text);
    label->setProperty("look", look);
    label->setObjectName(objectName);
    return label;
}

} // namespace canopy::ui
