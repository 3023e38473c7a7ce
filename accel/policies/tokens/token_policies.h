#pragma once

#include <memory>

#include "accel/nn/token_hooks.h"
#include "core/job/ask_request.h"

namespace canopy::accel {

/// What acts on a request's video tokens: `selector` before the language model (never null; the identity for
/// All, FastV and FrameFusion), `reducer` inside it (null for all but FastV and FrameFusion).
struct TokenPolicy {
    std::unique_ptr<TokenSelector> selector;
    std::unique_ptr<PrefillReducer> reducer;
};

/// `settings` may hold Auto fields; the resolved ones stand in the run.
TokenPolicy makeTokenPolicy(const TokenSettings& settings);

/// Newline layouts of the hosts (token-forest.md 1.6).
using NewlineMode = HostNewlines;

/// The sequence of video tokens that the language model is given.
struct TokenLayout {
    at::Tensor source; ///< int64 [n]: index into TokenSelection::kept, or -1 for a newline
    /// int64 [n], 0-based within the video part: packed, or those of the unpruned layout.
    at::Tensor positions;
    at::Tensor videoIndex;           ///< int64 [n]: see PrefillPoint::videoIndex
    std::int64_t unprunedTokens = 0; ///< positions that text after the video continues from under Original
};
/// Where newlines go for the selection's settings; writes hostNewlines, keptNewlines and modelTokens into its
/// run. Made on the host from the run's kept cells, then copied to the device once.
TokenLayout layoutTokens(TokenSelection& selection, NewlineMode host);

} // namespace canopy::accel
