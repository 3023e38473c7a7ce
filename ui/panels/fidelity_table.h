#pragma once

#include <filesystem>
#include <memory>

#include <QDialog>

#include "core/base/result.h"
#include "core/media/compare.h"

namespace canopy::ui {

/// The text form of the strips: PSNR and SSIM of every frame.
class FidelityTable : public QDialog {
    Q_OBJECT
public:
    FidelityTable(const std::shared_ptr<const media::FileComparison>& figures, double fps, QWidget* parent);
};

/// "frame,seconds,psnr_db,ssim": a head and one line a frame; an equal frame's PSNR reads "inf".
Result<void> exportFidelity(const media::FileComparison& figures, double fps,
                            const std::filesystem::path& file);

} // namespace canopy::ui
