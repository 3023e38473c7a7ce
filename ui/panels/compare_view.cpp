#include "ui/panels/compare_view.h"

#include <QFrame>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QStyle>
#include <QToolButton>
#include <QVBoxLayout>

#include "ui/panels/letter_bars.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {
namespace {

/// What a control at the share of the pair's pruned side says where that differs or agrees by chance.
QString controlWords(const AskGroup& group, const AskView& pruned) {
    for (const auto& info : tokenModes()) {
        if (info.kind != TokenModeKind::Control || info.mode == pruned.request.tokens.mode)
            continue;
        const AskView* control = group.findRun(info.mode, pruned.request.tokens.keep);
        if (!control || !control->answer)
            continue;
        const QString label = modeLabel(info.mode);
        const QString at = percentText(pruned.request.tokens.keep);
        const QString text = QString::fromStdString(control->answer->text);
        return agreementOf(*control, pruned) == Agreement::Same
                   ? CompareView::tr("%1 at %2 also says “%3”.").arg(label, at, text)
                   : CompareView::tr("%1 at %2 says “%3”.").arg(label, at, text);
    }
    return {};
}

} // namespace

CompareView::CompareView(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("compareView"));
    setAccessibleName(tr("Two answers side by side"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 0, 0, 0, 0, 8);
    auto* pair = new QHBoxLayout;
    dresser::setMargins(pair, 0, 0, 0, 0, 8);
    for (auto& side : m_sides) {
        auto* card = new QFrame;
        card->setProperty("card", "answer");
        auto* column = new QVBoxLayout(card);
        dresser::setMargins(column, 14, 10, 14, 10, 6);
        auto* top = new QHBoxLayout;
        side.answer = textLabel({}, "answer", QStringLiteral("compareAnswer"));
        side.answer->setWordWrap(true);
        side.answer->setTextFormat(Qt::PlainText);
        side.answer->setTextInteractionFlags(Qt::TextSelectableByMouse);
        side.settings = textLabel({}, "label", QStringLiteral("compareSettings"));
        side.settings->setWordWrap(true);
        side.settings->setAlignment(Qt::AlignRight | Qt::AlignTop);
        top->addWidget(side.answer, 3);
        top->addWidget(side.settings, 2);
        side.letters = new LetterBars;
        side.figures = textLabel({}, "figure2", QStringLiteral("compareFigures"));
        side.figures->setWordWrap(true);
        column->addLayout(top);
        column->addWidget(side.letters);
        column->addWidget(side.figures);
        column->addStretch(1);
        pair->addWidget(card, 1);
    }
    layout->addLayout(pair);
    auto* below = new QHBoxLayout;
    dresser::setMargins(below, 0, 0, 0, 0, 6);
    m_warningIcon = textLabel({}, "label");
    m_verdict = textLabel({}, "label", QStringLiteral("compareVerdict"));
    m_verdict->setWordWrap(true);
    m_verdict->setTextFormat(Qt::PlainText);
    m_difference = new QPushButton(tr("Show the difference"));
    m_difference->setObjectName(QStringLiteral("showDifference"));
    m_difference->setAccessibleName(tr("Show on the picture which cells only one of them kept"));
    connect(m_difference, &QPushButton::clicked, this,
            [this] { Q_EMIT differenceRequested(m_sides[0].id, m_sides[1].id); });
    auto* close =
        iconButton(QStringLiteral("x-lg"), tr("Back to one answer"), QStringLiteral("compareClose"));
    connect(close, &QAbstractButton::clicked, this, &CompareView::closed);
    below->addWidget(m_warningIcon, 0, Qt::AlignTop);
    below->addWidget(m_verdict, 1, Qt::AlignTop);
    below->addWidget(close, 0, Qt::AlignTop);
    layout->addLayout(below);
    layout->addWidget(m_difference, 0, Qt::AlignLeft);
}

void CompareView::fill(Side& side, const AskView& ask) {
    side.id = ask.id;
    side.answer->setText(QString::fromStdString(ask.answer ? ask.answer->text : ask.text));
    QString settings = percentText(ask.request.tokens.keep);
    if (ask.request.tokens.mode != TokenMode::All)
        settings += u'\n' + modeLabel(ask.request.tokens.mode);
    side.settings->setText(settings);
    side.letters->setValues(ask.request.options,
                            ask.answer ? ask.answer->letterProbabilities : std::vector<double>());
    QString figures = QString::fromStdString(ask.words);
    if (ask.answer) {
        const QLocale locale;
        figures = tr("%1 tokens%2, %3 s, KV %4")
                      .arg(locale.toString(ask.answer->videoTokens),
                           ask.answer->featuresCached ? tr(", frames cached") : QString(),
                           locale.toString(ask.answer->firstWordSeconds, 'f', 2),
                           mebibytes(double(ask.answer->kvBytes)));
    }
    side.figures->setText(figures);
}

void CompareView::setPair(const AskView& a, const AskView& b, const AskGroup& group) {
    fill(m_sides[0], a);
    fill(m_sides[1], b);
    const Agreement agreement = agreementOf(a, b);
    const AskView& pruned = a.request.tokens.mode == TokenMode::All ? b : a;
    QString text;
    if (agreement == Agreement::NotKnown)
        text = tr("One of the two is not answered yet.");
    else
        text = (agreement == Agreement::Differs ? tr("The answers differ. ")
                                                : tr("The answers are the same. ")) +
               controlWords(group, pruned);
    if (a.answer && b.answer && a.request.tokens.mode != TokenMode::All &&
        b.request.tokens.mode != TokenMode::All && a.answer->videoTokens != b.answer->videoTokens)
        text += tr(" They were given %1 and %2 tokens: not an equal number.")
                    .arg(a.answer->videoTokens)
                    .arg(b.answer->videoTokens);
    const bool warns = agreement == Agreement::Differs;
    m_verdict->setText(text.trimmed());
    m_verdict->setProperty("look", warns ? "warning" : "label");
    m_verdict->style()->unpolish(m_verdict);
    m_verdict->style()->polish(m_verdict);
    m_warningIcon->setVisible(warns);
    dresser::setIcon(m_warningIcon, QStringLiteral("exclamation-triangle"), Role::Warning);
    m_difference->setVisible(a.run && b.run && a.run->frameIndex == b.run->frameIndex);
}

} // namespace canopy::ui
