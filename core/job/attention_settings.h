#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy {

/// How self-attention over video tokens is calculated. sparse-attention.md 2 (XAttention), 3 (SVG2).
enum class AttentionMethod : std::uint8_t {
    Dense,
    XAttention, ///< blocks of 128 keys by the antidiagonal estimate, until they hold `tau` of its mass
    Svg2,       ///< clusters of keys by their centres, until they hold `tau` of the estimated mass
    Window,     ///< baseline: key frames near the query's frame
    TopK,       ///< baseline: the same share of every row, the best by the antidiagonal estimate
};

/// When a head's choice of keys is made anew. sparse-attention.md 4.
enum class MaskReuse : std::uint8_t {
    Off,    ///< in every step
    Tmr,    ///< Temporal Mask Reuse: when the head's pooled queries and keys have drifted
    Freeze, ///< baseline: never after the first sparse step
    Every,  ///< baseline: every n steps
};

std::string_view attentionMethodName(AttentionMethod v); ///< "dense", "xattention", "svg2", "window", "topk"
std::string_view maskReuseName(MaskReuse v);             ///< "off", "tmr", "freeze", "every"
std::optional<AttentionMethod> attentionMethodFromName(std::string_view name);
std::optional<MaskReuse> maskReuseFromName(std::string_view name);

/// Negative = "the default", which withAttentionDefaults() fills.
struct AttentionSettings {
    AttentionMethod method = AttentionMethod::Dense;
    double tau = 0.9;          ///< share of the estimated mass that is kept: XAttention's tau, SVG2's p
    int stride = 16;           ///< of the antidiagonal estimate, 8 or 16
    int queryClusters = -1;    ///< SVG2
    int keyClusters = -1;      ///< SVG2
    double minimumShare = 0.1; ///< SVG2: share of the key clusters that is kept in any case
    double keep = 0.3;         ///< TopK: share of the key blocks of every row
    int windowFrames = 4;      ///< Window: latent frames to either side
    MaskReuse reuse = MaskReuse::Off;
    int refreshInterval = 0; ///< Every: steps from one choice to the next
    double delta = -1;       ///< Tmr: drift above which a head's choice is made anew
    double gateLow = 0.4;    ///< Tmr: share of drifted heads below which the whole layer reuses
    double gateHigh = 0.8;   ///< Tmr: share above which the whole layer chooses anew
    int maxAge = 0;          ///< Tmr: most steps a choice is reused for; 0 = any number
    bool hardCap = false;    ///< Tmr: twice `delta` chooses anew whatever the gate says
    int warmup = -1;         ///< first steps that stay dense
    /// [layer][head]: replaces `tau` where it is not empty. From AttentionCalibration::thresholds().
    std::vector<std::vector<double>> headTau{};

    bool operator==(const AttentionSettings&) const = default;
};

/// Settings with all defaults filled for a clip of `tokens` video tokens and `steps` steps: clusters as
/// published (300 and 1,000) from 32,000 tokens on, below that one for 128 queries and for 32 keys; the
/// published drift thresholds on Wan (30, SVG2 8); one dense step in ten.
AttentionSettings withAttentionDefaults(AttentionSettings settings, std::int64_t tokens, int steps);

/// What is wrong with filled settings, one sentence each. Whether `headTau` is of the model's size is for
/// checkRequest() to say, which knows the model.
std::vector<std::string> checkAttention(const AttentionSettings& settings, std::int64_t tokens, int steps);

/// Map with one key per field: method, tau, head_tau (only where there is one), stride, query_clusters,
/// key_clusters, minimum_share, keep, window_frames, reuse, refresh_interval, delta, gate_low, gate_high,
/// max_age, hard_cap, warmup. A missing key leaves the default; wrong types and unknown names are an error.
Value toValue(const AttentionSettings& settings);
Result<AttentionSettings> attentionSettingsFromValue(const Value& value);

} // namespace canopy
