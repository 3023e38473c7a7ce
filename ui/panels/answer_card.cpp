#include "ui/panels/answer_card.h"

#include <cmath>

#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QMenu>
#include <QPushButton>
#include <QStyle>
#include <QToolButton>
#include <QVBoxLayout>

#include "ui/panels/flow_layout.h"
#include "ui/panels/letter_bars.h"
#include "ui/panels/pane_parts.h"
#include "ui/panels/share_bar.h"

namespace canopy::ui {
namespace {

QString secondsText(double seconds) {
    return QStringLiteral("%1 s").arg(QLocale().toString(seconds, 'f', seconds < 100 ? 2 : 1));
}

void setLook(QWidget* widget, const char* look) {
    if (widget->property("look") == QLatin1String(look))
        return;
    widget->setProperty("look", look);
    widget->style()->unpolish(widget);
    widget->style()->polish(widget);
}

void setText(QLabel* label, const QString& text) {
    if (label->text() != text)
        label->setText(text);
    label->setVisible(!text.isEmpty());
}

} // namespace

AnswerCard::AnswerCard(QWidget* parent)
    : QFrame(parent) {
    setObjectName(QStringLiteral("answerCard"));
    setProperty("card", "answer");
    build();
}

void AnswerCard::build() {
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 14, 12, 14, 12, 8);

    auto* top = new QHBoxLayout;
    dresser::setMargins(top, 0, 0, 0, 0, 8);
    m_text = textLabel({}, "answer", QStringLiteral("answerText"));
    m_text->setTextFormat(Qt::PlainText);
    m_text->setWordWrap(true);
    m_text->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    m_markIcon = textLabel({}, "label");
    m_mark = textLabel({}, "label", QStringLiteral("agreementMark"));
    m_mark->setWordWrap(true);
    top->addWidget(m_text, 1);
    top->addWidget(m_markIcon, 0, Qt::AlignTop);
    top->addWidget(m_mark, 0, Qt::AlignTop);
    layout->addLayout(top);
    m_times = textLabel({}, "label", QStringLiteral("answerTimes"));
    m_times->setTextFormat(Qt::RichText);
    m_times->setTextInteractionFlags(Qt::LinksAccessibleByMouse | Qt::LinksAccessibleByKeyboard);
    connect(m_times, &QLabel::linkActivated, this,
            [this](const QString& link) { Q_EMIT seekRequested(link.toDouble()); });
    layout->addWidget(m_times);
    m_state = textLabel({}, "label", QStringLiteral("answerState"));
    layout->addWidget(m_state);
    m_error = textLabel({}, "error", QStringLiteral("answerError"));
    m_error->setWordWrap(true);
    m_error->setTextInteractionFlags(Qt::TextSelectableByMouse);
    layout->addWidget(m_error);

    auto* shown = new QHBoxLayout;
    m_frames = textLabel({}, "label", QStringLiteral("answerFrames"));
    m_settings = textLabel({}, "label", QStringLiteral("answerSettings"));
    m_settings->setWordWrap(true);
    m_settings->setAlignment(Qt::AlignRight);
    shown->addWidget(m_frames);
    shown->addWidget(m_settings, 1);
    layout->addLayout(shown);
    m_bar = new ShareBar;
    layout->addWidget(m_bar);
    auto* counts = new QHBoxLayout;
    m_kept = textLabel({}, "figure", QStringLiteral("answerKept"));
    m_candidates = textLabel({}, "figure2", QStringLiteral("answerCandidates"));
    m_all = textLabel({}, "figure2", QStringLiteral("answerAll"));
    counts->addWidget(m_kept);
    counts->addStretch(1);
    counts->addWidget(m_candidates);
    counts->addStretch(1);
    counts->addWidget(m_all);
    layout->addLayout(counts);

    m_table = new QWidget;
    m_grid = new QGridLayout(m_table);
    dresser::setMargins(m_grid, 0, 4, 0, 0, 4);
    m_grid->setColumnStretch(0, 1);
    m_head = textLabel({}, "strongLabel", QStringLiteral("figureHead"));
    m_headUnpruned = textLabel(tr("unpruned"), "label", QStringLiteral("figureHeadUnpruned"));
    for (auto* label : {m_head, m_headUnpruned})
        label->setAlignment(Qt::AlignRight);
    m_grid->addWidget(m_head, 0, 1);
    m_grid->addWidget(m_headUnpruned, 0, 2);
    addFigure(1, tr("First word"), "figureFirstWord");
    addFigure(2, tr("Language-model prefill"), "figurePrefill");
    addFigure(3, tr("KV memory"), "figureKv");
    layout->addWidget(m_table);
    m_letters = new LetterBars;
    layout->addWidget(m_letters);
    m_notes = textLabel({}, "hint", QStringLiteral("answerNotes"));
    m_notes->setWordWrap(true);
    layout->addWidget(m_notes);

    auto* buttonBox = new QWidget;
    auto* buttons = new FlowLayout(buttonBox);
    dresser::setMargins(buttons, 0, 4, 0, 0, 8);
    const auto add = [&](const char* objectName, auto run) {
        auto* button = new QPushButton;
        button->setObjectName(QLatin1String(objectName));
        connect(button, &QPushButton::clicked, this, run);
        buttons->addWidget(button);
        return button;
    };
    m_askAgain = add("askAgain", [this] { Q_EMIT askRequested(m_again); });
    m_compare = add("compareAnswers", [this] { Q_EMIT compareRequested(m_id, TokenMode::All); });
    m_compareWith =
        iconButton(QStringLiteral("chevron-down"), tr("Compare with another method at equal tokens"),
                   QStringLiteral("compareWith"), false);
    m_compareWith->setPopupMode(QToolButton::InstantPopup);
    auto* menu = new QMenu(m_compareWith);
    for (const auto& info : tokenModes()) {
        if (info.kind == TokenModeKind::Unpruned)
            continue;
        auto* action = menu->addAction(modeLabel(info.mode), this,
                                       [this, mode = info.mode] { Q_EMIT compareRequested(m_id, mode); });
        action->setToolTip(QString::fromUtf8(info.help.data(), qsizetype(info.help.size())));
        action->setData(int(info.mode));
    }
    m_compareWith->setMenu(menu);
    buttons->addWidget(m_compareWith);
    m_showTokens = add("showTokens", [this] { Q_EMIT showTokensRequested(m_id); });
    m_showTokens->setText(tr("Show tokens"));
    m_showTokens->setProperty("kind", "plain");
    dresser::setIcon(m_showTokens, QStringLiteral("diagram-3"), Role::Text2);
    m_cancel = add("cancelAsk", [this] {
        m_cancel->setEnabled(false);
        setText(m_state, tr("Stopping…"));
        Q_EMIT cancelRequested(m_id);
    });
    m_cancel->setText(tr("Cancel"));
    dresser::setIcon(m_cancel, QStringLiteral("stop"));
    m_retry = add("retryAsk", [this] { Q_EMIT retryRequested(m_id); });
    m_retry->setText(tr("Try again"));
    m_remove = iconButton(QStringLiteral("x-lg"), tr("Remove this run"), QStringLiteral("removeAsk"));
    connect(m_remove, &QToolButton::clicked, this, [this] { Q_EMIT removeRequested(m_id); });
    top->addWidget(m_remove, 0, Qt::AlignTop);
    for (auto* button : {m_showTokens, m_cancel, m_retry})
        button->setAccessibleName(button->text());
    m_showTokens->setAccessibleName(tr("Show the tokens of this answer on the picture"));
    layout->addWidget(buttonBox);
}

void AnswerCard::addFigure(int row, const QString& name, const char* objectName) {
    auto* label = textLabel(name, "label");
    auto* value = textLabel({}, "figure", QLatin1String(objectName));
    auto* unpruned = textLabel({}, "figure2", QLatin1String(objectName) + QStringLiteral("Unpruned"));
    for (auto* figure : {value, unpruned}) {
        figure->setAlignment(Qt::AlignRight);
        dresser::setMinimumWidth(figure, 72);
    }
    m_grid->addWidget(label, row, 0);
    m_grid->addWidget(value, row, 1);
    m_grid->addWidget(unpruned, row, 2);
    m_figures.emplace_back(value, unpruned);
}

void AnswerCard::setTheme(const Theme&) {}

void AnswerCard::setAsk(const AskView& ask, const AskGroup& group, bool shown) {
    m_id = ask.id;
    const AskView* unpruned = group.unprunedFor(ask);
    if (unpruned && unpruned->id == ask.id)
        unpruned = nullptr;
    if (property("shown").toBool() != shown) {
        setProperty("shown", shown);
        style()->unpolish(this);
        style()->polish(this);
    }
    showAnswer(ask, unpruned);
    showTimes(ask);
    showFigures(ask, unpruned);
    showButtons(ask, unpruned);
}

void AnswerCard::showAnswer(const AskView& ask, const AskView* unpruned) {
    const QString text = QString::fromStdString(ask.answer ? ask.answer->text : ask.text);
    setText(m_text, text);
    const bool finished = isFinished(ask.state);
    QString state = finished && ask.state == JobState::Done ? QString() : QString::fromStdString(ask.words);
    if (ask.answer && ask.answer->stop == Answer::Stop::Length)
        state = tr("Cut off after %1 tokens, the most that were allowed.").arg(ask.answer->ids.size());
    const bool failed = ask.state == JobState::Failed || ask.state == JobState::Quarantined;
    setText(m_error, failed ? QString::fromStdString(ask.words) : QString());
    setText(m_state, failed ? QString() : state);
    m_state->setAccessibleName(m_state->text());
    QString mark, icon;
    if (unpruned && ask.answer) {
        const bool same = agreementOf(ask, *unpruned) == Agreement::Same;
        mark = same ? tr("same as unpruned")
                    : tr("unpruned says “%1”").arg(QString::fromStdString(unpruned->answer->text));
        icon = same ? QStringLiteral("check-lg") : QStringLiteral("exclamation-triangle");
        setLook(m_mark, same ? "label" : "warning");
        dresser::setIcon(m_markIcon, icon, same ? Role::Text : Role::Warning);
    }
    setText(m_mark, mark);
    m_markIcon->setVisible(!mark.isEmpty());
}

void AnswerCard::showTimes(const AskView& ask) {
    const auto links = [](const std::vector<double>& times) {
        QStringList out;
        for (const double t : times)
            out << QStringLiteral("<a href=\"%1\">%2</a>").arg(t, 0, 'f', 6).arg(timeText(t));
        return out.join(QStringLiteral("&nbsp; "));
    };
    QString text;
    if (ask.answer && ask.run && !ask.run->frameSeconds.empty()) {
        const double end = std::max(ask.request.videoSeconds, ask.run->frameSeconds.back());
        if (const auto named = namedTimes(QString::fromStdString(ask.answer->text), end); !named.empty())
            text = tr("it names %1").arg(links(named));
    }
    if (ask.run && text.isEmpty())
        if (const auto times = fullestTimes(*ask.run); !times.empty())
            text = tr("most tokens from %1").arg(links(times));
    setText(m_times, text);
}

void AnswerCard::showFigures(const AskView& ask, const AskView* unpruned) {
    const bool hasRun = ask.run != nullptr;
    const bool hasAnswer = ask.answer.has_value();
    const QLocale locale;
    const auto number = [&](int n) { return locale.toString(n); };
    if (hasRun) {
        const auto& run = *ask.run;
        const double all = std::max(1, run.cells());
        m_bar->setShares(run.keptCells / all, run.candidates / all);
        m_bar->setAccessibleName(tr("%1 of %2 cells kept, %3 were candidates")
                                     .arg(run.keptCells)
                                     .arg(run.cells())
                                     .arg(run.candidates));
        setText(m_frames, tr("%1 frames sampled").arg(run.frames));
        setText(m_kept, tr("%1 kept").arg(number(run.keptCells)));
        setText(m_candidates,
                run.candidates < run.cells() ? tr("%1 candidates").arg(number(run.candidates)) : QString());
        const int newlines = hasAnswer ? ask.answer->unprunedTokens - ask.answer->cells : run.keptNewlines;
        setText(m_all, tr("%1 tokens + %2").arg(number(run.cells()), number(newlines)));
    } else {
        for (auto* label : {m_frames, m_kept, m_candidates, m_all})
            label->hide();
    }
    m_bar->setVisible(hasRun);
    setText(m_settings, settingsWords(ask.request.tokens));
    m_table->setVisible(hasAnswer);
    m_letters->setVisible(hasAnswer && !ask.answer->letterProbabilities.empty());
    if (!hasAnswer) {
        m_notes->hide();
        return;
    }
    const bool isUnpruned = ask.request.tokens.mode == TokenMode::All;
    setText(m_head, isUnpruned ? tr("unpruned") : percentText(ask.request.tokens.keep));
    m_headUnpruned->setVisible(unpruned != nullptr);
    const auto figures = [](const Answer& a) {
        return std::array{a.featuresCached ? tr("%1, frames cached").arg(secondsText(a.firstWordSeconds))
                                           : secondsText(a.firstWordSeconds),
                          secondsText(a.prefillSeconds), mebibytes(double(a.kvBytes))};
    };
    const auto mine = figures(*ask.answer);
    for (std::size_t i = 0; i < m_figures.size(); ++i) {
        m_figures[i].first->setText(mine[i]);
        m_figures[i].second->setText(unpruned ? figures(*unpruned->answer)[i] : QString());
        m_figures[i].second->setVisible(unpruned != nullptr);
    }
    m_letters->setValues(ask.request.options, ask.answer->letterProbabilities);
    QStringList notes;
    if (hasRun)
        for (const auto& note : ask.run->notes)
            notes << QString::fromStdString(note);
    if (hasRun && !ask.run->layerTokens.empty())
        notes << tr("Layers of the language model kept %1 to %2 tokens of the sequence.")
                     .arg(*std::min_element(ask.run->layerTokens.begin(), ask.run->layerTokens.end()))
                     .arg(*std::max_element(ask.run->layerTokens.begin(), ask.run->layerTokens.end()));
    setText(m_notes, notes.join(u' '));
}

void AnswerCard::showButtons(const AskView& ask, const AskView* unpruned) {
    const bool finished = isFinished(ask.state);
    const bool done = ask.answer.has_value();
    const bool isUnpruned = ask.request.tokens.mode == TokenMode::All;
    m_again = ask.request;
    if (isUnpruned) {
        m_again.tokens.mode = TokenMode::ForestBalanced;
        m_again.tokens.keep = 0.1;
    } else {
        m_again.tokens.keep = std::min(1.0, ask.request.tokens.keep * 2);
        if (m_again.tokens.keep >= 1)
            m_again.tokens.mode = TokenMode::All;
    }
    const QString again = tr("Ask again at %1").arg(percentText(m_again.tokens.keep));
    m_askAgain->setText(again);
    m_askAgain->setAccessibleName(again);
    m_askAgain->setVisible(done);
    const QString compare = tr("Compare %1 and 100 %")
                                .arg(QLocale()
                                         .toString(ask.request.tokens.keep * 100, 'f', 1)
                                         .remove(QLocale().decimalPoint() + QStringLiteral("0")));
    m_compare->setText(compare);
    m_compare->setAccessibleName(compare);
    m_compare->setToolTip(unpruned ? tr("Both answers side by side")
                                   : tr("Asks the same question without pruning, then shows both answers"));
    m_compare->setVisible(done && !isUnpruned);
    m_compareWith->setVisible(done && !isUnpruned);
    for (auto* action : m_compareWith->menu()->actions())
        action->setVisible(action->data().toInt() != int(ask.request.tokens.mode));
    m_showTokens->setVisible(ask.run || done);
    m_cancel->setVisible(!finished);
    if (finished)
        m_cancel->setEnabled(true);
    m_retry->setVisible(finished && !done);
    m_remove->setVisible(finished);
}

} // namespace canopy::ui
