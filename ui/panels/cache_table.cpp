#include "ui/panels/cache_table.h"

#include <span>

#include <QDialogButtonBox>
#include <QHeaderView>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QTabWidget>
#include <QTableView>
#include <QVBoxLayout>

#include "ui/cache/cache_selection.h"
#include "ui/cache/kv_memory_view.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {
namespace {

constexpr const char* kSteps[] = {QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Chunk"),
                                  QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Step"),
                                  QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Decision"),
                                  QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Why"),
                                  QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Change"),
                                  QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Accumulated"),
                                  QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Keys seen"),
                                  QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Milliseconds")};
constexpr const char* kChunks[] = {
    QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Chunk"),
    QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "First frame"),
    QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Last frame"),
    QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Steps run"),
    QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Steps reused"),
    QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Seconds saved, predicted"),
    QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Keys kept")};
constexpr const char* kMemory[] = {
    QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Row"),
    QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Tokens of finished chunks"),
    QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Tokens in flight"),
    QT_TRANSLATE_NOOP("canopy::ui::CacheTableModel", "Memory")};

std::span<const char* const> heads(CacheTableModel::Rows rows) {
    switch (rows) {
    case CacheTableModel::Rows::Steps:
        return kSteps;
    case CacheTableModel::Rows::Chunks:
        return kChunks;
    case CacheTableModel::Rows::Memory:
        break;
    }
    return kMemory;
}

QString figure(double value, int digits) {
    return QLocale().toString(value, 'f', digits);
}

} // namespace

CacheTableModel::CacheTableModel(std::shared_ptr<const CacheScene> scene, Rows rows, QObject* parent)
    : QAbstractTableModel(parent)
    , m_scene(std::move(scene))
    , m_rows(rows) {
    for (int c = 0; c < m_scene->chunkCount(); ++c)
        for (int s = 0; s < m_scene->steps; ++s)
            if (m_scene->cell(c, s).state != CacheState::NotRun)
                m_steps.emplace_back(c, s);
}

int CacheTableModel::rowCount(const QModelIndex& parent) const {
    if (parent.isValid())
        return 0;
    return m_rows == Rows::Steps    ? int(m_steps.size())
           : m_rows == Rows::Chunks ? m_scene->chunkCount()
                                    : int(m_scene->memory.size());
}

int CacheTableModel::columnCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : int(heads(m_rows).size());
}

QVariant CacheTableModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (role != Qt::DisplayRole)
        return {};
    return orientation == Qt::Vertical ? QVariant(section + 1) : tr(heads(m_rows)[std::size_t(section)]);
}

QVariant CacheTableModel::stepCell(int row, int column) const {
    const auto [chunk, step] = m_steps[std::size_t(row)];
    const CacheCell& cell = m_scene->cell(chunk, step);
    switch (column) {
    case 0:
        return chunk + 1;
    case 1:
        return step;
    case 2:
        return stateWord(cell.state);
    case 3:
        return reasonWord(cell.reason);
    case 4:
        return cell.change ? QVariant(figure(*cell.change, 4)) : QVariant();
    case 5:
        return figure(cell.reached(), 4);
    case 6:
        return cell.contextTokens ? QVariant(qlonglong(cell.contextTokens)) : QVariant();
    default:
        return figure(cell.seconds * 1000, 1);
    }
}

QVariant CacheTableModel::chunkCell(int chunk, int column) const {
    const CacheChunk& of = m_scene->chunks[std::size_t(chunk)];
    const auto& kept = m_scene->kept[std::size_t(chunk)];
    switch (column) {
    case 0:
        return chunk + 1;
    case 1:
        return of.firstFrame;
    case 2:
        return of.firstFrame + of.frames - 1;
    case 3:
        return m_scene->stepsRun(chunk);
    case 4:
        return m_scene->stepsReused(chunk);
    case 5:
        return figure(m_scene->savedSeconds(chunk), 2);
    default:
        return kept ? tr("%1 %").arg(figure(kept->share * 100, 1)) : tr("not in memory");
    }
}

QVariant CacheTableModel::memoryCell(int row, int column) const {
    const KvRow& of = m_scene->memory[std::size_t(row)];
    switch (column) {
    case 0:
        return of.row;
    case 1:
        return qlonglong(of.finishedRows);
    case 2:
        return qlonglong(of.activeRows);
    default:
        return bytesText(of.bytes);
    }
}

QVariant CacheTableModel::data(const QModelIndex& index, int role) const {
    const bool words = m_rows == Rows::Steps && (index.column() == 2 || index.column() == 3);
    if (role == Qt::TextAlignmentRole)
        return int((words ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
    if (!index.isValid() || role != Qt::DisplayRole)
        return {};
    switch (m_rows) {
    case Rows::Steps:
        return stepCell(index.row(), index.column());
    case Rows::Chunks:
        return chunkCell(index.row(), index.column());
    case Rows::Memory:
        break;
    }
    return memoryCell(index.row(), index.column());
}

CacheTableDialog::CacheTableDialog(std::shared_ptr<const CacheScene> scene, QWidget* parent)
    : QDialog(parent) {
    setObjectName(QStringLiteral("cacheTable"));
    setWindowTitle(tr("The cache map as a table"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 16, 16, 16, 16, 12);
    const auto& totals = scene->totals;
    auto* facts = textLabel(tr("%1 of %2 chunk steps reused, %3 %. %4 s measured, %5 s predicted with "
                               "everything computed.")
                                .arg(totals.reused)
                                .arg(totals.computed + totals.reused)
                                .arg(figure(totals.hitRate() * 100, 1), figure(totals.measuredSeconds, 1),
                                     figure(totals.denseSeconds(), 1)),
                            "label", QStringLiteral("cacheTableFacts"));
    facts->setWordWrap(true);
    facts->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    layout->addWidget(facts);
    auto* tabs = new QTabWidget;
    tabs->setAccessibleName(tr("Tables"));
    const auto add = [&](CacheTableModel::Rows rows, const QString& name, const char* objectName) {
        auto* table = new QTableView;
        table->setObjectName(QLatin1String(objectName));
        table->setAccessibleName(name);
        table->setModel(new CacheTableModel(scene, rows, table));
        table->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
        table->verticalHeader()->setVisible(false);
        table->setTabKeyNavigation(false);
        tabs->addTab(table, name);
    };
    add(CacheTableModel::Rows::Steps, tr("Steps"), "cacheTableSteps");
    add(CacheTableModel::Rows::Chunks, tr("Chunks"), "cacheTableChunks");
    add(CacheTableModel::Rows::Memory, tr("Memory of keys"), "cacheTableMemory");
    layout->addWidget(tabs, 1);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    buttons->button(QDialogButtonBox::Close)->setObjectName(QStringLiteral("closeButton"));
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    layout->addWidget(buttons);
    dresser::setMinimumWidth(this, 780);
    dresser::setMinimumHeight(this, 460);
}

} // namespace canopy::ui
