#include "ui/panels/tokens_panel.h"

#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QStackedWidget>
#include <QToolButton>
#include <QVBoxLayout>

#include "ui/panels/pane_parts.h"
#include "ui/theme/fields.h"
#include "ui/tokens/forest_view.h"
#include "ui/tokens/frame_strip.h"
#include "ui/tokens/histogram_view.h"
#include "ui/tokens/kept_view.h"

namespace canopy::ui {

TokensPanel::TokensPanel(TokenLayer* layer, QWidget* parent)
    : QWidget(parent)
    , m_layer(layer) {
    setObjectName(QStringLiteral("tokensPanel"));
    setAccessibleName(tr("Tokens over the sampled frames"));
    setProperty("pane", "transport");
    setAttribute(Qt::WA_StyledBackground);
    auto* grid = new QGridLayout(this);
    dresser::setMargins(grid, 12, 8, 12, 10, 8);
    grid->setColumnStretch(1, 1);
    grid->setRowStretch(1, 1);
    const auto gutter = [&](int row, std::initializer_list<QWidget*> widgets) {
        auto* box = new QWidget;
        dresser::setFixedWidth(box, 92);
        auto* column = new QVBoxLayout(box);
        dresser::setMargins(column, 0, 0, 0, 0, 2);
        for (auto* widget : widgets)
            column->addWidget(widget);
        column->addStretch(1);
        grid->addWidget(box, row, 0);
    };
    m_strip = new FrameStrip(layer);
    m_forest = new ForestView(layer);
    m_histograms = new HistogramView(layer);
    m_kept = new KeptView(layer);
    dresser::setFixedHeight(m_strip, 62);
    dresser::setFixedHeight(m_kept, 36);
    m_stack = new QStackedWidget;
    m_stack->addWidget(m_forest);
    m_stack->addWidget(m_histograms);
    dresser::setMinimumHeight(m_stack, 124);

    m_sampled = textLabel({}, "figure2", QStringLiteral("sampledCount"));
    gutter(0, {textLabel(tr("Sampled"), "label"), m_sampled});
    m_trees = textLabel({}, "figure2", QStringLiteral("treeCount"));
    m_counts = textLabel({}, "figure2", QStringLiteral("rootCount"));
    m_badge = textLabel({}, "badge", QStringLiteral("regimeBadge"));
    m_depth = new NumberField;
    m_depth->setObjectName(QStringLiteral("depthFilter"));
    m_depth->setAccessibleName(tr("Least depth of the trees shown"));
    m_depth->setToolTip(tr("Trees at least this deep are shown. Trees of one cell have depth 0."));
    m_depth->setRange(0, 999);
    m_histogramButton = iconButton(QStringLiteral("bar-chart-line"), tr("Histograms of depth and size"),
                                   QStringLiteral("histogramButton"));
    m_histogramButton->setCheckable(true);
    auto* table =
        iconButton(QStringLiteral("table"), tr("The run as a table"), QStringLiteral("tokenTableButton"));
    auto* buttons = new QWidget;
    auto* row = new QHBoxLayout(buttons);
    dresser::setMargins(row, 0, 0, 0, 0, 4);
    row->addWidget(m_histogramButton);
    row->addWidget(table);
    row->addStretch(1);
    auto* badgeRow = new QWidget;
    auto* badgeLayout = new QHBoxLayout(badgeRow);
    dresser::setMargins(badgeLayout, 0, 0, 0, 0, 0);
    badgeLayout->addWidget(m_badge);
    badgeLayout->addStretch(1);
    auto* depthRow = new QWidget;
    auto* depthLayout = new QHBoxLayout(depthRow);
    dresser::setMargins(depthLayout, 0, 0, 0, 0, 4);
    depthLayout->addWidget(textLabel(tr("depth ≥"), "caption"));
    depthLayout->addWidget(m_depth, 1);
    gutter(1, {textLabel(tr("Forest"), "strongLabel"), m_trees, m_counts, badgeRow, depthRow, buttons});
    m_of = textLabel({}, "figure2", QStringLiteral("keptOf"));
    gutter(2, {textLabel(tr("Kept"), "label"), m_of});
    grid->addWidget(m_strip, 0, 1);
    grid->addWidget(m_stack, 1, 1);
    grid->addWidget(m_kept, 2, 1);

    for (RunView* view : {static_cast<RunView*>(m_strip), static_cast<RunView*>(m_forest),
                          static_cast<RunView*>(m_histograms), static_cast<RunView*>(m_kept)}) {
        connect(view, &RunView::seekRequested, this, &TokensPanel::seekRequested);
        connect(view, &RunView::hovered, this, &TokensPanel::hovered);
    }
    connect(m_depth, &QSpinBox::valueChanged, m_forest, &ForestView::setMinimumDepth);
    connect(m_forest, &ForestView::rowsChanged, this, &TokensPanel::showWords);
    connect(m_histogramButton, &QToolButton::toggled, this,
            [this](bool shown) { m_stack->setCurrentIndex(shown ? 1 : 0); });
    connect(table, &QToolButton::clicked, this, &TokensPanel::tableRequested);
    connect(layer, &TokenLayer::sceneChanged, this, &TokensPanel::showWords);
    showWords();
}

QWidget* TokensPanel::focusTarget() const {
    return m_strip;
}

void TokensPanel::setVideoFrames(int frames) {
    m_videoFrames = frames;
    showWords();
}

void TokensPanel::showWords() {
    const TokenScene& scene = m_layer->scene();
    const bool has = !scene.isEmpty(), forest = scene.hasForest();
    m_sampled->setText(!has                ? QString()
                       : m_videoFrames > 0 ? tr("%1 of %2").arg(scene.run().frames).arg(m_videoFrames)
                                           : QString::number(scene.run().frames));
    m_trees->setText(forest ? tr("%1 of %2").arg(m_forest->shownTrees()).arg(scene.trees().size())
                            : QString());
    m_trees->setToolTip(tr("Trees shown of all trees at this cut"));
    m_counts->setText(forest ? tr("R %1\nK %2").arg(scene.run().roots).arg(scene.cut().budget) : QString());
    m_counts->setToolTip(tr("R: roots before merging. K: cells that may stay."));
    const bool fill = scene.cut().regime == TokenRun::Regime::Fill;
    m_badge->setVisible(forest && scene.cut().regime != TokenRun::Regime::None);
    m_badge->setText(fill ? tr("fill") : tr("roots"));
    m_badge->setAccessibleName(fill ? tr("Regime: fill") : tr("Regime: roots"));
    m_badge->setToolTip(
        fill ? tr("All roots stay, and the rest of the budget is filled from the trees.")
             : tr("There are more roots than the budget holds: roots were linked to roots, and "
                  "only those left over stay."));
    m_depth->setEnabled(forest);
    m_histogramButton->setEnabled(forest);
    // The views in words, for readers of the screen.
    const QString facts = has ? tr("%1 of %2 cells of %3 frames kept")
                                    .arg(scene.keptCells())
                                    .arg(scene.run().cells())
                                    .arg(scene.run().frames)
                              : tr("nothing yet");
    QStringList perFrame;
    for (int sample = 0; has && sample < scene.run().frames; ++sample)
        perFrame << QString::number(scene.keptIn(sample));
    m_strip->setAccessibleDescription(facts);
    m_kept->setAccessibleDescription(perFrame.join(QStringLiteral(", ")));
    m_forest->setAccessibleDescription(
        forest ? tr("%1 trees, %2 shown").arg(scene.trees().size()).arg(m_forest->shownTrees())
               : tr("no forest"));
    m_of->setText(has ? tr("of %1").arg(scene.cellsPerSample()) : QString());
}

void TokensPanel::setTheme(const Theme&) {
    showWords();
}

} // namespace canopy::ui
