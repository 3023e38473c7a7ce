#pragma once

#include <string_view>

#include "core/job/ask_request.h"
#include "core/job/memory_plan.h"
#include "core/job/token_run.h"

namespace canopy::accel {

/// Where a question tells what it does. Called on the inference thread; must not block. Std types only.
class AskObserver {
public:
    virtual ~AskObserver() = default;

    /// Asked before anything is computed only to be shown ("stage_times", "block_times").
    virtual bool wants(std::string_view topic) const = 0;

    virtual void resolved(const AskRequest& request, const MemoryPlan& plan) = 0;
    /// "load", "vision" (units: frames), "select", "prefill" (layers), "answer" (tokens).
    virtual void stage(std::string_view name, int unit, int units) = 0;
    virtual void timing(std::string_view name, int step, double seconds) = 0;
    /// Once, when the tokens for the language model are chosen; again after the prefill for modes that
    /// shorten the sequence inside it.
    virtual void tokens(const TokenRun& run) = 0;
    /// More of the answer: whole UTF-8 characters, to be appended.
    virtual void words(std::string_view text) = 0;
};

} // namespace canopy::accel
