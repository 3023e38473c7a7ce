#include "ui/panels/attention_table.h"

#include <algorithm>

#include <QDialogButtonBox>
#include <QHeaderView>
#include <QLocale>
#include <QPushButton>
#include <QTableView>
#include <QVBoxLayout>

#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {

AttentionTableModel::AttentionTableModel(AttentionSelection::RunPtr run, GuidanceBranch branch,
                                         QObject* parent)
    : QAbstractTableModel(parent)
    , m_run(std::move(run)) {
    for (const auto& step : m_run->steps)
        for (const AttentionRecord& call : step->calls)
            if (call.branch == branch)
                for (int h = 0; h < std::max(call.headCount, int(call.heads.size())); ++h)
                    m_rows.push_back({&call, h});
}

int AttentionTableModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : int(m_rows.size());
}

int AttentionTableModel::columnCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : 8;
}

QVariant AttentionTableModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (role != Qt::DisplayRole || orientation != Qt::Horizontal)
        return {};
    static const char* const names[] = {
        QT_TR_NOOP("Step"), QT_TR_NOOP("Layer"),     QT_TR_NOOP("Head"),  QT_TR_NOOP("Kept"),
        QT_TR_NOOP("Mask"), QT_TR_NOOP("Chosen at"), QT_TR_NOOP("Drift"), QT_TR_NOOP("Of the norm")};
    return tr(names[section]);
}

QVariant AttentionTableModel::data(const QModelIndex& index, int role) const {
    if (role == Qt::TextAlignmentRole)
        return int(Qt::AlignRight | Qt::AlignVCenter);
    if (!index.isValid() || role != Qt::DisplayRole)
        return {};
    const Row& row = m_rows[std::size_t(index.row())];
    const auto* head =
        std::size_t(row.head) < row.call->heads.size() ? &row.call->heads[std::size_t(row.head)] : nullptr;
    switch (index.column()) {
    case 0:
        return row.call->step;
    case 1:
        return row.call->layer;
    case 2:
        return row.head;
    case 3:
        return percent(head ? head->keptShare : 1);
    case 4:
        return head ? reasonWords(head->reason) : tr("dense");
    case 5:
        return head ? QVariant(head->chosenAt) : QVariant();
    case 6:
        return head ? QVariant(QLocale().toString(head->drift, 'g', 4)) : QVariant();
    default:
        return head ? QVariant(percent(head->relativeDrift)) : QVariant();
    }
}

AttentionTable::AttentionTable(const AttentionSelection& selection, QWidget* parent)
    : QDialog(parent) {
    setObjectName(QStringLiteral("attentionTable"));
    setWindowTitle(tr("Attention as a table"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 16, 16, 16, 16, 12);
    auto* table = new QTableView;
    table->setObjectName(QStringLiteral("attentionTableRows"));
    table->setAccessibleName(tr("One row a step, layer and head"));
    auto* model = new AttentionTableModel(selection.runPtr(), selection.cell().branch, table);
    table->setModel(model);
    table->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
    table->verticalHeader()->setVisible(false);
    table->setTabKeyNavigation(false);
    layout->addWidget(table, 1);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    layout->addWidget(buttons);
    dresser::setMinimumWidth(this, 720);
    dresser::setMinimumHeight(this, 480);
}

} // namespace canopy::ui
