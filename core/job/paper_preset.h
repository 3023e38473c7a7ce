#pragma once

#include <optional>
#include <string_view>

#include "core/job/attention_settings.h"

namespace canopy {

/// The two versions of arXiv 2605.14513 whose settings differ. sparse-attention.md 0.
enum class PaperVersion {
    V1, ///< "HASTE": no dense steps; its layer gate is not disclosed, so V2's bounds stand for it
    V2, ///< "HEART": one dense step in ten (5 of 50), layer gate 0.4 to 0.8
};
std::string_view paperVersionName(PaperVersion v);  ///< "v1", "v2"
std::string_view paperVersionLabel(PaperVersion v); ///< "HASTE, v1: no dense steps", ...
std::optional<PaperVersion> paperVersionFromName(std::string_view name);

/// A host with that version's settings: tau 0.9, stride 16 or the default clusters, Temporal Mask Reuse with
/// delta 30 (SVG2 8), and its dense steps. Thresholds per head come on top.
AttentionSettings paperSettings(PaperVersion version, AttentionMethod host);

} // namespace canopy
