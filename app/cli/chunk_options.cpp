#include "app/cli/chunk_options.h"

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

namespace canopy::cli {
namespace {

/// "2:5-12": steps 5 to 11 of block 2.
ForcedRange parseForced(const std::string& text) {
    ForcedRange range;
    const auto colon = text.find(':');
    const auto dash = text.find('-', colon == std::string::npos ? 0 : colon);
    const bool read = colon != std::string::npos && dash != std::string::npos &&
                      CLI::detail::lexical_cast(text.substr(0, colon), range.chunk) &&
                      CLI::detail::lexical_cast(text.substr(colon + 1, dash - colon - 1), range.first) &&
                      CLI::detail::lexical_cast(text.substr(dash + 1), range.end);
    if (!read || range.chunk < 0 || range.first < 0 || range.end <= range.first)
        throw CLI::ValidationError("--force-steps",
                                   "'" + text + "' is not BLOCK:FIRST-END, as in 2:5-12 (12 excluded)");
    return range;
}

} // namespace

std::function<void()> addChunks(CLI::App& c, ChunkSettings& s) {
    auto needMode = std::make_shared<std::vector<CLI::Option*>>();
    auto needCache = std::make_shared<std::vector<CLI::Option*>>();
    auto needBudget = std::make_shared<std::vector<CLI::Option*>>();
    const auto chunked = [needMode](CLI::Option* option) {
        needMode->push_back(option);
        return option;
    };
    const auto cached = [needCache](CLI::Option* option) {
        needCache->push_back(option);
        return option;
    };
    c.add_option_function<std::string>(
         "--mode", [&s](const std::string& name) { s.mode = *samplingModeFromName(name); },
         "Make the whole clip at once, or in blocks that follow each other. Default: whole.")
        ->check(CLI::IsMember({"whole", "chunked"}))
        ->type_name("whole|chunked");
    chunked(c.add_option("--block-frames", s.blockFrames,
                         "Latent frames of a block. Default: as the model was trained.")
                ->check(CLI::Range(1, 1024))
                ->type_name("N"));
    chunked(c.add_option("--ar-step", s.arStep,
                         "Steps that a block is behind the one before it; 0 moves all together. Default: a "
                         "block begins when the one before it is finished.")
                ->check(CLI::NonNegativeNumber)
                ->type_name("N"));
    chunked(c.add_option_function<std::string>(
                 "--segments",
                 [&s](const std::string& text) {
                     if (text == "auto")
                         s.segments = 0;
                     else if (!CLI::detail::lexical_cast(text, s.segments) || s.segments < 1)
                         throw CLI::ValidationError("--segments", "'" + text + "' is not auto or 1 or more");
                 },
                 "Parts of a long clip that are made one after the other. Default: auto, by the length the "
                 "model was trained for.")
                ->type_name("auto|N"));
    chunked(c.add_option("--overlap", s.overlapFrames,
                         "Latent frames that a later segment begins with. Default: one block.")
                ->check(CLI::PositiveNumber)
                ->type_name("N"));
    chunked(c.add_option("--addnoise", s.addNoise,
                         "Time (0 to 50) that given frames are noised to, against drift. Default: 0.")
                ->type_name("T"));
    chunked(c.add_option_function<std::string>(
                 "--cache", [&s](const std::string& name) { s.cache = *reuseMethodFromName(name); },
                 "Repeat a block's last update where its next one would hardly differ. Default: none.")
                ->check(CLI::IsMember({"none", "teacache", "flowcache"}))
                ->type_name("none|teacache|flowcache"));
    cached(c.add_option_function<std::string>(
                "--cache-feature", [&s](const std::string& name) { s.feature = *reuseFeatureFromName(name); },
                "What the change is measured on: the step's time (the same for all clips) or the block's own "
                "latents. Default: time.")
               ->check(CLI::IsMember({"time", "latent"}))
               ->type_name("time|latent"));
    auto* threshold =
        cached(c.add_option("--threshold", s.threshold,
                            "Accumulated change below which a step is repeated. More is faster and less like "
                            "the original.")
                   ->check(CLI::NonNegativeNumber)
                   ->type_name("E"));
    cached(c.add_option("--hit-rate", s.hitRate,
                        "Share of steps to be repeated; chooses the threshold. Needs --cache flowcache over "
                        "time.")
               ->check(CLI::Range(0.0, 1.0))
               ->type_name("R"))
        ->excludes(threshold);
    cached(c.add_option("--cache-warmup", s.warmup,
                        "First steps of each block that are always computed. Default: 5, or a tenth of the "
                        "steps if that is more.")
               ->check(CLI::NonNegativeNumber)
               ->type_name("M"));
    cached(
        c.add_option_function<std::string>(
             "--cache-quantity",
             [&s](const std::string& name) { s.quantity = *reusedQuantityFromName(name); },
             "What is repeated: the velocity, the change of the latents (as published for MAGI-1), or what "
             "the layers added (as published for SkyReels-V2). Default: velocity.")
            ->check(CLI::IsMember({"velocity", "increment", "residual"}))
            ->type_name("velocity|increment|residual"));
    cached(c.add_option_function<std::vector<std::string>>(
                "--force-steps",
                [&s](const std::vector<std::string>& ranges) {
                    for (const auto& text : ranges)
                        s.forced.push_back(parseForced(text));
                },
                "Compute these steps of a block whatever the cache says. May be given again.")
               ->type_name("BLOCK:FIRST-END"));
    auto* budget = chunked(c.add_option("--kv-budget", s.kvBudget,
                                        "Blocks whose keys fit into memory; finished ones are squeezed to "
                                        "fit. Default: all.")
                               ->check(CLI::PositiveNumber)
                               ->type_name("BLOCKS"));
    needBudget->push_back(
        c.add_option("--kv-lambda", s.kvLambda,
                     "Share of importance against redundancy when keys are chosen. Default: "
                     "0.07.")
            ->type_name("L"));
    needBudget->push_back(
        c.add_flag("--kv-window", s.kvWindow, "Forget the oldest block instead of squeezing finished ones."));
    chunked(c.add_option_function<std::string>(
                 "--finalize-kv", [&s](const std::string& name) { s.finalize = *finalizeKvFromName(name); },
                 "Write a finished block's keys once more from its clean latents, or leave them. Default: "
                 "clean.")
                ->check(CLI::IsMember({"none", "clean"}))
                ->type_name("none|clean"));
    auto* from =
        chunked(c.add_option("--from-chunk", s.fromChunk, "Make the clip again from this block on (from 0).")
                    ->check(CLI::PositiveNumber)
                    ->type_name("I"));
    chunked(c.add_option("--base", s.basePath,
                         "The earlier clip: its MP4, its session file (--record) or its latents.")
                ->check(CLI::ExistingFile)
                ->type_name("F.canopy"))
        ->needs(from);
    return [&s, needMode, needCache, needBudget, budget] {
        for (const CLI::Option* option : *needMode)
            if (option->count() > 0 && s.mode != SamplingMode::Chunked)
                throw CLI::ValidationError(option->get_name(), "needs --mode chunked");
        for (const CLI::Option* option : *needCache)
            if (option->count() > 0 && s.cache == ReuseMethod::None)
                throw CLI::ValidationError(option->get_name(), "needs --cache teacache or flowcache");
        for (const CLI::Option* option : *needBudget)
            if (option->count() > 0 && budget->count() == 0)
                throw CLI::ValidationError(option->get_name(), "needs --kv-budget");
    };
}

} // namespace canopy::cli
