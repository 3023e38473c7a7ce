#include "ui/panels/calibration_table.h"

#include <utility>

#include <QDialogButtonBox>
#include <QHeaderView>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QStringList>
#include <QTableView>
#include <QVBoxLayout>

#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {
namespace {

enum Column { Layer, Head, Threshold, Predicted, Realised, Steps, kFixed };
constexpr int kPerCandidate = 2; ///< sparsity, error

QString share(double value) {
    return QLocale().toString(100 * value, 'f', 1) + QStringLiteral(" %");
}

QString summaryOf(const AttentionCalibration& c) {
    QStringList lines{CalibrationTable::tr("%1, %2: %3 × %4, %5 frames, %6 steps, measured on %7 prompts.")
                          .arg(QString::fromStdString(c.modelLabel), c.host.method == AttentionMethod::Svg2
                                                                         ? QStringLiteral("SVG2")
                                                                         : QStringLiteral("XAttention"))
                          .arg(c.width)
                          .arg(c.height)
                          .arg(c.frames)
                          .arg(c.steps)
                          .arg(c.prompts)};
    QString sparsity = CalibrationTable::tr("Mean sparsity predicted %1").arg(share(c.predictedSparsity()));
    if (c.realisedSparsity)
        sparsity += CalibrationTable::tr(", realised %1").arg(share(*c.realisedSparsity));
    if (c.realisedSharedSparsity)
        sparsity += CalibrationTable::tr("; one threshold of %1 for all heads: %2")
                        .arg(QLocale().toString(c.host.tau, 'g', 4), share(*c.realisedSharedSparsity));
    lines << sparsity + u'.';
    if (c.procedure == CalibrationProcedure::Error)
        lines << CalibrationTable::tr(
                     "Budget %1; a unit of summed sparsity costs %2 of error; at most %3 of error "
                     "above the best choice.")
                     .arg(share(c.budget), QLocale().toString(c.lambda, 'g', 3),
                          QLocale().toString(c.gap, 'g', 2));
    return lines.join(u'\n');
}

} // namespace

CalibrationTableModel::CalibrationTableModel(AttentionCalibration calibration, QObject* parent)
    : QAbstractTableModel(parent)
    , m_calibration(std::move(calibration)) {}

const CalibratedHead& CalibrationTableModel::head(int row) const {
    const int heads = m_calibration.headCount();
    return m_calibration.heads[std::size_t(row / heads)][std::size_t(row % heads)];
}

int CalibrationTableModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : m_calibration.layerCount() * m_calibration.headCount();
}

int CalibrationTableModel::columnCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : kFixed + kPerCandidate * int(m_calibration.grid.size());
}

QVariant CalibrationTableModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (role != Qt::DisplayRole || orientation != Qt::Horizontal)
        return {};
    static const char* const names[] = {QT_TR_NOOP("Layer"),     QT_TR_NOOP("Head"),
                                        QT_TR_NOOP("Threshold"), QT_TR_NOOP("Predicted sparsity"),
                                        QT_TR_NOOP("Realised"),  QT_TR_NOOP("Measured at steps")};
    if (section < kFixed)
        return tr(names[section]);
    const double tau = m_calibration.grid[std::size_t(section - kFixed) / kPerCandidate];
    const QString text = QLocale().toString(tau, 'g', 4);
    return (section - kFixed) % kPerCandidate == 0 ? tr("Sparsity at %1").arg(text)
                                                   : tr("Error at %1").arg(text);
}

QVariant CalibrationTableModel::data(const QModelIndex& index, int role) const {
    if (role == Qt::TextAlignmentRole)
        return int(Qt::AlignRight | Qt::AlignVCenter);
    if (!index.isValid() || role != Qt::DisplayRole)
        return {};
    const CalibratedHead& h = head(index.row());
    const int layer = index.row() / m_calibration.headCount(),
              number = index.row() % m_calibration.headCount();
    switch (index.column()) {
    case Layer:
        return layer;
    case Head:
        return number;
    case Threshold:
        return QLocale().toString(h.tau, 'g', 4);
    case Predicted:
        return share(m_calibration.predictedSparsity(layer, number));
    case Realised:
        return h.realisedSparsity ? share(*h.realisedSparsity) : QStringLiteral("-");
    case Steps: {
        QStringList steps;
        for (const int step : h.sample.steps)
            steps << QString::number(step);
        return tr("%1 of prompt %2").arg(steps.join(QStringLiteral(", "))).arg(h.sample.prompt + 1);
    }
    default:
        break;
    }
    const auto at = std::size_t(index.column() - kFixed) / kPerCandidate;
    if (at >= h.candidates.size())
        return {};
    const HeadCandidate& candidate = h.candidates[at];
    return (index.column() - kFixed) % kPerCandidate == 0 ? share(candidate.sparsity)
                                                          : QLocale().toString(candidate.error, 'g', 3);
}

CalibrationTable::CalibrationTable(const AttentionCalibration& calibration, QWidget* parent)
    : QDialog(parent) {
    setObjectName(QStringLiteral("calibrationTable"));
    setWindowTitle(tr("Thresholds per head"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 16, 16, 16, 16, 12);
    auto* summary = textLabel(summaryOf(calibration), "label", QStringLiteral("calibrationSummary"));
    summary->setWordWrap(true);
    layout->addWidget(summary);
    auto* table = new QTableView;
    table->setObjectName(QStringLiteral("calibrationRows"));
    table->setAccessibleName(tr("One row a layer and head"));
    table->setModel(new CalibrationTableModel(calibration, table));
    table->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    table->verticalHeader()->setVisible(false);
    table->setTabKeyNavigation(false);
    layout->addWidget(table, 1);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    layout->addWidget(buttons);
    dresser::setMinimumWidth(this, 960);
    dresser::setMinimumHeight(this, 520);
}

} // namespace canopy::ui
