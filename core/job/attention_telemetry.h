#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/job/attention_settings.h"

namespace canopy {

/// Why a head's choice of keys was made anew, or that it was not. sparse-attention.md 4.3, 4.4.
enum class RefreshReason : std::uint8_t {
    Reused,
    First,    ///< no choice yet
    Drift,    ///< its own drift above delta
    Gate,     ///< so many heads drifted that the whole layer chose
    Age,      ///< reused for the longest time allowed
    Cap,      ///< drift above twice delta
    Schedule, ///< every n steps, or no reuse at all
};
std::string_view refreshReasonName(RefreshReason v); ///< "reused", "first", "drift", "gate", "age", ...
std::optional<RefreshReason> refreshReasonFromName(std::string_view name);

/// The two calls of a step under classifier-free guidance.
enum class GuidanceBranch : std::uint8_t { Prompt, Negative };
std::string_view guidanceBranchName(GuidanceBranch v); ///< "prompt", "negative"

/// One attention call as a sparse policy ran it. Scalars only, about 40 bytes a head.
struct AttentionRecord {
    enum class Mode : std::uint8_t { Warmup, Sparse };
    struct Head {
        double keptShare = 1; ///< kept pairs of query and key over all pairs
        RefreshReason reason = RefreshReason::First;
        double drift = 0;         ///< against the last choice; 0 where nothing was measured
        double relativeDrift = 0; ///< over the L1 norms of the means at the last choice
        int chosenAt = 0;         ///< step of the choice that was used

        bool operator==(const Head&) const = default;
    };

    int step = 0;
    int layer = 0;
    GuidanceBranch branch = GuidanceBranch::Prompt;
    Mode mode = Mode::Sparse;
    std::vector<Head> heads;    ///< none in a dense warm-up call
    double estimateSeconds = 0; ///< means, drift, estimate and choice
    double attentionSeconds = 0;
    int headCount = 0; ///< also of a dense call

    bool operator==(const AttentionRecord&) const = default;
};

/// Which blocks of keys each block of queries saw in one head of one call. Square: `blocks` rows of as many
/// bits, row by row, the first block in the highest bit of a row's first byte; a row starts on a whole byte.
struct BlockBitmap {
    int step = 0;
    int layer = 0;
    int head = 0;
    GuidanceBranch branch = GuidanceBranch::Prompt;
    int blocks = 0;
    std::vector<std::uint8_t> bits;

    std::size_t rowBytes() const { return (static_cast<std::size_t>(blocks) + 7) / 8; }
    bool kept(int query, int key) const {
        return (bits[static_cast<std::size_t>(query) * rowBytes() + static_cast<std::size_t>(key) / 8] >>
                (7 - key % 8)) &
               1;
    }
    void keep(int query, int key) {
        bits[static_cast<std::size_t>(query) * rowBytes() + static_cast<std::size_t>(key) / 8] |=
            static_cast<std::uint8_t>(0x80 >> (key % 8));
    }
    bool operator==(const BlockBitmap&) const = default;
};
BlockBitmap emptyBitmap(int blocks);

/// What was attended in one step of one clip.
struct AttentionStep {
    int step = 0;
    int steps = 0;
    double seconds = 0; ///< of the whole step, attention and everything else
    std::vector<AttentionRecord> calls;

    bool operator==(const AttentionStep&) const = default;
};

/// The topic under which the bitmaps of a layer's heads are sent, step by step: "attention_masks/12".
std::string maskTopic(int layer);
/// The same of every layer.
inline constexpr std::string_view kAllMasksTopic = "attention_masks";

/// {step, layer, branch "prompt" | "negative", mode "warmup" | "sparse", head_count, estimate_seconds,
/// attention_seconds} with, in sparse calls, a value per head in kept, reason, drift, relative_drift and
/// chosen_at.
Value toValue(const AttentionRecord& record);
Result<AttentionRecord> attentionRecordFromValue(const Value& value);
Value toValue(const AttentionStep& step);
Result<AttentionStep> attentionStepFromValue(const Value& value);
/// {bitmaps: list of {step, layer, head, branch, blocks, bits}}
Value toValue(const std::vector<BlockBitmap>& bitmaps);
/// Refuses bitmaps whose bytes do not fit their number of blocks.
Result<std::vector<BlockBitmap>> blockBitmapsFromValue(const Value& value);

/// Sums over calls, as the statistics file gives them: calls, dense_calls, kept_share (mean over heads of
/// sparse calls), reused_share (of heads in sparse calls), estimate_seconds, attention_seconds.
Value attentionSummary(const std::vector<AttentionRecord>& records);

} // namespace canopy
