#include "core/job/own_reuse.h"

#include <filesystem>
#include <system_error>

#include "core/formats/reuse_calibration.h"

namespace canopy {

Result<void> takeReuseCalibration(GenerationRequest& request, const ModelRecord& model) {
    ChunkSettings& s = request.chunks;
    const bool byTime = s.cache == ReuseMethod::TeaCache ||
                        (s.cache == ReuseMethod::FlowCache && s.feature == ReuseFeature::Time);
    const auto file = model.root / kReuseCalibrationFile;
    std::error_code ignored;
    if (!byTime || !s.rescale.empty() || !std::filesystem::is_regular_file(file, ignored))
        return {};
    const auto calibration = readReuseCalibration(file, model.id);
    if (!calibration)
        return calibration.error();
    s.rescale.assign(calibration->polynomial.begin(), calibration->polynomial.end());
    return {};
}

} // namespace canopy
