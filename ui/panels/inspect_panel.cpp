#include "ui/panels/inspect_panel.h"

#include <algorithm>
#include <cmath>

#include <QGridLayout>
#include <QLabel>
#include <QLocale>
#include <QMenu>
#include <QPushButton>
#include <QScrollArea>
#include <QToolButton>
#include <QVBoxLayout>

#include "core/studio/attention_account.h"
#include "ui/attention/attention_legend.h"
#include "ui/attention/drift_view.h"
#include "ui/attention/head_grid.h"
#include "ui/attention/key_frame_view.h"
#include "ui/attention/reuse_timeline.h"
#include "ui/attention/why_bar.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/fields.h"

namespace canopy::ui {
namespace {

QString figure(double value, int digits) {
    return QLocale().toString(value, 'f', digits);
}

QString seconds(double value) {
    if (std::abs(value) < 0.05)
        value = 0; // no "-0.0"
    return InspectPanel::tr("%1 s").arg(figure(value, 1));
}

/// A part of the account that adds time or takes it away.
QString change(double value) {
    const QString text = seconds(value);
    return value >= 0.05 ? QStringLiteral("+") + text : text;
}

QString factor(double value) {
    return QStringLiteral("%1×").arg(figure(value, 2));
}

QString methodWords(const RunTelemetry& run) {
    if (!run.request)
        return {};
    const auto& a = run.request->attention;
    const QString method = a.method == AttentionMethod::Svg2   ? InspectPanel::tr("SVG2")
                           : a.method == AttentionMethod::TopK ? InspectPanel::tr("top-k")
                                                               : InspectPanel::tr("XAttention");
    switch (a.reuse) {
    case MaskReuse::Off:
        return method;
    case MaskReuse::Tmr:
        return InspectPanel::tr("%1, reused by drift").arg(method);
    case MaskReuse::Freeze:
        return InspectPanel::tr("%1, frozen").arg(method);
    case MaskReuse::Every:
        return InspectPanel::tr("%1, every %2 steps").arg(method).arg(a.refreshInterval);
    }
    return method;
}

QHBoxLayout* segments(std::initializer_list<QPushButton*> buttons) {
    auto* row = new QHBoxLayout;
    row->setSpacing(0);
    row->setContentsMargins(0, 0, 0, 0);
    for (auto* button : buttons)
        row->addWidget(button);
    return row;
}

QWidget* boxed(QLayout* layout) {
    auto* widget = new QWidget;
    widget->setLayout(layout);
    return widget;
}

} // namespace

InspectPanel::InspectPanel(QWidget* parent)
    : QWidget(parent)
    , m_selection(new AttentionSelection(this)) {
    setObjectName(QStringLiteral("inspectPanel"));
    setProperty("pane", "dock");
    setAttribute(Qt::WA_StyledBackground);
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(buildModel());
    layout->addWidget(verticalRule());
    auto* middle = new QVBoxLayout;
    middle->setContentsMargins(0, 0, 0, 0);
    middle->setSpacing(0);
    middle->addWidget(buildPicture(), 3);
    middle->addWidget(rule());
    middle->addWidget(buildDrift(), 2);
    layout->addLayout(middle, 1);
    layout->addWidget(verticalRule());
    layout->addWidget(buildCell());
    connect(m_selection, &AttentionSelection::runChanged, this, &InspectPanel::showRun);
    connect(m_selection, &AttentionSelection::cellChanged, this, &InspectPanel::showCell);
    connect(m_selection, &AttentionSelection::queryChanged, this, &InspectPanel::showQuery);
    setSource({}, false);
    showRun();
}

QPushButton* InspectPanel::segment(const QString& text, const char* objectName, const char* place,
                                   const QString& help) {
    auto* button = new QPushButton(text);
    button->setObjectName(QLatin1String(objectName));
    button->setProperty("segment", QLatin1String(place));
    button->setAccessibleName(help);
    button->setToolTip(help);
    button->setCheckable(true);
    return button;
}

QWidget* InspectPanel::buildModel() {
    m_left = new QWidget;
    auto* layout = new QVBoxLayout(m_left);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    m_model = textLabel({}, "hint", QStringLiteral("inspectModel"));
    m_stepBack = iconButton(QStringLiteral("chevron-left"), tr("Step before (Page up)"),
                            QStringLiteral("inspectStepBack"));
    m_stepOn = iconButton(QStringLiteral("chevron-right"), tr("Next step (Page down)"),
                          QStringLiteral("inspectStepOn"));
    m_step = textLabel({}, "figure", QStringLiteral("inspectStep"));
    m_step->setAlignment(Qt::AlignCenter);
    dresser::setReservedText(m_step, tr("step %1/%2").arg(88).arg(88));
    m_live = new QPushButton(tr("Newest"));
    m_live->setObjectName(QStringLiteral("inspectNewest"));
    m_live->setToolTip(tr("Go to the newest step and follow the run"));
    m_live->setAccessibleName(m_live->toolTip());
    m_live->setProperty("kind", "plain");
    connect(m_stepBack, &QToolButton::clicked, this,
            [this] { m_selection->setStep(m_selection->cell().step - 1); });
    connect(m_stepOn, &QToolButton::clicked, this,
            [this] { m_selection->setStep(m_selection->cell().step + 1); });
    connect(m_live, &QPushButton::clicked, m_selection, &AttentionSelection::follow);
    layout->addWidget(paneHeader(tr("Model"), {m_live, m_stepBack, m_step, m_stepOn},
                                 QStringLiteral("inspectModelHeader")));
    auto* body = new QVBoxLayout;
    dresser::setMargins(body, 12, 8, 12, 12, 10);
    body->addWidget(m_model);
    m_grid = new HeadGrid(m_selection);
    connect(m_grid, &AttentionView::hovered, this, &InspectPanel::hovered);
    body->addWidget(m_grid, 100);
    body->addWidget(new AttentionLegend(AttentionLegend::Map::Heads));
    m_mean = textLabel({}, "label", QStringLiteral("inspectMean"));
    body->addWidget(m_mean);
    body->addStretch(1);
    layout->addLayout(body, 1);
    dresser::setFixedWidth(m_left, 352);
    return m_left;
}

QWidget* InspectPanel::buildPicture() {
    auto* pane = new QWidget;
    auto* layout = new QVBoxLayout(pane);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    m_frame = textLabel({}, "hint", QStringLiteral("inspectFrame"));
    auto* back = iconButton(QStringLiteral("chevron-left"), tr("Latent frame before"),
                            QStringLiteral("inspectFrameBack"));
    auto* on = iconButton(QStringLiteral("chevron-right"), tr("Next latent frame"),
                          QStringLiteral("inspectFrameOn"));
    m_shows[0] = segment(tr("Picture"), "inspectShowPicture", "left", tr("The picture alone"));
    m_shows[1] = segment(tr("Keys of q-block"), "inspectShowKeys", "right",
                         tr("Which blocks of this frame the chosen block of queries sees"));
    m_picture = new KeyFrameView(m_selection);
    connect(m_picture, &AttentionView::hovered, this, &InspectPanel::hovered);
    connect(m_picture, &KeyFrameView::frameChanged, this, &InspectPanel::showQuery);
    connect(back, &QToolButton::clicked, this, [this] { m_picture->setFrame(m_picture->frame() - 1); });
    connect(on, &QToolButton::clicked, this, [this] { m_picture->setFrame(m_picture->frame() + 1); });
    for (std::size_t i = 0; i < m_shows.size(); ++i)
        connect(m_shows[i], &QPushButton::clicked, this, [this, i] {
            m_shows[0]->setChecked(i == 0);
            m_shows[1]->setChecked(i == 1);
            m_picture->setShowsKeys(i == 1);
        });
    m_shows[1]->setChecked(true);
    layout->addWidget(paneHeader(tr("Latent frame"),
                                 {m_frame, back, on, boxed(segments({m_shows[0], m_shows[1]}))},
                                 QStringLiteral("inspectPictureHeader")));
    auto* body = new QVBoxLayout;
    dresser::setMargins(body, 12, 12, 12, 12, 0);
    body->addWidget(m_picture, 1);
    layout->addLayout(body, 1);
    return pane;
}

QWidget* InspectPanel::buildDrift() {
    auto* pane = new QWidget;
    auto* layout = new QVBoxLayout(pane);
    dresser::setMargins(layout, 12, 10, 12, 12, 8);
    auto* row = new QHBoxLayout;
    dresser::setMargins(row, 0, 0, 0, 0, 12);
    row->addWidget(textLabel(tr("Drift of this head"), "strong"));
    row->addWidget(textLabel(tr("against the step of its last choice"), "hint"), 1);
    layout->addLayout(row);
    auto* drift = new DriftView(m_selection);
    connect(drift, &AttentionView::hovered, this, &InspectPanel::hovered);
    layout->addWidget(drift, 1);
    return pane;
}

QWidget* InspectPanel::buildCell() {
    m_right = new QWidget;
    auto* layout = new QVBoxLayout(m_right);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    m_source = new ElidedLabel;
    m_source->setObjectName(QStringLiteral("inspectSource"));
    m_source->setProperty("look", "hint");
    m_back = new QPushButton(tr("Live"));
    m_back->setObjectName(QStringLiteral("inspectBackToLive"));
    m_back->setProperty("kind", "plain");
    m_back->setToolTip(tr("Close the recording and show this program's own run"));
    m_back->setAccessibleName(m_back->toolTip());
    connect(m_back, &QPushButton::clicked, this, &InspectPanel::liveRequested);
    m_table =
        iconButton(QStringLiteral("table"), tr("Show as a table"), QStringLiteral("inspectTableButton"));
    m_export = iconButton(QStringLiteral("box-arrow-up"), tr("Export and recordings"),
                          QStringLiteral("inspectExportButton"));
    connect(m_table, &QToolButton::clicked, this, &InspectPanel::tableRequested);
    auto* menu = new QMenu(m_export);
    menu->addAction(tr("Heads as CSV…"), this, [this] { Q_EMIT exportRequested(false); })
        ->setObjectName(QStringLiteral("inspectExportCsv"));
    menu->addAction(tr("Maps as NPZ…"), this, [this] { Q_EMIT exportRequested(true); })
        ->setObjectName(QStringLiteral("inspectExportNpz"));
    menu->addSeparator();
    menu->addAction(tr("Open session…"), this, &InspectPanel::openRequested);
    menu->addAction(tr("Save session…"), this, &InspectPanel::saveRequested);
    menu->addSeparator();
    menu->addAction(tr("Thresholds per head…"), this, &InspectPanel::calibrationRequested)
        ->setObjectName(QStringLiteral("inspectCalibration"));
    m_export->setMenu(menu);
    m_export->setPopupMode(QToolButton::InstantPopup);
    m_branches[0] = segment(tr("Prompt"), "inspectPrompt", "left", tr("The call with the prompt"));
    m_branches[1] =
        segment(tr("Negative"), "inspectNegative", "right", tr("The call with the negative prompt"));
    for (std::size_t i = 0; i < m_branches.size(); ++i)
        connect(m_branches[i], &QPushButton::clicked, this, [this, i] {
            m_selection->setBranch(i == 0 ? GuidanceBranch::Prompt : GuidanceBranch::Negative);
            showCell();
        });
    layout->addWidget(paneHeader(
        tr("Head"), {m_source, m_back, boxed(segments({m_branches[0], m_branches[1]})), m_table, m_export},
        QStringLiteral("inspectCellHeader")));

    auto* body = new QWidget;
    auto* rows = new QVBoxLayout(body);
    dresser::setMargins(rows, 16, 10, 16, 12, 10);
    m_cell = textLabel({}, "strong", QStringLiteral("inspectCell"));
    rows->addWidget(m_cell);
    auto* facts = new QGridLayout;
    dresser::setMargins(facts, 0, 0, 0, 0, 2);
    facts->setHorizontalSpacing(12);
    const QString names[kFacts] = {tr("kept"), tr("mask age"), tr("IoU to earlier"), tr("drift / norm"),
                                   tr("layer's call")};
    for (int i = 0; i < kFacts; ++i) {
        m_facts[std::size_t(i)] = textLabel({}, "timecode", QStringLiteral("inspectFact%1").arg(i));
        m_facts[std::size_t(i)]->setAccessibleName(names[i]);
        facts->addWidget(m_facts[std::size_t(i)], 0, i);
        facts->addWidget(textLabel(names[i], "caption"), 1, i);
        facts->setColumnStretch(i, 1);
    }
    rows->addLayout(facts);
    rows->addWidget(buildMask(), 3);
    rows->addWidget(rule());
    rows->addWidget(buildReuse(), 2);
    rows->addWidget(rule());
    rows->addWidget(buildWhy());
    auto* scroll = new QScrollArea;
    scroll->setObjectName(QStringLiteral("inspectCellScroll"));
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setProperty("pane", "dock");
    scroll->setWidget(body);
    layout->addWidget(scroll, 1);
    dresser::setFixedWidth(m_right, 512);
    return m_right;
}

QWidget* InspectPanel::buildMask() {
    auto* pane = new QWidget;
    auto* rows = new QVBoxLayout(pane);
    dresser::setMargins(rows, 0, 0, 0, 0, 8);
    auto* top = new QHBoxLayout;
    dresser::setMargins(top, 0, 0, 0, 0, 8);
    top->addWidget(textLabel(tr("Block mask"), "strong"));
    m_blocks = textLabel({}, "hint", QStringLiteral("inspectBlocks"));
    top->addWidget(m_blocks, 1);
    m_looks[0] = segment(tr("Current"), "inspectMaskCurrent", "left", tr("The mask of this step"));
    m_looks[1] = segment(tr("Anchor"), "inspectMaskAnchor", "middle", tr("The choice before this one"));
    m_looks[2] = segment(tr("XOR"), "inspectMaskXor", "right",
                         tr("What the newer choice added (blue) and dropped (orange)"));
    for (std::size_t i = 0; i < m_looks.size(); ++i)
        connect(m_looks[i], &QPushButton::clicked, this, [this, i] { setLook(MaskLook(i)); });
    top->addLayout(segments({m_looks[0], m_looks[1], m_looks[2]}));
    rows->addLayout(top);
    m_mask = new MaskView(m_selection);
    connect(m_mask, &AttentionView::hovered, this, &InspectPanel::hovered);
    rows->addWidget(m_mask, 1);
    rows->addWidget(
        textLabel(tr("queries down, keys across; a line where a latent frame begins"), "caption"));
    m_query = new ElidedLabel;
    m_query->setObjectName(QStringLiteral("inspectQuery"));
    m_query->setProperty("look", "label");
    rows->addWidget(m_query);
    setLook(MaskLook::Current);
    return pane;
}

QWidget* InspectPanel::buildReuse() {
    auto* pane = new QWidget;
    auto* rows = new QVBoxLayout(pane);
    dresser::setMargins(rows, 0, 0, 0, 0, 8);
    auto* top = new QHBoxLayout;
    dresser::setMargins(top, 0, 0, 0, 0, 8);
    m_reuseTitle = textLabel({}, "strong", QStringLiteral("inspectReuseTitle"));
    top->addWidget(m_reuseTitle);
    top->addWidget(textLabel(tr("rows are heads, columns steps"), "hint"), 1);
    rows->addLayout(top);
    auto* middle = new QHBoxLayout;
    dresser::setMargins(middle, 0, 0, 0, 0, 12);
    auto* timeline = new ReuseTimeline(m_selection);
    connect(timeline, &AttentionView::hovered, this, &InspectPanel::hovered);
    middle->addWidget(timeline, 1);
    auto* totals = new QVBoxLayout;
    dresser::setMargins(totals, 0, 0, 0, 0, 2);
    m_reused = textLabel({}, "timecode", QStringLiteral("inspectReused"));
    m_avoided = textLabel({}, "timecode", QStringLiteral("inspectAvoided"));
    dresser::setReservedText(m_avoided, QStringLiteral("88888"));
    totals->addWidget(m_reused);
    totals->addWidget(textLabel(tr("reused"), "caption"));
    totals->addSpacing(6);
    totals->addWidget(m_avoided);
    totals->addWidget(textLabel(tr("choices avoided"), "caption"));
    totals->addStretch(1);
    middle->addLayout(totals);
    rows->addLayout(middle, 1);
    rows->addWidget(new AttentionLegend(AttentionLegend::Map::Reuse));
    return pane;
}

QWidget* InspectPanel::buildWhy() {
    auto* pane = new QWidget;
    auto* rows = new QVBoxLayout(pane);
    dresser::setMargins(rows, 0, 0, 0, 0, 8);
    m_why = textLabel({}, "strong", QStringLiteral("inspectWhy"));
    rows->addWidget(m_why);
    m_bar = new WhyBar;
    rows->addWidget(m_bar);
    auto* grid = new QGridLayout;
    dresser::setMargins(grid, 0, 2, 0, 0, 6);
    const auto add = [&](int row, int column, Sum sum, const QString& name, QWidget* mark,
                         const QString& help, bool strong = false) {
        if (mark)
            grid->addWidget(mark, row, column, Qt::AlignVCenter);
        auto* label = textLabel(name, strong ? "strongLabel" : "label");
        label->setToolTip(help);
        grid->addWidget(label, row, column + 1);
        auto* value = textLabel({}, "figure", QStringLiteral("inspectSum%1").arg(int(sum)));
        value->setAlignment(Qt::AlignRight);
        value->setAccessibleName(name);
        value->setToolTip(help);
        dresser::setReservedText(value, QStringLiteral("-888.8 s"));
        grid->addWidget(value, row, column + 2);
        m_sums[std::size_t(sum)] = value;
    };
    add(0, 0, Dense, tr("Dense would take, predicted"), nullptr,
        tr("The median dense warm-up step of this clip, as often as there are steps."));
    add(1, 0, Skipped, tr("Blocks skipped"), new TimeMark(TimePart::Skipped),
        tr("Attention time of as many dense steps, less the measured attention time."));
    add(2, 0, Choosing, tr("Choosing blocks"), new TimeMark(TimePart::Choosing),
        tr("Measured: means, drift, estimates and choices."));
    add(3, 0, Rest, tr("Everything else"), nullptr,
        tr("How much longer or shorter all but attention took than in the dense steps."));
    add(4, 0, Measured, tr("Measured"), new TimeMark(TimePart::Measured), tr("All steps so far."), true);
    add(0, 3, Model, tr("Cost model"), nullptr,
        tr("1 / [(1-f) + f (w + (1-w)(kept/efficiency + overhead))] from the figures of this clip."));
    add(1, 3, Efficiency, tr("Kernel efficiency"), nullptr,
        tr("Of the sparse kernel against the dense one at equal operations."));
    add(2, 3, Overhead, tr("Choosing / dense"), nullptr, tr("Time of choosing over dense attention time."));
    add(4, 3, Check, tr("Sum check"), nullptr,
        tr("The parts added up, less the measured time: 0 when they account for all of it."));
    grid->setColumnStretch(1, 3);
    grid->setColumnStretch(4, 2);
    grid->setColumnMinimumWidth(3, 16);
    rows->addLayout(grid);
    m_note = textLabel({}, "hint", QStringLiteral("inspectNote"));
    m_note->setWordWrap(true);
    rows->addWidget(m_note);
    return pane;
}

QWidget* InspectPanel::keyTarget() const {
    return m_grid;
}

void InspectPanel::setCompact(bool compact) {
    dresser::setFixedWidth(m_left, compact ? 260 : 352);
    dresser::setFixedWidth(m_right, compact ? 420 : 512);
}

void InspectPanel::setSource(const QString& words, bool isFile) {
    m_source->setFullText(words);
    m_back->setVisible(isFile);
}

void InspectPanel::setLook(MaskLook look) {
    m_mask->setLook(look);
    for (std::size_t i = 0; i < m_looks.size(); ++i)
        m_looks[i]->setChecked(i == std::size_t(look));
    if (m_query)
        showQuery();
}

void InspectPanel::showRun() {
    const bool any = !m_selection->isEmpty();
    m_model->setText(any ? tr("%1 layers × %2 heads   %3")
                               .arg(m_selection->layers())
                               .arg(m_selection->heads())
                               .arg(methodWords(m_selection->run()))
                         : tr("No clip with sparse attention yet"));
    m_table->setEnabled(any);
    for (auto* button : m_branches)
        button->setEnabled(m_selection->hasNegative());
    showCell();
    showWhy();
}

void InspectPanel::showCell() {
    const bool any = !m_selection->isEmpty();
    const AttentionCell cell = m_selection->cell();
    m_step->setText(any ? tr("step %1/%2").arg(cell.step).arg(m_selection->steps() - 1) : tr("step"));
    m_stepBack->setEnabled(any && cell.step > 0);
    m_stepOn->setEnabled(any && cell.step < m_selection->newestStep());
    m_live->setEnabled(any && !m_selection->follows());
    m_branches[0]->setChecked(cell.branch == GuidanceBranch::Prompt);
    m_branches[1]->setChecked(cell.branch == GuidanceBranch::Negative);
    m_cell->setText(any ? tr("Layer %1, head %2, step %3").arg(cell.layer).arg(cell.head).arg(cell.step)
                        : tr("No head chosen"));
    m_reuseTitle->setText(tr("Mask reuse in layer %1").arg(cell.layer));

    const auto* head = m_selection->headOf(cell);
    const AttentionRecord* call = m_selection->run().call(cell.step, cell.layer, cell.branch);
    const QString none = QStringLiteral("-");
    const double overlap = m_mask->overlap();
    m_facts[Kept]->setText(any && call ? percent(m_selection->keptShare(cell)) : none);
    m_facts[Age]->setText(head ? stepCount(cell.step - head->chosenAt) : none);
    m_facts[Overlap]->setText(overlap >= 0 ? figure(overlap, 2) : none);
    m_facts[Drift]->setText(head && head->drift > 0 ? percent(head->relativeDrift) : none);
    m_facts[Call]->setText(
        call ? tr("%1 ms").arg(figure((call->attentionSeconds + call->estimateSeconds) * 1000, 1)) : none);

    double kept = 0;
    int heads = 0;
    if (const AttentionStep* step = m_selection->run().step(cell.step))
        for (const AttentionRecord& r : step->calls)
            if (r.branch == cell.branch)
                for (const auto& h : r.heads) {
                    kept += h.keptShare;
                    ++heads;
                }
    m_mean->setText(heads > 0 ? tr("mean of this step %1").arg(percent(kept / heads)) : QString());
    const BlockBitmap* mask = m_selection->mask();
    m_blocks->setText(mask ? tr("%1 × %1 blocks of %2").arg(mask->blocks).arg(kBlockTokens) : QString());
    showQuery();
    Q_EMIT layerChanged(cell.layer);
}

void InspectPanel::showQuery() {
    const QString words = m_mask->queryWords();
    m_query->setFullText(!words.isEmpty()      ? words
                         : m_selection->mask() ? tr("Point at a row to see its keys on the picture.")
                                               : QString());
    const TokenGrid grid = m_selection->grid();
    m_frame->setText(grid.frames > 0 ? tr("%1 of %2").arg(m_picture->frame()).arg(grid.frames) : QString());
}

void InspectPanel::showWhy() {
    const AttentionAccount account = accountOf(m_selection->run());
    const bool any = account.steps > 0;
    m_reused->setText(any ? percent(account.reusedShare) : QStringLiteral("-"));
    m_avoided->setText(any ? QLocale().toString(account.choicesAvoided) : QStringLiteral("-"));
    m_bar->setAccount(account);
    for (auto* sum : m_sums)
        sum->setText(QStringLiteral("-"));
    m_why->setText(tr("Why this speed-up"));
    QStringList notes;
    if (any)
        m_sums[Measured]->setText(seconds(account.measured));
    if (account.dense) {
        const auto& d = *account.dense;
        m_why->setText(m_selection->run().ended ? tr("Why %1").arg(factor(d.measuredFactor))
                                                : tr("Why %1 so far").arg(factor(d.measuredFactor)));
        m_sums[Dense]->setText(seconds(d.denseSeconds));
        m_sums[Skipped]->setText(change(-d.skipped));
        m_sums[Choosing]->setText(change(d.choosing));
        m_sums[Rest]->setText(change(d.rest));
        m_sums[Model]->setText(factor(d.modelFactor));
        m_sums[Efficiency]->setText(figure(d.efficiency, 2));
        m_sums[Overhead]->setText(percent(d.overhead));
        m_sums[Check]->setText(seconds(d.denseSeconds - d.skipped + d.choosing + d.rest - account.measured));
    } else if (any) {
        notes << (account.denseSteps == 0
                      ? tr("No step of this clip was dense, so nothing says what dense attention would take. "
                           "One warm-up step (--warmup 1) does.")
                      : tr("The comparison begins with the first sparse step."));
    }
    const auto& run = m_selection->run();
    if (const int missing = run.missingSteps(); missing > 0)
        notes << tr("Not recorded: %1.").arg(stepCount(missing));
    if (run.masksDropped > 0)
        notes << tr("Block masks dropped for room, the oldest first: %1.").arg(run.masksDropped);
    if (run.unreadable > 0)
        notes << tr("Damaged records left out: %1.").arg(run.unreadable);
    m_note->setText(notes.join(u' '));
    m_note->setVisible(!notes.isEmpty());
}

} // namespace canopy::ui
