#include "app/cli/command_line.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <utility>

#include "app/cli/ask_options.h"
#include "app/cli/attention_options.h"
#include "app/cli/calibrate_options.h"
#include "app/cli/chunk_options.h"
#include "app/cli/commands.h"
#include "app/cli/exit_code.h"
#include "app/cli/output.h"
#include "app/cli/parse_size.h"
#include "app/cli/study_options.h"
#include "core/job/settings_schema.h"

namespace canopy::cli {
namespace {

constexpr const char* kFooter =
    "Exit codes: 0 done; 1 the engine could not finish; 2 wrong command line; 3 these "
    "settings cannot start; 4 a file cannot be read or written; 5 not enough memory; "
    "6 the engine ended or cannot be started; 7 not in this build; 130 cancelled.";

/// The settings table's own words, so that window and command line explain a setting alike.
std::string helpOf(std::string_view key) {
    const SettingInfo* info = findSetting(key);
    return info != nullptr ? std::string(info->help) : std::string();
}

void addSaving(CLI::App& c, double& seconds) {
    c.add_option("--save-every", seconds,
                 "How often unfinished work is saved, so that 'resume' can go on from there after a crash.")
        ->check(CLI::Range(0.0, 86400.0))
        ->type_name("SECONDS")
        ->capture_default_str();
}

void addGenerate(CLI::App& app, GenerateOptions& o, bool& seedGiven) {
    CLI::App* c = app.add_subcommand("generate", "Make a clip from a sentence");
    GenerationRequest& r = o.request;
    c->add_option("--prompt", r.prompt, helpOf("prompt"))->required()->type_name("TEXT");
    c->add_option("--negative", r.negativePrompt, helpOf("negative"))->type_name("TEXT");
    c->add_option("--model", o.model, "Id as 'models' prints it, or a path. Default: the first that can run.")
        ->type_name("ID|PATH");
    auto* image = c->add_option("--image", r.imagePath, helpOf("image"))->type_name("FILE");
    auto* video =
        c->add_option("--video", o.video,
                      "A video whose last frames become the clip's first ones, cropped to its shape "
                      "and taken at its frame rate. Needs --mode chunked.")
            ->check(CLI::ExistingFile)
            ->type_name("FILE")
            ->excludes(image);
    c->add_option_function<int>(
         "--video-frames",
         [&r](const int& frames) {
             if (frames < 1 || frames % 4 != 1) {
                 throw CLI::ValidationError("--video-frames",
                                            std::to_string(frames) + " is not one more than a multiple of 4");
             }
             r.chunks.givenFrames = latentFrames(frames);
         },
         "How many of the video's last frames. One more than a multiple of 4. Default: all.")
        ->type_name("N")
        ->needs(video);
    c->add_option_function<std::string>(
         "--size",
         [&r](const std::string& text) {
             if (!parseSize(text, r.width, r.height)) {
                 throw CLI::ValidationError("--size", "'" + text + "' is no size; write it as 832x480");
             }
         },
         "Width and height in pixels, multiples of 16. Default: the model's.")
        ->type_name("WxH");
    c->add_option("--frames", r.frames, helpOf("frames") + " One more than a multiple of 4.")
        ->check(CLI::Range(1, 1 << 20))
        ->type_name("N");
    c->add_option("--fps", r.fps, helpOf("fps"))->check(CLI::Range(1, 1000))->type_name("N");
    c->add_option("--steps", r.steps, helpOf("steps"))->check(CLI::Range(1, 10000))->type_name("N");
    c->add_option("--guidance", r.guidance, helpOf("guidance"))
        ->check(CLI::NonNegativeNumber)
        ->type_name("G");
    c->add_option("--shift", r.shift, helpOf("shift"))->check(CLI::NonNegativeNumber)->type_name("S");
    c->add_option_function<std::uint64_t>(
         "--seed",
         [&r, &seedGiven](const std::uint64_t& seed) {
             r.seed = seed;
             seedGiven = true;
         },
         helpOf("seed") + " Default: drawn, and printed.")
        ->type_name("S");
    c->add_option_function<std::string>(
         "--sampler", [&r](const std::string& name) { r.sampler = *samplerFromName(name); },
         helpOf("sampler"))
        ->check(CLI::IsMember({"unipc", "euler"}))
        ->type_name("unipc|euler");
    c->add_option_function<std::string>(
         "--precision", [&r](const std::string& name) { r.precision = *precisionFromName(name); },
         helpOf("precision"))
        ->check(CLI::IsMember({"auto", "fp32", "bf16"}))
        ->type_name("auto|fp32|bf16");
    c->add_option("--threads", r.threads, helpOf("threads"))->check(CLI::Range(0, 1024))->type_name("N");
    c->add_option_function<std::string>(
         "--device", [&r](const std::string& name) { r.device = *deviceFromName(name); }, helpOf("device"))
        ->check(CLI::IsMember({"cpu", "cuda"}))
        ->type_name("cpu|cuda");
    c->add_flag("--vae-tiling", r.vaeTiling, helpOf("vae_tiling"));
    c->add_option("--memory", r.memoryBudgetGb, helpOf("memory"))
        ->check(CLI::NonNegativeNumber)
        ->type_name("GB");
    const auto attentionCheck = addAttention(*c, r.attention, o.thresholds);
    const auto chunkCheck = addChunks(*c, r.chunks);
    auto* fit = c->add_option("--cache-fit", o.cacheFit,
                              "What 'canopy-cli calibrate --cache' found for this model. Default: the file "
                              "beside the model, or what was published for it.")
                    ->check(CLI::ExistingFile)
                    ->type_name("F.json");
    auto* stats =
        c->add_option("--stats", o.stats,
                      "Write what every call of sparse attention, or every row of a clip made in "
                      "blocks, kept, reused and took, as JSON. An existing file is not overwritten.")
            ->type_name("F.json");
    c->final_callback([&r, attentionCheck, chunkCheck, stats, video, fit] {
        attentionCheck();
        chunkCheck();
        if (fit->count() > 0 && r.chunks.cache == ReuseMethod::None)
            throw CLI::ValidationError("--cache-fit", "needs --cache teacache or flowcache");
        if (video->count() > 0 && r.chunks.mode != SamplingMode::Chunked)
            throw CLI::ValidationError("--video", "needs --mode chunked");
        const bool chooses =
            r.attention.method != AttentionMethod::Dense && r.attention.method != AttentionMethod::Window;
        if (stats->count() > 0 && !chooses && r.chunks.mode != SamplingMode::Chunked)
            throw CLI::ValidationError("--stats",
                                       "needs --attention xattention, svg2 or topk, or --mode chunked");
    });
    c->add_flag("--dry-run", o.dryRun,
                "Print the resolved settings, the memory plan and all problems; make nothing.");
    c->add_option("--record", o.record, "Also record the session (.canopy) for inspection.")
        ->type_name("FILE");
    c->add_option("--frames-dir", o.framesDir, "Also write every frame, lossless, into this folder.")
        ->type_name("DIR");
    c->add_option_function<std::string>(
         "--progress", [&o](const std::string&) { o.jsonProgress = true; },
         "Print one JSON object per line on standard output instead of words on standard error.")
        ->check(CLI::IsMember({"jsonl"}))
        ->type_name("jsonl");
    c->add_option("--out", o.out, "The clip, an MP4 file. An existing file is not overwritten.")
        ->type_name("FILE");
    addSaving(*c, o.saveSeconds);
    c->footer(kFooter);
}

CLI::App* addResume(CLI::App& app, ResumeOptions& o) {
    CLI::App* c = app.add_subcommand("resume", "Go on with a clip that was stopped before it was done");
    c->add_option("STATE", o.state,
                  "Its saved state (job-N.canopy in the state folder), or the session that 'generate "
                  "--mode chunked --record' wrote")
        ->required()
        ->type_name("F.canopy");
    c->add_option("--out", o.out,
                  "The clip, an MP4 file. An existing file is not overwritten. Default: as it was asked for.")
        ->type_name("FILE");
    c->add_option("--frames-dir", o.framesDir, "Also write every frame, lossless, into this folder.")
        ->type_name("DIR");
    c->add_option_function<std::string>(
         "--progress", [&o](const std::string&) { o.jsonProgress = true; },
         "Print one JSON object per line on standard output instead of words on standard error.")
        ->check(CLI::IsMember({"jsonl"}))
        ->type_name("jsonl");
    addSaving(*c, o.saveSeconds);
    c->footer(kFooter);
    return c;
}

} // namespace

int runCommandLine(int argc, char** argv) {
    CLI::App app(
        "Canopy makes short video clips from a sentence and answers questions about videos, on this machine.",
        "canopy-cli");
    app.set_version_flag("--version", "canopy-cli " CANOPY_VERSION);
    app.require_subcommand(1);
    app.footer(kFooter);

    GenerateOptions generateOptions;
    bool seedGiven = false;
    addGenerate(app, generateOptions, seedGiven);

    ResumeOptions resumeOptions;
    CLI::App* resumeCommand = addResume(app, resumeOptions);

    AskOptions askOptions;
    CLI::App* askCommand = addAsk(app, askOptions);
    CLI::App* tokensCommand = addTokens(app, askOptions);
    EvaluateOptions evaluateOptions;
    CLI::App* evaluateCommand = addEvaluate(app, evaluateOptions);
    evaluateCommand->footer(kFooter);
    askCommand->footer(kFooter);
    tokensCommand->footer(kFooter);

    CalibrateOptions calibrateOptions;
    CLI::App* calibrateCommand = addCalibrate(app, calibrateOptions);
    calibrateCommand->footer(kFooter);

    StudyCommandOptions studyOptions;
    CLI::App* studyCommand = addStudy(app, studyOptions);
    studyCommand->footer(kFooter);

    std::string infoFile;
    CLI::App* infoCommand = app.add_subcommand("info", "Print how a clip was made");
    infoCommand->add_option("FILE", infoFile, "A clip made by Canopy")->required();

    bool modelsJson = false;
    std::string modelFolder;
    CLI::App* models = app.add_subcommand("models", "List the models, or add a folder of models");
    models->add_flag("--json", modelsJson, "Print JSON");
    CLI::App* add = models->add_subcommand("add", "Remember a folder; it is only read, never written to");
    add->add_option("DIR", modelFolder, "The folder, or a model file")->required();
    add->add_flag("--json", modelsJson, "Print JSON");

    std::string a;
    std::string b;
    bool compareJson = false;
    CLI::App* compareCommand = app.add_subcommand("compare", "Compare two clips, or two folders of frames");
    compareCommand->add_option("A", a, "The reference")->required();
    compareCommand->add_option("B", b, "The other one")->required();
    compareCommand->add_flag("--json", compareJson, "Print JSON");

    const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
    if (argc > 1 && argv[1][0] != '-' && std::none_of(commands.begin(), commands.end(), [&](const auto* c) {
            return c->check_name(argv[1]);
        })) {
        std::string known;
        for (const CLI::App* command : commands)
            known += (known.empty() ? "" : ", ") + command->get_name();
        std::fprintf(stderr, "There is no command '%s'; the commands are %s.\n", printable(argv[1]).c_str(),
                     known.c_str());
        return kUsage;
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? kOk : kUsage;
    }
    if (app.got_subcommand("generate")) {
        if (!generateOptions.dryRun && generateOptions.out.empty()) {
            std::fputs("--out is missing: name the MP4 file to write, or use --dry-run.\n", stderr);
            return kUsage;
        }
        if (!seedGiven) {
            generateOptions.request.seed = std::random_device{}();
        }
        return generate(std::move(generateOptions));
    }
    if (app.got_subcommand(resumeCommand)) {
        return resume(std::move(resumeOptions));
    }
    if (app.got_subcommand(askCommand)) {
        return ask(std::move(askOptions));
    }
    if (app.got_subcommand(tokensCommand)) {
        return tokens(std::move(askOptions));
    }
    if (app.got_subcommand(evaluateCommand)) {
        return evaluate(std::move(evaluateOptions));
    }
    if (app.got_subcommand(calibrateCommand)) {
        return calibrateOptions.cache ? calibrateCache(std::move(calibrateOptions))
                                      : calibrate(std::move(calibrateOptions));
    }
    if (app.got_subcommand(studyCommand)) {
        return study(std::move(studyOptions));
    }
    if (app.got_subcommand(infoCommand)) {
        return info(infoFile);
    }
    if (app.got_subcommand(models)) {
        return models->got_subcommand(add) ? addModelFolder(modelFolder, modelsJson) : listModels(modelsJson);
    }
    return compare(a, b, compareJson);
}

} // namespace canopy::cli
