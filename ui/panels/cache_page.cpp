#include "ui/panels/cache_page.h"

#include <QHBoxLayout>
#include <QScrollArea>

#include "ui/panels/cache_facts_panel.h"
#include "ui/panels/cache_map_panel.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {
namespace {

constexpr int kFactsWidth = 456; ///< pixels at scale 1

} // namespace

CachePage::CachePage(CacheSelection* selection, QWidget* parent)
    : QWidget(parent)
    , m_map(new CacheMapPanel(selection))
    , m_facts(new CacheFactsPanel(selection)) {
    setObjectName(QStringLiteral("cachePage"));
    setAccessibleName(tr("Cache"));
    auto* scroll = new QScrollArea;
    scroll->setObjectName(QStringLiteral("cacheFactsScroll"));
    scroll->setProperty("pane", "dock");
    scroll->setWidgetResizable(true);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setFocusPolicy(Qt::NoFocus);
    scroll->setWidget(m_facts);
    dresser::setFixedWidth(scroll, kFactsWidth);
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_map, 1);
    layout->addWidget(verticalRule());
    layout->addWidget(scroll);
    connect(m_map, &CacheMapPanel::tableRequested, this, &CachePage::tableRequested);
    connect(m_map, &CacheMapPanel::exportRequested, this, &CachePage::exportRequested);
}

QWidget* CachePage::focusTarget() const {
    return m_map->focusTarget();
}

} // namespace canopy::ui
