#include "ui/panels/cache_facts_panel.h"

#include <QGridLayout>
#include <QLabel>
#include <QLocale>
#include <QVBoxLayout>

#include "ui/cache/kept_keys_view.h"
#include "ui/cache/kv_memory_view.h"
#include "ui/cache/saving_bar.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"
#include "ui/theme/fields.h"

namespace canopy::ui {
namespace {

constexpr int kGutter = 20; ///< pixels between two columns of figures

QString seconds(double value) {
    return CacheFactsPanel::tr("%1 s").arg(QLocale().toString(value, 'f', 1));
}

QString figure(double value, int digits) {
    return QLocale().toString(value, 'f', digits);
}

} // namespace

CacheFactsPanel::CacheFactsPanel(CacheSelection* selection, QWidget* parent)
    : QWidget(parent)
    , m_selection(selection) {
    setObjectName(QStringLiteral("cacheFacts"));
    setProperty("pane", "dock");
    auto* rows = new QVBoxLayout(this);
    dresser::setMargins(rows, 16, 10, 16, 16, 8);
    m_cellTitle = textLabel({}, "strong", QStringLiteral("cacheCellTitle"));
    rows->addWidget(m_cellTitle);
    rows->addWidget(buildFacts());
    rows->addWidget(rule());
    sectionTitle(tr("Memory of keys and values"), tr("finished chunks striped, in flight solid"), rows);
    m_memory = new KvMemoryView(selection);
    rows->addWidget(m_memory);
    rows->addWidget(rule());
    m_keptNote = sectionTitle(tr("Kept keys"), {}, rows);
    rows->addWidget(new KeptKeysView(selection));
    rows->addWidget(rule());
    rows->addWidget(buildTotals());
    rows->addStretch(1);
    connect(selection, &CacheSelection::sceneChanged, this, &CacheFactsPanel::showScene);
    connect(selection, &CacheSelection::cellChanged, this, &CacheFactsPanel::showCell);
    showScene();
}

QWidget* CacheFactsPanel::focusTarget() const {
    return m_memory;
}

QWidget* CacheFactsPanel::buildFacts() {
    auto* pane = new QWidget;
    auto* facts = new QGridLayout(pane);
    dresser::setMargins(facts, 0, 0, 0, 4, 4);
    const QString names[] = {tr("Decision"),      tr("Change"), tr("Accumulated"), tr("Row of the schedule"),
                             tr("Time of noise"), tr("Tokens"), tr("Keys seen"),   tr("Measured")};
    for (int i = 0; i < int(m_facts.size()); ++i) {
        auto* value = m_facts[std::size_t(i)] = textLabel({}, "figure", QStringLiteral("cacheFact%1").arg(i));
        value->setAlignment(Qt::AlignRight);
        value->setAccessibleName(names[i]);
        const int column = i % 2 * 3;
        facts->addWidget(textLabel(names[i], "label"), i / 2, column);
        facts->addWidget(value, i / 2, column + 1);
    }
    facts->setColumnStretch(1, 1);
    facts->setColumnStretch(4, 1);
    facts->setColumnMinimumWidth(2, kGutter);
    return pane;
}

QWidget* CacheFactsPanel::buildTotals() {
    auto* pane = new QWidget;
    auto* rows = new QVBoxLayout(pane);
    dresser::setMargins(rows, 0, 0, 0, 0, 8);
    m_why = textLabel({}, "strong", QStringLiteral("cacheWhy"));
    rows->addWidget(m_why);
    m_bar = new SavingBar;
    rows->addWidget(m_bar);
    auto* grid = new QGridLayout;
    dresser::setMargins(grid, 0, 4, 0, 0, 6);
    const auto add = [&](int row, int column, Sum sum, const QString& name, QWidget* mark, bool strong) {
        if (mark)
            grid->addWidget(mark, row, column, Qt::AlignVCenter);
        grid->addWidget(textLabel(name, strong ? "strongLabel" : "label"), row, column + 1);
        auto* value = m_sums[sum] = textLabel({}, "figure", QStringLiteral("cacheSum%1").arg(int(sum)));
        value->setAlignment(Qt::AlignRight);
        dresser::setReservedText(value, QStringLiteral("-888.8 s"));
        value->setAccessibleName(name);
        grid->addWidget(value, row, column + 2);
    };
    grid->setColumnMinimumWidth(3, kGutter);
    add(0, 0, Dense, tr("All computed, predicted"), nullptr, false);
    add(1, 0, Reuse, tr("Reuse of steps"), new SavingMark(SavingBar::Form::Reuse), false);
    add(2, 0, Squeeze, tr("Fewer keys to see"), new SavingMark(SavingBar::Form::Squeeze), false);
    add(3, 0, Measured, tr("Measured"), new SavingMark(SavingBar::Form::Measured), true);
    add(0, 3, Model, tr("Cost model"), nullptr, false);
    add(1, 3, HitRate, tr("Reused"), nullptr, false);
    add(2, 3, Flop, tr("Operations"), nullptr, false);
    add(3, 3, Between, tr("Between rows"), nullptr, false);
    grid->setColumnStretch(1, 1);
    grid->setColumnStretch(4, 1);
    m_sums[Between]->setToolTip(tr("What the clock measured less the sum of the rows: previews, decisions "
                                   "and waiting. Known when the clip is done."));
    m_sums[Flop]->setToolTip(
        tr("Floating-point operations that were made, estimated: T = 10^12, P = 10^15."));
    m_sums[Model]->setToolTip(tr("Operations without any saving, divided by those that were made: estimated "
                                 "from the model's size. Beside it stands the factor of time."));
    rows->addLayout(grid);
    m_steps = textLabel({}, "hint", QStringLiteral("cacheSteps"));
    m_steps->setWordWrap(true);
    rows->addWidget(m_steps);
    return pane;
}

void CacheFactsPanel::showScene() {
    m_keptNote->setFullText(m_selection->scene().squeezes.empty()
                                ? tr("all of them: nothing was squeezed")
                                : tr("one map a latent frame, mean over layers and heads"));
    showCell();
    showTotals();
}

void CacheFactsPanel::showCell() {
    const CacheCell* cell = m_selection->cell();
    if (!cell) {
        m_cellTitle->setText(tr("No step chosen"));
        for (auto* fact : m_facts)
            fact->setText({});
        return;
    }
    const auto& scene = m_selection->scene();
    m_cellTitle->setText(tr("Chunk %1, step %2").arg(m_selection->chunk() + 1).arg(m_selection->step()));
    const bool run = cell->state != CacheState::NotRun;
    m_facts[State]->setText(stateWord(cell->state));
    m_facts[State]->setToolTip(reasonWord(cell->reason));
    m_facts[Change]->setText(cell->change ? figure(*cell->change, 4) : QStringLiteral("-"));
    m_facts[Accumulated]->setText(
        scene.threshold > 0 && run
            ? tr("%1 of %2").arg(figure(cell->reached(), 4), figure(scene.threshold, 4))
            : QStringLiteral("-"));
    m_facts[Row]->setText(run ? QString::number(cell->row) : QStringLiteral("-"));
    m_facts[Time]->setText(run ? figure(cell->timestep, 1) : QStringLiteral("-"));
    m_facts[OwnTokens]->setText(run ? QLocale().toString(qlonglong(cell->tokens)) : QStringLiteral("-"));
    m_facts[Context]->setText(cell->contextTokens > 0 ? QLocale().toString(qlonglong(cell->contextTokens))
                                                      : QStringLiteral("-"));
    m_facts[Seconds]->setText(run ? tr("%1 ms").arg(figure(cell->seconds * 1000, 1)) : QStringLiteral("-"));
}

void CacheFactsPanel::showTotals() {
    const auto& totals = m_selection->scene().totals;
    const bool any = totals.computed + totals.reused > 0;
    const auto factor = [](double value) {
        return QStringLiteral("%1×").arg(QLocale().toString(value, 'f', 2));
    };
    m_why->setText(any ? tr("Why %1").arg(factor(totals.factor())) : tr("Why it was faster"));
    m_bar->setParts(any ? std::vector<SavingBar::Part>{{SavingBar::Form::Measured, totals.measuredSeconds,
                                                        tr("measured")},
                                                       {SavingBar::Form::Reuse, totals.reuseSeconds,
                                                        tr("saved by reuse, predicted")},
                                                       {SavingBar::Form::Squeeze, totals.squeezeSeconds,
                                                        tr("saved by fewer keys, predicted")}}
                        : std::vector<SavingBar::Part>{});
    const auto set = [&](Sum sum, const QString& text) {
        m_sums[sum]->setText(any ? text : QStringLiteral("-"));
    };
    set(Dense, seconds(totals.denseSeconds()));
    set(Reuse, seconds(-totals.reuseSeconds));
    set(Squeeze, seconds(-totals.squeezeSeconds));
    set(Measured, seconds(totals.measuredSeconds));
    set(Model, factor(totals.modelFactor()));
    set(HitRate, tr("%1 %").arg(QLocale().toString(totals.hitRate() * 100, 'f', 1)));
    const double tera = totals.computedFlop / 1e12;
    set(Flop, tera < 1000 ? tr("%1 T").arg(QLocale().toString(tera, 'f', tera < 10 ? 2 : 1))
                          : tr("%1 P").arg(QLocale().toString(tera / 1000, 'f', 1)));
    set(Between, totals.clock ? seconds(totals.measuredSeconds - totals.rowSeconds) : QStringLiteral("-"));
    m_steps->setText(any ? tr("%1 of %2 chunk steps reused. Savings are predicted by the cost model at "
                              "the rate of the computed steps; times are of the denoising alone.")
                               .arg(totals.reused)
                               .arg(totals.computed + totals.reused)
                         : QString());
}

} // namespace canopy::ui
