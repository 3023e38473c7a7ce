#include "ui/panels/question_group.h"

#include <set>

#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

#include "ui/panels/answer_card.h"
#include "ui/panels/compare_view.h"
#include "ui/panels/flow_layout.h"
#include "ui/panels/pane_parts.h"
#include "ui/panels/sanity_table.h"

namespace canopy::ui {

QuestionGroup::QuestionGroup(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("questionGroup"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 0, 0, 0, 0, 8);
    m_question = textLabel({}, "question", QStringLiteral("questionText"));
    m_question->setWordWrap(true);
    m_question->setTextFormat(Qt::PlainText);
    m_question->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_options = textLabel({}, "label", QStringLiteral("questionOptions"));
    m_options->setWordWrap(true);
    m_options->setTextFormat(Qt::PlainText);
    m_runs = new QWidget;
    m_runs->setAccessibleName(tr("Runs of this question"));
    m_runsLayout = new FlowLayout(m_runs);
    dresser::setMargins(m_runsLayout, 0, 0, 0, 0, 6);
    m_card = new AnswerCard;
    m_compare = new CompareView;
    m_sanity = new SanityTable;
    for (QWidget* widget :
         {static_cast<QWidget*>(m_question), static_cast<QWidget*>(m_options), m_runs,
          static_cast<QWidget*>(m_card), static_cast<QWidget*>(m_compare), static_cast<QWidget*>(m_sanity)})
        layout->addWidget(widget);
    m_compare->hide();

    connect(m_card, &AnswerCard::seekRequested, this, &QuestionGroup::seekRequested);
    connect(m_card, &AnswerCard::askRequested, this, &QuestionGroup::askRequested);
    connect(m_card, &AnswerCard::showTokensRequested, this, &QuestionGroup::showTokensRequested);
    connect(m_card, &AnswerCard::cancelRequested, this, &QuestionGroup::cancelRequested);
    connect(m_card, &AnswerCard::retryRequested, this, &QuestionGroup::retryRequested);
    connect(m_card, &AnswerCard::removeRequested, this, &QuestionGroup::removeRequested);
    connect(m_card, &AnswerCard::compareRequested, this, &QuestionGroup::compareWith);
    connect(m_compare, &CompareView::closed, this, [this] { compare(0, 0); });
    connect(m_compare, &CompareView::differenceRequested, this, &QuestionGroup::differenceRequested);
    connect(m_sanity, &SanityTable::askRequested, this, &QuestionGroup::askRequested);
}

void QuestionGroup::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
}

void QuestionGroup::compare(JobId a, JobId b) {
    m_compareA = a;
    m_compareB = b;
    m_awaited = 0;
    show();
}

const AskView* QuestionGroup::counterpart(const AskView& ask, TokenMode mode) const {
    if (mode == TokenMode::All)
        return m_group.unprunedFor(ask);
    // Equal total tokens: what the language model was given, newlines counted.
    for (auto it = m_group.asks.rbegin(); it != m_group.asks.rend(); ++it)
        if (it->answer && it->request.tokens.mode == mode && ask.answer &&
            it->answer->frames == ask.answer->frames && it->answer->videoTokens == ask.answer->videoTokens)
            return &*it;
    return nullptr;
}

void QuestionGroup::compareWith(JobId id, TokenMode mode) {
    const AskView* ask = m_group.find(id);
    if (!ask || !ask->answer)
        return;
    if (const AskView* other = counterpart(*ask, mode))
        return compare(id, other->id);
    m_awaited = id;
    m_awaitedMode = mode;
    AskRequest request = ask->request;
    request.tokens.mode = mode;
    request.tokens.keep = 1;
    if (mode != TokenMode::All) {
        request.tokens.newlines = NewlinePolicy::Auto;
        request.tokens.positions = PositionPolicy::Auto;
        request.tokens.accounting = BudgetAccounting::AllTokens;
        request.tokens.keep =
            std::min(1.0, double(ask->answer->videoTokens) / std::max(1, ask->answer->cells));
    }
    Q_EMIT askRequested(request);
}

void QuestionGroup::setGroup(const AskGroup& group, JobId shown) {
    m_group = group;
    m_shown = shown;
    const JobId newest = group.asks.back().id;
    // A new run takes the card; controls and the awaited unpruned one leave the chosen answer in sight.
    if (newest != m_newest) {
        const auto kind = tokenModeInfo(group.asks.back().request.tokens.mode).kind;
        if (!m_chosen || (kind != TokenModeKind::Control && !m_awaited))
            m_chosen = newest;
        m_newest = newest;
    }
    if (!m_group.find(m_chosen))
        m_chosen = newest;
    if (m_compareA && (!m_group.find(m_compareA) || !m_group.find(m_compareB)))
        m_compareA = m_compareB = 0;
    if (const AskView* ask = m_awaited ? m_group.find(m_awaited) : nullptr) {
        // Modes with a step of their own cannot always reach the number: then the newest run of that mode.
        const AskView* other = counterpart(*ask, m_awaitedMode);
        const AskView& last = m_group.asks.back();
        if (!other && last.answer && last.id > m_awaited && last.request.tokens.mode == m_awaitedMode)
            other = &last;
        if (other) {
            m_compareA = m_awaited;
            m_compareB = other->id;
            m_awaited = 0;
        }
    }
    show();
}

void QuestionGroup::show() {
    if (m_group.asks.empty())
        return;
    m_question->setText(m_group.question.empty() ? tr("Tokens only, no question")
                                                 : QString::fromStdString(m_group.question));
    QStringList options;
    for (std::size_t i = 0; i < m_group.options.size(); ++i)
        options << QStringLiteral("%1. %2")
                       .arg(QChar(u'A' + int(i)))
                       .arg(QString::fromStdString(m_group.options[i]));
    m_options->setText(options.join(QStringLiteral("   ")));
    m_options->setVisible(!options.isEmpty());
    showRuns();
    const AskView* ask = m_group.find(m_chosen);
    const AskView* a = m_group.find(m_compareA);
    const AskView* b = m_group.find(m_compareB);
    if (a && b)
        m_compare->setPair(*a, *b, m_group);
    else
        m_card->setAsk(*ask, m_group, m_shown == ask->id);
    m_compare->setVisible(a && b);
    m_card->setVisible(!(a && b));
    // Held against: the chosen run, or its pruned counterpart where a control or the unpruned one is chosen.
    const AskView* of = ask;
    if (tokenModeInfo(of->request.tokens.mode).kind == TokenModeKind::Control)
        for (const auto& other : m_group.asks)
            if (tokenModeInfo(other.request.tokens.mode).kind != TokenModeKind::Control &&
                other.request.tokens.keep == of->request.tokens.keep)
                of = &other;
    m_sanity->setGroup(m_group, *of);
    m_sanity->setVisible(of->request.tokens.mode != TokenMode::All);
}

void QuestionGroup::showRuns() {
    m_runs->setVisible(m_group.asks.size() > 1);
    QString key;
    for (const auto& ask : m_group.asks)
        key += QStringLiteral("%1:%2;").arg(ask.id).arg(int(ask.state));
    key += QStringLiteral("%1:%2:%3").arg(m_chosen).arg(m_compareA).arg(m_compareB);
    if (m_group.asks.size() < 2 || key == m_runsKey)
        return;
    m_runsKey = key;
    const bool hadFocus = m_runs->isAncestorOf(m_runs->focusWidget());
    while (auto* item = m_runsLayout->takeAt(0)) {
        if (item->widget())
            item->widget()->deleteLater();
        delete item;
    }
    std::set<TokenMode> modes;
    for (const auto& ask : m_group.asks)
        if (ask.request.tokens.mode != TokenMode::All)
            modes.insert(ask.request.tokens.mode);
    const bool manyModes = modes.size() > 1;
    for (const auto& ask : m_group.asks) {
        QString share =
            ask.request.tokens.mode == TokenMode::All ? tr("100 %") : percentText(ask.request.tokens.keep);
        if (manyModes && ask.request.tokens.mode != TokenMode::All)
            share += u' ' + modeLabel(ask.request.tokens.mode);
        auto* button = new QPushButton(share);
        button->setObjectName(QStringLiteral("runButton%1").arg(ask.id));
        button->setAccessibleName(settingsWords(ask.request.tokens));
        button->setToolTip(ask.answer ? QStringLiteral("%1: %2").arg(settingsWords(ask.request.tokens),
                                                                     QString::fromStdString(ask.answer->text))
                                      : settingsWords(ask.request.tokens));
        button->setCheckable(true);
        button->setChecked(m_compareA ? ask.id == m_compareA || ask.id == m_compareB : ask.id == m_chosen);
        button->setProperty("kind", "chip");
        connect(button, &QPushButton::clicked, this, [this, id = ask.id] {
            m_chosen = id;
            compare(0, 0);
            Q_EMIT showTokensRequested(id);
        });
        m_runsLayout->addWidget(button);
        if (m_hasTheme)
            dresser::dress(button, m_theme);
        if (hadFocus && ask.id == m_chosen)
            button->setFocus();
    }
}

} // namespace canopy::ui
