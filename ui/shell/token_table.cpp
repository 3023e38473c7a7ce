#include "ui/shell/token_table.h"

#include <QDialogButtonBox>
#include <QHeaderView>
#include <QLabel>
#include <QPushButton>
#include <QTabWidget>
#include <QTableView>
#include <QVBoxLayout>

#include "ui/panels/ask_groups.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {

TokenTableModel::TokenTableModel(TokenScene scene, Rows rows, QObject* parent)
    : QAbstractTableModel(parent)
    , m_scene(std::move(scene))
    , m_rows(rows) {}

int TokenTableModel::rowCount(const QModelIndex& parent) const {
    if (parent.isValid() || m_scene.isEmpty())
        return 0;
    return m_rows == Rows::Frames ? m_scene.run().frames : int(m_scene.trees().size());
}

int TokenTableModel::columnCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : m_rows == Rows::Frames ? 6 : 7;
}

QVariant TokenTableModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (role != Qt::DisplayRole)
        return {};
    if (orientation == Qt::Vertical)
        return section + 1;
    static const char* const frames[] = {QT_TR_NOOP("Frame"), QT_TR_NOOP("Time"),
                                         QT_TR_NOOP("Kept"),  QT_TR_NOOP("Candidates"),
                                         QT_TR_NOOP("Cells"), QT_TR_NOOP("New trees")};
    static const char* const trees[] = {
        QT_TR_NOOP("Tree"),  QT_TR_NOOP("Root"),  QT_TR_NOOP("First frame"), QT_TR_NOOP("Last frame"),
        QT_TR_NOOP("Depth"), QT_TR_NOOP("Nodes"), QT_TR_NOOP("Kept")};
    return m_rows == Rows::Frames ? tr(frames[section]) : tr(trees[section]);
}

QVariant TokenTableModel::frameCell(int sample, int column) const {
    const auto& run = m_scene.run();
    switch (column) {
    case 0:
        return qlonglong(run.frameIndex[std::size_t(sample)]);
    case 1:
        return timeText(run.frameSeconds[std::size_t(sample)]);
    case 2:
        return m_scene.keptIn(sample);
    case 3:
        return m_scene.candidatesIn(sample);
    case 4:
        return m_scene.cellsPerSample();
    default: {
        int roots = 0;
        for (const auto& row : m_scene.trees())
            roots += row.root >= 0 && m_scene.place(run.nodeCell[std::size_t(row.root)]).sample == sample;
        return roots;
    }
    }
}

QVariant TokenTableModel::treeCell(const TreeRow& row, int column) const {
    const auto& run = m_scene.run();
    const auto sampleOf = [&](int node) {
        return std::size_t(m_scene.place(run.nodeCell[std::size_t(node)]).sample);
    };
    switch (column) {
    case 0:
        return row.tree;
    case 1: {
        const CellPlace at = m_scene.place(run.nodeCell[std::size_t(row.root)]);
        return tr("row %1, column %2").arg(at.row).arg(at.column);
    }
    case 2:
        return qlonglong(run.frameIndex[sampleOf(row.nodes.front())]);
    case 3:
        return qlonglong(run.frameIndex[sampleOf(row.nodes.back())]);
    case 4:
        return row.depth;
    case 5:
        return int(row.nodes.size());
    default:
        return row.kept;
    }
}

QVariant TokenTableModel::data(const QModelIndex& index, int role) const {
    if (role == Qt::TextAlignmentRole)
        return int(Qt::AlignRight | Qt::AlignVCenter);
    if (!index.isValid() || role != Qt::DisplayRole)
        return {};
    return m_rows == Rows::Frames ? frameCell(index.row(), index.column())
                                  : treeCell(m_scene.trees()[std::size_t(index.row())], index.column());
}

TokenTableDialog::TokenTableDialog(const TokenScene& scene, QWidget* parent)
    : QDialog(parent) {
    setObjectName(QStringLiteral("tokenTable"));
    setWindowTitle(tr("The run as a table"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 16, 16, 16, 16, 12);
    const auto& run = scene.run();
    auto* facts = textLabel(tr("%1. %2 of %3 cells kept, %4 candidates, K %5, R %6. Drawn at %7.")
                                .arg(settingsWords(run.settings))
                                .arg(scene.keptCells())
                                .arg(run.cells())
                                .arg(run.candidates)
                                .arg(run.budget)
                                .arg(run.roots)
                                .arg(percentText(scene.keep())),
                            "label", QStringLiteral("tokenTableFacts"));
    facts->setWordWrap(true);
    facts->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    layout->addWidget(facts);
    auto* tabs = new QTabWidget;
    tabs->setAccessibleName(tr("Tables"));
    const auto add = [&](TokenTableModel::Rows rows, const QString& name, const char* objectName) {
        auto* table = new QTableView;
        table->setObjectName(QLatin1String(objectName));
        table->setAccessibleName(name);
        table->setModel(new TokenTableModel(scene, rows, table));
        table->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
        table->verticalHeader()->setVisible(rows == TokenTableModel::Rows::Frames);
        table->setTabKeyNavigation(false);
        tabs->addTab(table, name);
    };
    add(TokenTableModel::Rows::Frames, tr("Sampled frames"), "tokenTableFrames");
    if (scene.hasForest())
        add(TokenTableModel::Rows::Trees, tr("Trees"), "tokenTableTrees");
    layout->addWidget(tabs, 1);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    buttons->button(QDialogButtonBox::Close)->setObjectName(QStringLiteral("closeButton"));
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    layout->addWidget(buttons);
    dresser::setMinimumWidth(this, 620);
    dresser::setMinimumHeight(this, 420);
}

} // namespace canopy::ui
