#include "ui/panels/cache_map_panel.h"

#include <QLabel>
#include <QMenu>
#include <QToolButton>
#include <QVBoxLayout>

#include "ui/cache/cache_legend.h"
#include "ui/cache/cache_map_view.h"
#include "ui/cache/change_view.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"
#include "ui/theme/fields.h"

namespace canopy::ui {
namespace {

QString policyWords(const std::string& policy) {
    if (policy == "static_timestep")
        return CacheMapPanel::tr("FlowCache, decided before sampling");
    if (policy == "latent_feature")
        return CacheMapPanel::tr("FlowCache, by each chunk's own change");
    if (policy == "teacache")
        return CacheMapPanel::tr("TeaCache, one decision a row");
    if (policy == "fixed_mask")
        return CacheMapPanel::tr("a recorded map, replayed");
    return CacheMapPanel::tr("everything computed");
}

} // namespace

CacheMapPanel::CacheMapPanel(CacheSelection* selection, QWidget* parent)
    : QWidget(parent)
    , m_selection(selection) {
    setObjectName(QStringLiteral("cacheMapPanel"));
    setProperty("pane", "dock");
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(buildHeader());
    auto* body = new QWidget;
    auto* rows = new QVBoxLayout(body);
    dresser::setMargins(rows, 12, 8, 12, 8, 6);
    auto* caption = new ElidedLabel;
    caption->setProperty("look", "hint");
    caption->setFullText(
        tr("rows: each chunk's own steps, columns: frames, below: share reused and time saved"));
    caption->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred); // the legend has the room first
    auto* top = new QHBoxLayout;
    dresser::setMargins(top, 0, 0, 0, 0, 16);
    top->addWidget(caption, 1);
    top->addWidget(new CacheLegend);
    rows->addLayout(top);
    m_map = new CacheMapView(selection);
    rows->addWidget(m_map, 3);
    rows->addWidget(rule());
    m_changeOf = sectionTitle(tr("Accumulated change"), {}, rows);
    rows->addWidget(new ChangeView(selection), 2);
    layout->addWidget(body, 1);
    connect(selection, &CacheSelection::sceneChanged, this, &CacheMapPanel::showScene);
    connect(selection, &CacheSelection::cellChanged, this, &CacheMapPanel::showCell);
    showScene();
}

QWidget* CacheMapPanel::focusTarget() const {
    return m_map;
}

QWidget* CacheMapPanel::buildHeader() {
    m_table = iconButton(QStringLiteral("table"), tr("Show as a table"), QStringLiteral("cacheTableButton"));
    m_export = iconButton(QStringLiteral("box-arrow-up"), tr("Export"), QStringLiteral("cacheExportButton"));
    auto* menu = new QMenu(m_export);
    menu->addAction(tr("Steps as CSV…"), this, [this] { Q_EMIT exportRequested(false); })
        ->setObjectName(QStringLiteral("cacheExportCsv"));
    menu->addAction(tr("Maps as NPZ…"), this, [this] { Q_EMIT exportRequested(true); })
        ->setObjectName(QStringLiteral("cacheExportNpz"));
    m_export->setMenu(menu);
    m_export->setPopupMode(QToolButton::InstantPopup);
    connect(m_table, &QToolButton::clicked, this, &CacheMapPanel::tableRequested);
    m_policy = textLabel({}, "hint", QStringLiteral("cachePolicy"));
    return paneHeader(tr("Cache map"), {m_policy, m_table, m_export}, QStringLiteral("cacheHeader"));
}

void CacheMapPanel::showScene() {
    const auto& scene = m_selection->scene();
    m_policy->setText(scene.isEmpty() ? QString() : policyWords(scene.policy));
    m_table->setEnabled(!scene.isEmpty());
    m_export->setEnabled(!scene.isEmpty());
    m_map->updateGeometry();
    showCell();
}

void CacheMapPanel::showCell() {
    m_changeOf->setFullText(m_selection->cell()
                                ? tr("of chunk %1 since it was last computed; bars: change of each step")
                                      .arg(m_selection->chunk() + 1)
                                : QString());
}

} // namespace canopy::ui
