#include "ui/panels/timeline_panel.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QToolButton>
#include <QVBoxLayout>

#include "ui/cache/cache_legend.h"
#include "ui/cache/cache_selection.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"
#include "ui/theme/fields.h"
#include "ui/timeline/chunk_timeline_view.h"

namespace canopy::ui {

TimelinePanel::TimelinePanel(CacheSelection* selection, QWidget* parent)
    : QWidget(parent)
    , m_view(new ChunkTimelineView(selection))
    , m_takesRow(new QWidget)
    , m_takes(new ComboField)
    , m_before(
          iconButton(QStringLiteral("chevron-left"), tr("The take before"), QStringLiteral("takeBefore")))
    , m_after(iconButton(QStringLiteral("chevron-right"), tr("The next take"), QStringLiteral("takeAfter"))) {
    setObjectName(QStringLiteral("timelinePanel"));
    setAccessibleName(tr("Chunk timeline"));
    setProperty("pane", "dock");
    setAttribute(Qt::WA_StyledBackground);
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 12, 6, 0, 8, 6);

    auto* takes = new QHBoxLayout(m_takesRow);
    dresser::setMargins(takes, 0, 0, 12, 0, 4);
    m_takes->setObjectName(QStringLiteral("takesField"));
    m_takes->setAccessibleName(tr("Takes of this clip"));
    m_takes->setToolTip(tr("Clips that share their first chunks. Nothing is lost when a chunk is made again: "
                           "every take stays in the library."));
    m_takes->setSizeAdjustPolicy(QComboBox::AdjustToContents);
    takes->addWidget(textLabel(tr("Takes"), "label"));
    takes->addSpacing(8);
    takes->addWidget(m_takes);
    takes->addWidget(m_before);
    takes->addWidget(m_after);
    takes->addStretch(1);
    layout->addWidget(m_takesRow);
    layout->addWidget(m_view);

    auto* below = new QHBoxLayout;
    dresser::setMargins(below, 82, 0, 12, 0, 8);
    below->addWidget(new CacheLegend, 1);
    auto* drift = textLabel(tr("drift: colour ───  sharpness - -"), "caption", QStringLiteral("driftLegend"));
    drift->setToolTip(
        tr("How far the frames have moved away from chunk 1: the solid line is the distance of the "
           "mean colour (CIELAB, 10 at the top), the dashed one the change of sharpness (100 % at "
           "the top). The tooltip of a chunk has the figures."));
    auto* more = new QToolButton;
    more->setObjectName(QStringLiteral("chunkMenuButton"));
    more->setText(tr("Chunk…"));
    more->setAccessibleName(tr("What can be done with the chosen chunk"));
    more->setToolTip(
        tr("Make again from here, change the prompt from here… Also by the right button on a chunk "
           "and by the menu key."));
    below->addWidget(drift);
    below->addWidget(more);
    layout->addLayout(below);

    connect(m_takes, &QComboBox::activated, this,
            [this](int index) { Q_EMIT takeChosen(m_takes->itemData(index).toString()); });
    connect(m_before, &QToolButton::clicked, this, [this] { step(-1); });
    connect(m_after, &QToolButton::clicked, this, [this] { step(1); });
    connect(m_view, &ChunkTimelineView::menuRequested, this, &TimelinePanel::menuRequested);
    connect(more, &QToolButton::clicked, this, [this, more, selection] {
        if (!selection->scene().isEmpty())
            Q_EMIT menuRequested(selection->chunk(), more->mapToGlobal(QPoint(0, more->height())));
    });
    setTakes({}, -1);
}

void TimelinePanel::step(int by) {
    const int index = m_takes->currentIndex() + by;
    if (index >= 0 && index < m_takes->count())
        Q_EMIT takeChosen(m_takes->itemData(index).toString());
}

void TimelinePanel::setTakes(const std::vector<TakeName>& takes, int current) {
    bool same = int(takes.size()) == m_takes->count();
    for (int i = 0; same && i < m_takes->count(); ++i)
        same = m_takes->itemData(i).toString() == takes[std::size_t(i)].file &&
               m_takes->itemText(i) == takes[std::size_t(i)].words;
    if (!same) {
        m_takes->clear();
        for (const auto& take : takes) {
            m_takes->addItem(take.words, take.file);
            m_takes->setItemData(m_takes->count() - 1, take.file, Qt::ToolTipRole);
        }
    }
    m_takes->setCurrentIndex(current);
    m_before->setEnabled(current > 0);
    m_after->setEnabled(current + 1 < m_takes->count());
    m_takesRow->setVisible(takes.size() > 1);
}

void TimelinePanel::setCompact(bool compact) {
    m_view->setFolded(compact);
    findChild<QLabel*>(QStringLiteral("driftLegend"))->setVisible(!compact);
}

QWidget* TimelinePanel::focusTarget() const {
    return m_view;
}

} // namespace canopy::ui
