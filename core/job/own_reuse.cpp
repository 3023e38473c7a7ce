#include "core/job/own_reuse.h"

#include <filesystem>
#include <system_error>

#include "core/formats/reuse_calibration.h"

namespace canopy {
namespace {

bool readsTime(const ChunkSettings& s) {
    return s.cache == ReuseMethod::TeaCache ||
           (s.cache == ReuseMethod::FlowCache && s.feature == ReuseFeature::Time);
}

} // namespace

std::string reuseProblem(const GenerationRequest& request, const ModelDefaults& model) {
    const ChunkSettings& s = request.chunks;
    if (s.mode != SamplingMode::Chunked || !readsTime(s) || !s.rescale.empty() ||
        model.label.starts_with(kPublishedReuse1_3B) || model.label.starts_with(kPublishedReuse14B))
        return {};
    return "For this model it is not known how its pictures follow the steps, which TeaCache and FlowCache "
           "by "
           "time (by a share of the steps) need. Choose FlowCache by each block's own change "
           "(--cache-feature "
           "latent), or measure the model once with canopy-cli calibrate --cache.";
}

Result<void> takeReuseCalibration(GenerationRequest& request, const ModelRecord& model) {
    ChunkSettings& s = request.chunks;
    const bool byTime = readsTime(s);
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
