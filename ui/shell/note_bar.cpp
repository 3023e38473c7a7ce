#include "ui/shell/note_bar.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QToolButton>

#include "ui/panels/pane_parts.h"

namespace canopy::ui {

NoteBar::NoteBar(QWidget* parent)
    : QFrame(parent)
    , m_text(textLabel({}, "label", QStringLiteral("noteSentence")))
    , m_action(new QPushButton) {
    setObjectName(QStringLiteral("noteBar"));
    setProperty("card", "note");
    auto* layout = new QHBoxLayout(this);
    dresser::setMargins(layout, 12, 6, 8, 6, 8);
    auto* glyph = new QLabel;
    dresser::setIcon(glyph, QStringLiteral("exclamation-triangle"), Role::Warning);
    m_text->setWordWrap(true);
    m_text->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_action->setObjectName(QStringLiteral("noteAction"));
    m_action->setAccessibleName(tr("Do what the note offers"));
    auto* close = iconButton(QStringLiteral("x-lg"), tr("Dismiss"), QStringLiteral("noteDismiss"));
    layout->addWidget(glyph);
    layout->addWidget(m_text, 1);
    layout->addWidget(m_action);
    layout->addWidget(close);
    connect(m_action, &QPushButton::clicked, this, [this] {
        const auto run = m_shown.run;
        dismiss();
        if (run)
            run();
    });
    connect(close, &QToolButton::clicked, this, &NoteBar::dismiss);
    hide();
}

void NoteBar::tell(Note note) {
    if (note.sentence.isEmpty() || note.sentence == m_shown.sentence)
        return;
    m_waiting.append(std::move(note));
    if (m_shown.sentence.isEmpty())
        showNext();
}

QString NoteBar::sentence() const {
    return m_shown.sentence;
}

void NoteBar::dismiss() {
    m_shown = {};
    showNext();
}

void NoteBar::showNext() {
    if (m_waiting.isEmpty())
        return hide();
    m_shown = m_waiting.takeFirst();
    m_text->setText(m_shown.sentence);
    setAccessibleName(m_shown.sentence);
    m_action->setText(m_shown.action);
    m_action->setAccessibleName(m_shown.action);
    m_action->setVisible(!m_shown.action.isEmpty());
    show();
}

} // namespace canopy::ui
