#pragma once

#include <QAbstractTableModel>
#include <QDialog>

#include "core/job/attention_calibration.h"

namespace canopy::ui {

/// One row per head of a calibration: its threshold, the sparsity that was predicted and that came about, and
/// the error of every candidate.
class CalibrationTableModel : public QAbstractTableModel {
    Q_OBJECT
public:
    explicit CalibrationTableModel(AttentionCalibration calibration, QObject* parent = nullptr);
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    const CalibratedHead& head(int row) const;

    AttentionCalibration m_calibration;
};

/// Thresholds per head as `canopy-cli calibrate` wrote them.
class CalibrationTable : public QDialog {
    Q_OBJECT
public:
    explicit CalibrationTable(const AttentionCalibration& calibration, QWidget* parent = nullptr);
};

} // namespace canopy::ui
