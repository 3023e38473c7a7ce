#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/job/generation_request.h"

namespace canopy {

/// What times depend on besides the clip itself. Figures of another key say nothing.
struct SpeedKey {
    std::string modelId;
    std::string machine; ///< processor and its threads, or the card
    DeviceKind device = DeviceKind::Cpu;
    Precision precision = Precision::Auto; ///< as asked for
    int threads = 0;                       ///< as asked for; 0 = all
    bool vaeTiling = false;
    bool operator==(const SpeedKey&) const = default;
};

/// What one measured generation took.
struct SpeedSample {
    std::string stop; ///< of speedStops()
    std::int64_t tokens = 0;
    std::int64_t pixels = 0; ///< width x height x frames
    int branches = 2;        ///< forward passes a step: 2 with guidance
    int steps = 0;
    int denseSteps = 0;           ///< of them, the first ones
    double denseStepSeconds = 0;  ///< mean of a dense step, all branches; 0 = there was none
    double sparseStepSeconds = 0; ///< mean of the others; 0 = there was none
    double restSeconds = 0;       ///< the whole job without loading the model and without the steps
    bool operator==(const SpeedSample&) const = default;
};

/// How near a stop's clip came to the dense clip of the same noise.
struct StopLikeness {
    std::string stop;
    bool identical = false;
    double psnr = 0; ///< dB; as core/media/compare.h measures it
    double ssim = 0;
    std::int64_t tokens = 0; ///< of the clip that was compared
    int steps = 0;
    bool operator==(const StopLikeness&) const = default;
};

/// All that was measured for one key.
struct SpeedRecord {
    static constexpr int kVersion = 1;
    SpeedKey key;
    std::string kernelSet; ///< that the worker used
    std::int64_t measuredMillis = 0;
    double loadSeconds = 0; ///< of the model, the first time
    std::vector<SpeedSample> samples;
    std::vector<StopLikeness> likeness;
    bool operator==(const SpeedRecord&) const = default;

    const StopLikeness* likenessOf(std::string_view stop) const;
};

/// The key of a request on this machine; `machine` as a record holds it.
SpeedKey speedKeyOf(const GenerationRequest& request, const std::string& machine);

Value toValue(const SpeedRecord& record);
Result<SpeedRecord> speedRecordFromValue(const Value& value);

/// {"version": 1, "records": [...]}. A missing file holds none; a damaged one is an error that names it.
Result<std::vector<SpeedRecord>> readSpeedRecords(const std::filesystem::path& file);
/// Replaces the record of the same key, or adds it. A damaged file is replaced as a whole.
Result<void> storeSpeedRecord(const std::filesystem::path& file, const SpeedRecord& record);

} // namespace canopy
