#include "ui/panels/sanity_table.h"

#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QVBoxLayout>

#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {

SanityTable::SanityTable(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("sanityTable"));
    setAccessibleName(tr("Controls at the same budget"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 0, 0, 0, 0, 6);
    m_table = new QWidget;
    m_grid = new QGridLayout(m_table);
    dresser::setMargins(m_grid, 14, 0, 14, 0, 4);
    m_grid->setColumnStretch(0, 2);
    m_grid->setColumnStretch(1, 3);
    m_run = new QPushButton;
    m_run->setObjectName(QStringLiteral("runControls"));
    m_run->setProperty("kind", "plain");
    m_run->setToolTip(
        tr("Asks the same question with tokens chosen by chance, by steps, by whole frames, by "
           "regions and by changed pixels. Where those answer as well, the method earned nothing."));
    connect(m_run, &QPushButton::clicked, this, &SanityTable::runMissing);
    m_verdict = textLabel({}, "label", QStringLiteral("sanityVerdict"));
    m_verdict->setWordWrap(true);
    auto* row = new QHBoxLayout;
    row->addWidget(m_run);
    row->addStretch(1);
    layout->addWidget(m_table);
    layout->addWidget(m_verdict);
    layout->addLayout(row);
}

void SanityTable::setGroup(const AskGroup& group, const AskView& of) {
    m_request = of.request;
    m_missing.clear();
    while (auto* item = m_grid->takeAt(0)) {
        delete item->widget();
        delete item;
    }
    const AskView* unpruned = group.unprunedFor(of);
    const AskView& reference = unpruned ? *unpruned : of;
    int row = 0, answered = 0, agreeing = 0;
    const auto line = [&](const QString& name, const AskView& view, bool strong) {
        QString answer = QString::fromStdString(view.answer ? view.answer->text : view.words);
        QString agreement;
        if (view.answer && view.id != reference.id)
            agreement = agreementOf(view, reference) == Agreement::Same ? tr("agrees") : tr("differs");
        const QString tokens = view.answer ? QLocale().toString(view.answer->videoTokens) : QString();
        const QString seconds =
            view.answer ? tr("%1 s").arg(QLocale().toString(view.answer->prefillSeconds, 'f', 2)) : QString();
        int column = 0;
        for (const auto& text : {name, answer, agreement, tokens, seconds}) {
            auto* label = textLabel(text, column >= 3 ? "figure2" : strong ? "strongLabel" : "label");
            label->setTextFormat(Qt::PlainText);
            label->setWordWrap(column == 1);
            if (column >= 3)
                label->setAlignment(Qt::AlignRight);
            m_grid->addWidget(label, row, column++);
        }
        ++row;
    };
    const auto heads = [&] {
        int column = 0;
        for (const auto& text :
             {tr("Tokens chosen by"), tr("Answer"), QString(), tr("Tokens"), tr("Prefill")}) {
            auto* label = textLabel(text, "caption");
            if (column >= 3)
                label->setAlignment(Qt::AlignRight);
            m_grid->addWidget(label, row, column++);
        }
        ++row;
    };
    bool any = false;
    for (const auto& info : tokenModes()) {
        if (info.kind != TokenModeKind::Control)
            continue;
        const AskView* control = group.findRun(info.mode, of.request.tokens.keep);
        if (!control) {
            m_missing.push_back(info.mode);
            continue;
        }
        if (!any) {
            heads();
            if (unpruned)
                line(tr("Unpruned"), *unpruned, true);
            if (!unpruned || unpruned->id != of.id)
                line(modeLabel(of.request.tokens.mode), of, true);
            any = true;
        }
        line(modeLabel(info.mode), *control, false);
        if (control->answer) {
            ++answered;
            agreeing += agreementOf(*control, reference) == Agreement::Same;
        }
    }
    m_table->setVisible(any);
    m_verdict->setVisible(answered > 0);
    m_verdict->setText(unpruned
                           ? tr("%1 of %2 controls answer as unpruned does.").arg(agreeing).arg(answered)
                           : tr("%1 of %2 controls answer as this does. Ask without pruning to see which "
                                "answer the model gives with all tokens.")
                                 .arg(agreeing)
                                 .arg(answered));
    const QString run = any ? tr("Run the other controls at %1").arg(percentText(of.request.tokens.keep))
                            : tr("Check against controls at %1").arg(percentText(of.request.tokens.keep));
    m_run->setText(run);
    m_run->setAccessibleName(run);
    m_run->setVisible(!m_missing.empty() && of.answer && of.request.tokens.mode != TokenMode::All);
}

void SanityTable::runMissing() {
    m_run->setEnabled(false);
    for (const auto mode : m_missing) {
        AskRequest request = m_request;
        request.tokens.mode = mode;
        // Each control by its own published treatment of newlines and positions.
        request.tokens.newlines = NewlinePolicy::Auto;
        request.tokens.positions = PositionPolicy::Auto;
        Q_EMIT askRequested(request);
    }
    m_run->setEnabled(true);
}

} // namespace canopy::ui
