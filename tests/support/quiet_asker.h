#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "accel/runtime/ask_observer.h"

namespace canopy::test {

/// Remembers what an answer told.
class QuietAsker : public accel::AskObserver {
public:
    bool wants(std::string_view topic) const override { return topic == wanted; }
    void resolved(const AskRequest&, const MemoryPlan&) override {}
    void stage(std::string_view name, int unit, int units) override {
        if (stages.empty() || stages.back() != name)
            stages.emplace_back(name);
        lastUnit = unit;
        lastUnits = units;
        if (onStage)
            onStage(name, unit);
    }
    void timing(std::string_view name, int, double) override { timings.emplace_back(name); }
    void tokens(const TokenRun& run) override { runs.push_back(run); }
    void words(std::string_view more) override { text += more; }

    std::string wanted;
    std::vector<std::string> stages;
    std::vector<std::string> timings;
    std::vector<TokenRun> runs;
    std::string text;
    int lastUnit = 0, lastUnits = 0;
    std::function<void(std::string_view, int)> onStage;
};

} // namespace canopy::test
