#include "app/cli/ask_options.h"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace canopy::cli {
namespace {

std::vector<std::string> modeNames() {
    std::vector<std::string> names;
    for (const TokenModeInfo& info : tokenModes())
        names.emplace_back(info.name);
    return names;
}

template <typename Enum>
void addChoice(CLI::App& c, const std::string& flag, Enum& field,
               std::optional<Enum> (*fromName)(std::string_view), std::vector<std::string> names,
               const std::string& help) {
    std::string type;
    for (const std::string& name : names)
        type += (type.empty() ? "" : "|") + name;
    c.add_option_function<std::string>(
         flag, [&field, fromName](const std::string& name) { field = *fromName(name); }, help)
        ->check(CLI::IsMember(std::move(names)))
        ->type_name(type);
}

/// What both commands know: which model, which frames, which tokens, where.
void addShared(CLI::App& c, AskRequest& r, std::string& model) {
    TokenSettings& t = r.tokens;
    c.add_option("--model", model, "Id as 'models' prints it, or a path. Default: the first that can run.")
        ->type_name("ID|PATH");
    c.add_option("--frames", r.frames, "Frames sampled from the video. Default: the model's.")
        ->check(CLI::Range(1, 1024))
        ->type_name("N");
    addChoice(c, "--sampling", r.sampling, frameSamplingFromName, {"index", "time"},
              "Spread frames evenly by number or by time.");
    c.add_option("--tau-s", t.semanticThreshold, "Forests: least similarity of a link.")
        ->check(CLI::Range(-1.0, 1.0))
        ->type_name("X");
    c.add_option("--tau-sp", t.spatialThreshold, "Forests: 1 minus the largest distance of a link.")
        ->check(CLI::Range(0.0, 1.0))
        ->type_name("X");
    c.add_option("--rho", t.candidateShare, "Forests: share of each frame's cells that are candidates.")
        ->check(CLI::Range(0.0, 1.0))
        ->type_name("X");
    c.add_option("--seed", t.seed, "Of the random controls.")->type_name("S");
    addChoice(c, "--newlines", t.newlines, newlinePolicyFromName,
              {"auto", "all_rows", "nonempty_rows", "per_frame", "none"},
              "Which newline tokens stay, on hosts with one after each row.");
    addChoice(c, "--accounting", t.accounting, budgetAccountingFromName, {"cells", "all_tokens"},
              "Whether --keep counts cells only or newlines too.");
    addChoice(c, "--positions", t.positions, positionPolicyFromName, {"auto", "repacked", "original"},
              "Positions of kept tokens: packed, or those they had.");
    addChoice(c, "--pooling", r.pooling, tokenPoolingFromName, {"auto", "bilinear", "average"},
              "How patches become cells. Default: the model's.");
    addChoice(c, "--precision", r.precision, precisionFromName, {"auto", "fp32", "bf16"},
              "Of the calculation.");
    addChoice(c, "--device", r.device, deviceFromName, {"cpu", "cuda"}, "Where it runs.");
    c.add_option("--threads", r.threads, "CPU threads; 0 uses all.")
        ->check(CLI::Range(0, 1024))
        ->type_name("N");
    c.add_option("--memory", r.memoryBudgetGb, "Refuse what needs more; 0 = what is free.")
        ->check(CLI::NonNegativeNumber)
        ->type_name("GB");
}

void addMode(CLI::App& c, TokenSettings& t) {
    addChoice(c, "--prune", t.mode, tokenModeFromName, modeNames(),
              "How video tokens are chosen. Default: all, nothing is pruned.");
    c.add_option("--keep", t.keep, "Share of the video's cells that stays, above 0 up to 1.")
        ->check(CLI::Range(0.0, 1.0))
        ->type_name("R");
}

} // namespace

CLI::App* addAsk(CLI::App& app, AskOptions& o) {
    CLI::App* c = app.add_subcommand("ask", "Ask a question about a video");
    AskRequest& r = o.request;
    c->add_option("VIDEO", r.videoPath, "The video")->required();
    c->add_option("QUESTION", r.question, "The question")->required();
    c->add_option("--option", r.options, "One possible answer; give it once for each (multiple choice).")
        ->type_name("TEXT");
    addMode(*c, o.request.tokens);
    addShared(*c, o.request, o.model);
    c->add_option_function<std::string>(
         "--time-instruction", [&r](const std::string& word) { r.timeInstruction = word == "on"; },
         "Tell the model the times of the frames. Default: the model's.")
        ->check(CLI::IsMember({"on", "off"}))
        ->type_name("on|off");
    c->add_option("--max-tokens", r.maxNewTokens, "Longest answer.")
        ->check(CLI::Range(1, 4096))
        ->type_name("N");
    c->add_option("--record", o.record, "Also record the session (.canopy) for inspection.")
        ->type_name("FILE");
    c->add_flag("--json", o.json, "Print the whole answer as JSON on standard output.");
    return c;
}

CLI::App* addTokens(CLI::App& app, AskOptions& o) {
    CLI::App* c = app.add_subcommand("tokens", "Choose a video's tokens and write what was chosen and why");
    c->add_option("VIDEO", o.request.videoPath, "The video")->required();
    addMode(*c, o.request.tokens);
    addShared(*c, o.request, o.model);
    c->add_option("--out", o.out,
                  "The run as JSON (.json) or one line per cell (.csv). An existing file is "
                  "not overwritten.")
        ->required()
        ->type_name("FILE");
    return c;
}

CLI::App* addEvaluate(CLI::App& app, EvaluateOptions& o) {
    CLI::App* c =
        app.add_subcommand("evaluate", "Compare ways of choosing tokens on questions with known answers");
    c->add_option("QUESTIONS", o.questions,
                  "JSON list of {video, question, options?, answer, kind?}; paths relative to the file")
        ->required();
    c->add_option_function<std::vector<std::string>>(
         "--modes",
         [&o](const std::vector<std::string>& names) {
             for (const std::string& name : names)
                 o.modes.push_back(*tokenModeFromName(name));
         },
         "Ways to compare, separated by commas. Default: every one that prunes.")
        ->delimiter(',')
        ->check(CLI::IsMember(modeNames()))
        ->type_name("A,B,...");
    c->add_option(
         "--keep", o.keep,
         "Shares of cells that stay, separated by commas. Default: 1,0.5,0.25,0.1,0.05. 1 is always asked.")
        ->delimiter(',')
        ->check(CLI::Range(0.0, 1.0))
        ->type_name("R,R,...");
    addShared(*c, o.base, o.model);
    c->add_option(
         "--out", o.out,
         "The report: .json with every answer, or .html. Answers are kept beside it as they come, so "
         "that the same command goes on after a stop. An existing report is not overwritten.")
        ->type_name("FILE");
    return c;
}

} // namespace canopy::cli
