#pragma once

#include <memory>

#include <QAbstractTableModel>
#include <QDialog>

#include "ui/cache/cache_scene.h"

namespace canopy::ui {

/// A chunk-wise run in words: one row a step that ran, one a chunk, or one a row of the memory of keys.
class CacheTableModel : public QAbstractTableModel {
    Q_OBJECT
public:
    enum class Rows { Steps, Chunks, Memory };
    CacheTableModel(std::shared_ptr<const CacheScene> scene, Rows rows, QObject* parent = nullptr);
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    QVariant stepCell(int row, int column) const;
    QVariant chunkCell(int chunk, int column) const;
    QVariant memoryCell(int row, int column) const;

    std::shared_ptr<const CacheScene> m_scene;
    Rows m_rows;
    std::vector<std::pair<int, int>> m_steps; ///< chunk, step of those that ran
};

/// The text form of the cache page.
class CacheTableDialog : public QDialog {
    Q_OBJECT
public:
    explicit CacheTableDialog(std::shared_ptr<const CacheScene> scene, QWidget* parent = nullptr);
};

} // namespace canopy::ui
