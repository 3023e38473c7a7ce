#include "app/cli/study_options.h"

#include <CLI/CLI.hpp>

#include <charconv>
#include <string>

namespace canopy::cli {

CLI::App* addStudy(CLI::App& app, StudyCommandOptions& o) {
    CLI::App* c = app.add_subcommand(
        "study", "Compare ways of making clips over prompts and seeds: time, fidelity, prompt following");
    c->add_option("--grid", o.grid, "The study: prompts, seeds, and the settings of every way, as JSON")
        ->required()
        ->type_name("F.json");
    c->add_option("--out", o.out,
                  "Folder for the results. A study that was stopped goes on from what lies there.")
        ->required()
        ->type_name("DIR");
    c->add_option("--model", o.model, "Id as 'models' prints it, or a path. Default: the grid's.")
        ->type_name("ID|PATH");
    c->add_option("--qa-model", o.qaModel, "Who is asked about the clips. Default: the first that can run.")
        ->type_name("ID|PATH");
    c->add_flag("--no-questions", o.noQuestions, "Ask nothing about the clips.");
    c->add_option("--prompt-set", o.promptSet, "A file of prompts instead of the grid's.")->type_name("FILE");
    c->add_option("--prompts", o.prompts, "Only the first N prompts. Default: all.")
        ->check(CLI::PositiveNumber)
        ->type_name("N");
    c->add_option("--arm", o.arms, "Only this way and the reference; give it once for each.")
        ->type_name("NAME");
    c->add_option("--device", o.device, "Instead of the grid's.")
        ->check(CLI::IsMember({"cpu", "cuda"}))
        ->type_name("cpu|cuda");
    c->add_option("--precision", o.precision, "Instead of the grid's.")
        ->check(CLI::IsMember({"auto", "fp32", "bf16"}))
        ->type_name("auto|fp32|bf16");
    c->add_option("--threads", o.threads, "Instead of the grid's.")
        ->check(CLI::Range(1, 1024))
        ->type_name("N");
    c->add_option(
         "--only", o.only,
         "Make only clips of this way now; the others stay for a later run of the same study. Give it "
         "once for each.")
        ->type_name("NAME");
    c->add_flag("--no-new-clips", o.noNewClips, "Only write the tables of what lies in the folder.");
    c->add_option_function<std::string>(
         "--part",
         [&o](const std::string& text) {
             const auto slash = text.find('/');
             int part = 0, parts = 0;
             const auto isNumber = [&](std::size_t begin, std::size_t end, int& value) {
                 const auto got = std::from_chars(text.data() + begin, text.data() + end, value);
                 return got.ec == std::errc() && got.ptr == text.data() + end;
             };
             if (slash == std::string::npos || !isNumber(0, slash, part) ||
                 !isNumber(slash + 1, text.size(), parts) || part < 1 || part > parts || parts > 1000)
                 throw CLI::ValidationError("--part", "expects a part and their number, as in 2/4");
             o.part = part - 1;
             o.parts = parts;
         },
         "Only every Nth prompt from the Ith on, for runs beside each other into one folder, where only "
         "fidelity counts; the same command without it then writes the tables.")
        ->type_name("I/N");
    return c;
}

} // namespace canopy::cli
