#include "core/job/paper_preset.h"

#include "core/job/setting_reader.h"

namespace canopy {
namespace {

constexpr std::string_view kNames[] = {"v1", "v2"};
constexpr std::string_view kLabels[] = {"HASTE, v1: no dense steps", "HEART, v2: one dense step in ten"};

} // namespace

std::string_view paperVersionName(PaperVersion v) {
    return kNames[static_cast<std::size_t>(v)];
}
std::string_view paperVersionLabel(PaperVersion v) {
    return kLabels[static_cast<std::size_t>(v)];
}
std::optional<PaperVersion> paperVersionFromName(std::string_view name) {
    return fromName<PaperVersion>(kNames, name);
}

AttentionSettings paperSettings(PaperVersion version, AttentionMethod host) {
    AttentionSettings s; // tau, stride, delta, gate and clusters stand at the published values
    s.method = host;
    s.reuse = MaskReuse::Tmr;
    if (version == PaperVersion::V1)
        s.warmup = 0;
    return s;
}

} // namespace canopy
