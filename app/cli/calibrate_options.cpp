#include "app/cli/calibrate_options.h"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "app/cli/parse_size.h"
#include "core/job/settings_schema.h"

namespace canopy::cli {
namespace {

std::string helpOf(std::string_view key) {
    return std::string(findSetting(key)->help);
}

void addClip(CLI::App& c, GenerationRequest& r) {
    c.add_option_function<std::string>(
         "--size",
         [&r](const std::string& text) {
             if (!parseSize(text, r.width, r.height))
                 throw CLI::ValidationError("--size", "'" + text + "' is no size; write it as 832x480");
         },
         "Of the clips that the thresholds are for. Default: the model's.")
        ->type_name("WxH");
    c.add_option("--frames", r.frames, helpOf("frames"))->check(CLI::Range(1, 1 << 20))->type_name("N");
    c.add_option("--steps", r.steps, helpOf("steps"))->check(CLI::Range(1, 10000))->type_name("N");
    c.add_option("--guidance", r.guidance, helpOf("guidance"))->check(CLI::NonNegativeNumber)->type_name("G");
    c.add_option("--shift", r.shift, helpOf("shift"))->check(CLI::NonNegativeNumber)->type_name("S");
    c.add_option("--seed", r.seed, "Of the noise, and of the steps and prompts that heads are measured at.")
        ->type_name("S");
    c.add_option_function<std::string>(
         "--precision", [&r](const std::string& name) { r.precision = *precisionFromName(name); },
         helpOf("precision"))
        ->check(CLI::IsMember({"auto", "fp32", "bf16"}))
        ->type_name("auto|fp32|bf16");
    c.add_option_function<std::string>(
         "--device", [&r](const std::string& name) { r.device = *deviceFromName(name); }, helpOf("device"))
        ->check(CLI::IsMember({"cpu", "cuda"}))
        ->type_name("cpu|cuda");
    c.add_option("--threads", r.threads, helpOf("threads"))->check(CLI::Range(0, 1024))->type_name("N");
    c.add_option("--memory", r.memoryBudgetGb, helpOf("memory"))
        ->check(CLI::NonNegativeNumber)
        ->type_name("GB");
}

CLI::Option* addHost(CLI::App& c, CalibrationRequest& request) {
    AttentionSettings& s = request.clip.attention;
    auto* host =
        c.add_option_function<std::string>(
             "--attention", [&s](const std::string& name) { s.method = *attentionMethodFromName(name); },
             "The host whose thresholds are found.")
            ->check(CLI::IsMember({"xattention", "svg2"}))
            ->type_name("xattention|svg2");
    c.add_option("--stride", s.stride, "xattention: of the estimate, 8 is finer. Default: 16.")
        ->check(CLI::IsMember({8, 16}))
        ->needs(host)
        ->type_name("S");
    c.add_option_function<std::vector<int>>(
         "--clusters",
         [&s](const std::vector<int>& counts) {
             if (counts.size() != 2 || counts[0] < 1 || counts[1] < 1)
                 throw CLI::ValidationError("--clusters", "expects two numbers of 1 or more, as in 100,500");
             s.queryClusters = counts[0];
             s.keyClusters = counts[1];
         },
         "svg2: clusters of queries and of keys. Default: by the clip's size.")
        ->delimiter(',')
        ->needs(host)
        ->type_name("Q,K");
    c.add_option("--tau", s.tau, "The shared threshold whose sparsity is the budget. Default: 0.9.")
        ->needs(host)
        ->type_name("X");
    c.add_option("--candidates", request.grid, "Thresholds to choose from. Default: 0.85,0.9,0.95.")
        ->delimiter(',')
        ->needs(host)
        ->type_name("X,X,...");
    c.add_option("--warmup", s.warmup, "First steps that stay dense and are not measured. Default: --paper.")
        ->check(CLI::NonNegativeNumber)
        ->needs(host)
        ->type_name("N");
    c.add_option_function<std::string>(
         "--paper", [&request](const std::string& name) { request.paper = *paperVersionFromName(name); },
         "Dense steps as " + std::string(paperVersionLabel(PaperVersion::V1)) + ", or " +
             std::string(paperVersionLabel(PaperVersion::V2)) + ". Default: v2.")
        ->check(CLI::IsMember({"v1", "v2"}))
        ->needs(host)
        ->type_name("v1|v2");
    c.add_option_function<std::string>(
         "--procedure",
         [&request](const std::string& name) {
             request.procedure =
                 name == "profile" ? CalibrationProcedure::Profile : CalibrationProcedure::Error;
         },
         "error: by the error of the model's velocity, one head at a time. profile: one pass over the "
         "attention alone, a baseline (xattention). Default: error.")
        ->check(CLI::IsMember({"error", "profile"}))
        ->needs(host)
        ->type_name("error|profile");
    return host;
}

} // namespace

CLI::App* addCalibrate(CLI::App& app, CalibrateOptions& o) {
    CLI::App* c =
        app.add_subcommand("calibrate", "Measure a model: a threshold for every head, for 'generate "
                                        "--thresholds', or what reuse by time needs to know (--cache)");
    c->add_option("--model", o.model, "Id as 'models' prints it, or a path. Default: the first that can run.")
        ->type_name("ID|PATH");
    auto* host = addHost(*c, o.request);
    auto* cache =
        c->add_flag("--cache", o.cache,
                    "Fit how much a step changes to how much its time does, for 'generate --cache'. "
                    "Measured on at least 8 prompts.")
            ->excludes(host);
    c->add_option("--block-frames", o.request.clip.chunks.blockFrames,
                  "cache: latent frames of a block. Default: as the model was trained.")
        ->check(CLI::Range(1, 1024))
        ->needs(cache)
        ->type_name("N");
    addClip(*c, o.request.clip);
    c->add_option(
         "--prompts", o.prompts,
         "Text file, one prompt a line; of --attention the last one only tries the thresholds. Default: "
         "prompts that come with the program.")
        ->type_name("FILE");
    c->add_flag("--resume", o.resume, "Go on with a calibration that was stopped.");
    c->add_option("--out", o.out, "What was found, as JSON. An existing file is not overwritten.")
        ->required()
        ->type_name("F.json");
    c->final_callback([host, cache] {
        if (host->count() + cache->count() == 0)
            throw CLI::RequiredError("--attention or --cache");
    });
    return c;
}

} // namespace canopy::cli
