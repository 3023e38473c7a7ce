#pragma once

#include <QAbstractTableModel>
#include <QDialog>

#include "ui/attention/attention_selection.h"

namespace canopy::ui {

/// A run in words: one row per step, branch, layer and head.
class AttentionTableModel : public QAbstractTableModel {
    Q_OBJECT
public:
    AttentionTableModel(AttentionSelection::RunPtr run, GuidanceBranch branch, QObject* parent = nullptr);
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    struct Row {
        const AttentionRecord* call;
        int head;
    };
    AttentionSelection::RunPtr m_run;
    std::vector<Row> m_rows;
};

/// The text form of all maps of Inspect.
class AttentionTable : public QDialog {
    Q_OBJECT
public:
    explicit AttentionTable(const AttentionSelection& selection, QWidget* parent = nullptr);
};

} // namespace canopy::ui
