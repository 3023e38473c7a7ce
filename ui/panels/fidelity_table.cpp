#include "ui/panels/fidelity_table.h"

#include <cmath>

#include <QDialogButtonBox>
#include <QHeaderView>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QTableWidget>
#include <QVBoxLayout>

#include "core/base/files.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {
namespace {

QString number(double value, int decimals) {
    return std::isfinite(value) ? QLocale().toString(value, 'f', decimals) : QStringLiteral("∞");
}

} // namespace

FidelityTable::FidelityTable(const std::shared_ptr<const media::FileComparison>& figures, double fps,
                             QWidget* parent)
    : QDialog(parent) {
    setObjectName(QStringLiteral("fidelityTable"));
    setWindowTitle(tr("Fidelity of every frame"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 16, 16, 16, 16, 12);
    auto* facts = textLabel(
        tr("FFmpeg's psnr and ssim over the planes %1. PSNR of the clip %2 dB, SSIM %3.")
            .arg(QString::fromStdString(figures->planes), number(figures->psnr, 2), number(figures->ssim, 4)),
        "label", QStringLiteral("fidelityFacts"));
    facts->setWordWrap(true);
    layout->addWidget(facts);
    auto* table = new QTableWidget(figures->frames, 4);
    table->setObjectName(QStringLiteral("fidelityRows"));
    table->setAccessibleName(windowTitle());
    table->setHorizontalHeaderLabels({tr("Frame"), tr("Seconds"), tr("PSNR, dB"), tr("SSIM")});
    table->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
    table->verticalHeader()->hide();
    table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    table->setTabKeyNavigation(false);
    for (int frame = 0; frame < figures->frames; ++frame) {
        const auto at = std::size_t(frame);
        const QString cells[] = {QString::number(frame), number(fps > 0 ? frame / fps : 0, 2),
                                 number(figures->psnrFrames[at], 2), number(figures->ssimFrames[at], 4)};
        for (int column = 0; column < 4; ++column) {
            auto* item = new QTableWidgetItem(cells[column]);
            item->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
            table->setItem(frame, column, item);
        }
    }
    layout->addWidget(table, 1);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    layout->addWidget(buttons);
    dresser::setMinimumWidth(this, 480);
    dresser::setMinimumHeight(this, 420);
}

Result<void> exportFidelity(const media::FileComparison& figures, double fps,
                            const std::filesystem::path& file) {
    std::string text = "frame,seconds,psnr_db,ssim\n";
    for (int frame = 0; frame < figures.frames; ++frame) {
        const auto at = std::size_t(frame);
        const auto c = [](double value, int decimals) { return QString::number(value, 'f', decimals); };
        text += QStringList({QString::number(frame), c(fps > 0 ? frame / fps : 0, 6),
                             c(figures.psnrFrames[at], 4), c(figures.ssimFrames[at], 6)})
                    .join(u',')
                    .toStdString() +
                '\n';
    }
    return writeFileAtomically(file, text);
}

} // namespace canopy::ui
