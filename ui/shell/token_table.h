#pragma once

#include <QAbstractTableModel>
#include <QDialog>

#include "ui/tokens/token_scene.h"

namespace canopy::ui {

/// A run in words: one row a sampled frame or one row a tree.
class TokenTableModel : public QAbstractTableModel {
    Q_OBJECT
public:
    enum class Rows { Frames, Trees };
    TokenTableModel(TokenScene scene, Rows rows, QObject* parent = nullptr);
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    QVariant frameCell(int sample, int column) const;
    QVariant treeCell(const TreeRow& row, int column) const;

    TokenScene m_scene;
    Rows m_rows;
};

/// The text form of overlay, strip and forest.
class TokenTableDialog : public QDialog {
    Q_OBJECT
public:
    explicit TokenTableDialog(const TokenScene& scene, QWidget* parent = nullptr);
};

} // namespace canopy::ui
