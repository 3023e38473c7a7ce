#pragma once

#include <QString>

#include "core/formats/qa_model.h"
#include "core/job/answer.h"
#include "ui/tokens/token_scene.h"

namespace canopy::ui {

/// What a *Tokens kept* comes to in the language model.
struct KeepReadout {
    std::int64_t videoTokens = 0;    ///< newlines counted
    std::int64_t unprunedTokens = 0; ///< the same without pruning
    double kvBytes = 0;              ///< of the whole prompt
    double prefillFlop = 0;          ///< 0 = not known
    bool predicted = false;          ///< by the plan, not from a run's own cut
    QString text() const;            ///< "157 of 1,568, KV 0.28 MiB, 2.6 GFLOP"
};

/// From a nested run at its present cut: KV bytes a token as this answer measured them, FLOP by the
/// arithmetic of token-forest.md 1.11. `language` may be null: no FLOP then.
KeepReadout readoutOf(const TokenScene& scene, const Answer& answer, const Qwen2Config* language);

} // namespace canopy::ui
