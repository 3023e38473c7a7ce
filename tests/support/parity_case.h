#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/value.h"

namespace canopy::test {

/// One stored reference: `<name>.json`, `<name>.safetensors` and, where it has them, config and weight files.
class ParityCase {
public:
    ParityCase(std::filesystem::path folder, std::string name, Value json);

    const std::string& name() const { return m_name; }
    const std::string& kind() const { return m_json["kind"].asString(); }
    const Value& json() const { return m_json; }
    double tolerance(double fallback = 1e-4) const { return m_json["tolerance"].asDouble(fallback); }
    const std::filesystem::path& folder() const { return m_folder; }

    bool has(std::string_view tensor) const;
    at::Tensor tensor(std::string_view tensor) const; ///< own copy; fails the test when it is not there
    std::vector<std::string> tensorNames() const;
    /// Another case of the same folder (`weights_from`).
    ParityCase sibling(std::string_view name) const;
    /// `<name>.config.json` as a value; null when the case has none.
    Value config() const;
    /// Weight files in every stored layout.
    std::vector<std::filesystem::path> weightFiles() const;

private:
    std::filesystem::path m_folder;
    std::string m_name;
    Value m_json;
    struct Tensors;
    mutable std::shared_ptr<Tensors> m_tensors;
};

/// Fails the running doctest case with the first mismatch unless max|ours - reference| <= tolerance *
/// max|reference|.
void expectClose(const at::Tensor& ours, const at::Tensor& reference, double tolerance,
                 std::string_view what);
/// Bit-equal integers.
void expectEqual(const at::Tensor& ours, const at::Tensor& reference, std::string_view what);

// One function per kind, in tests/accel/parity/<kind>.cpp; the table stands in parity_test.cpp.
void checkWanDit(const ParityCase&);
void checkSkyReelsDit(const ParityCase&);
void checkWanVae(const ParityCase&);
void checkUmt5(const ParityCase&);
void checkSiglip(const ParityCase&);
void checkQwen2(const ParityCase&);
void checkLlavaOneVision(const ParityCase&);
void checkUnigram(const ParityCase&);
void checkPromptClean(const ParityCase&);
void checkUniPc(const ParityCase&);
void checkUniPcOriginal(const ParityCase&);
void checkEuler(const ParityCase&);
void checkTimestepMatrix(const ParityCase&);
void checkDfTrajectory(const ParityCase&);
void checkPipelineWan(const ParityCase&);
void checkPipelineSkyReels(const ParityCase&);
void checkForestCode(const ParityCase&);
void checkFrameFusion(const ParityCase&);
void checkFastVid(const ParityCase&);
void checkHoliTom(const ParityCase&);
void checkVisionZip(const ParityCase&);
void checkXAttention(const ParityCase&);
void checkSvg2(const ParityCase&);
void checkMagiSchedule(const ParityCase&);
void checkFlowCacheDecisions(const ParityCase&);
void checkKvCompression(const ParityCase&);
void checkTeaCacheSkyReels(const ParityCase&);
void checkFlowCacheSkyReels(const ParityCase&);
void checkMagiKvTimeline(const ParityCase&);

} // namespace canopy::test
