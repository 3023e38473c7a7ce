#include <doctest/doctest.h>

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "core/base/value_codec.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using test::TempFolder;

// canopy-cli as a person calls it: the shipped starters' records, a scripted engine, a home of its own.

namespace {

struct Outcome {
    int code = -1;
    std::string out;
    std::string err;
};

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

class Home {
public:
    Outcome run(const std::string& arguments, const std::string& extra = {}) const {
        const auto err = m_folder / "stderr.txt";
        const std::string command = "XDG_DATA_HOME=" + (m_folder / "data").string() +
                                    " XDG_STATE_HOME=" + (m_folder / "state").string() +
                                    " XDG_CONFIG_HOME=" + (m_folder / "config").string() +
                                    " CANOPY_RESOURCES=" + environment("CANOPY_SOURCE_DIR") + "/resources" +
                                    " CANOPY_WORKER=" + environment("CANOPY_BIN_DIR") +
                                    "/canopy-fake-worker " + extra + " " + environment("CANOPY_BIN_DIR") +
                                    "/canopy-cli " + arguments + " 2> " + err.string() + " < /dev/null";
        Outcome outcome;
        FILE* pipe = ::popen(command.c_str(), "r");
        REQUIRE(pipe != nullptr);
        char buffer[4096];
        for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
            outcome.out.append(buffer, n);
        const int status = ::pclose(pipe);
        outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        std::stringstream text;
        text << std::ifstream(err).rdbuf();
        outcome.err = text.str();
        return outcome;
    }
    std::string path(const std::string& name) const { return (m_folder / name).string(); }

private:
    TempFolder m_folder;
};

std::string sample() {
    return environment("CANOPY_SOURCE_DIR") + "/resources/samples/boats-at-sunset.mp4";
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("wrong command lines end with 2 and say what is wrong") {
    const Home home;
    CHECK(home.run("").code == 2);
    CHECK(home.run("generate --prompt x").code == 2);
    CHECK(has(home.run("generate --prompt x").err, "--out is missing"));
    const auto size = home.run("generate --prompt x --size big --out x.mp4");
    CHECK(size.code == 2);
    CHECK(has(size.err, "'big' is no size"));
    const auto unknown = home.run("frobnicate x");
    CHECK(unknown.code == 2);
    CHECK(has(unknown.err, "no command 'frobnicate'; the commands are generate, "));
    CHECK(home.run("ask").code == 2);
    CHECK(home.run("ask video question --prune everything").code == 2);
    CHECK(home.run("ask video question --keep 1.5").code == 2);
    CHECK(home.run("tokens video --prune stride --keep 0.5").code == 2); // no --out
    CHECK(home.run("--version").out.starts_with("canopy-cli "));
}

TEST_CASE("a dry run prints settings and plan and makes nothing") {
    const Home home;
    const auto words = home.run("generate --prompt 'a red boat' --steps 7 --dry-run");
    CHECK_MESSAGE(words.code == 0, words.err);
    CHECK(has(words.out, "steps: 7"));
    CHECK(has(words.out, "Memory plan"));
    const auto name = home.run("generate --prompt 'a red boat' --frames 10 --dry-run --out clip.avi");
    CHECK(name.code != 0);
    CHECK(has(name.out, "must end in .mp4"));
    CHECK(has(name.out, "1 more than a multiple of 4"));
    CHECK(!has(name.out, "Memory plan"));
    const auto lines = home.run("generate --prompt 'a red boat' --frames 10 --dry-run --progress jsonl");
    CHECK(lines.code == 3);
    const auto plan = parseJson(lines.out.substr(0, lines.out.find('\n')));
    REQUIRE(plan.ok());
    CHECK((*plan)["problems"].asArray().size() == 1);
    const auto good = home.run("generate --prompt 'a red boat' --dry-run --progress jsonl");
    CHECK(good.code == 0);
    CHECK((*parseJson(good.out.substr(0, good.out.find('\n'))))["peak_bytes"].asInt() > 0);
}

TEST_CASE("sparse attention is resolved, and what the chosen method does not read is refused") {
    const Home home;
    const std::string ask = "generate --prompt 'a red boat' --dry-run --progress jsonl ";
    const auto good = home.run(ask + "--attention svg2 --tau 0.8 --clusters 20,60 --reuse tmr --gate 0.3,0.9 "
                                     "--steps 20");
    CHECK_MESSAGE(good.code == 0, good.err);
    const auto plan = parseJson(good.out.substr(0, good.out.find('\n')));
    REQUIRE(plan.ok());
    const Value& attention = (*plan)["request"]["attention"];
    CHECK(attention["method"].asString() == "svg2");
    CHECK(attention["tau"].asDouble() == 0.8);
    CHECK(attention["key_clusters"].asInt() == 60);
    CHECK(attention["delta"].asDouble() == 8);
    CHECK(attention["gate_low"].asDouble() == 0.3);
    CHECK(attention["warmup"].asInt() == 2);
    CHECK(home.run(ask + "--attention topk --reuse every:3").code == 0);
    CHECK(!has(home.run(ask).out, "\"attention\""));

    for (const char* wrong :
         {"--tau 0.8", "--attention window --tau 0.8", "--attention svg2 --stride 8", "--attention guess",
          "--attention xattention --stride 4", "--attention svg2 --clusters 0,10",
          "--attention svg2 --clusters 10", "--attention xattention --delta 3", "--reuse freeze",
          "--attention xattention --reuse every:0", "--attention xattention --reuse every",
          "--attention xattention --reuse every:x", "--attention window --stats s.json"}) {
        CAPTURE(wrong);
        const auto refused = home.run(ask + wrong);
        CHECK(refused.code == 2);
        CHECK(!refused.err.empty());
    }
    const auto tau = home.run(ask + "--attention xattention --tau 1.5");
    CHECK(tau.code == 3);
    CHECK(has(tau.out, "Tau is 1.5"));
}

TEST_CASE("clips in blocks are resolved, and what the other choices make meaningless is refused") {
    const Home home;
    const std::string ask = "generate --prompt 'a red boat' --dry-run --progress jsonl --steps 20 ";
    // A fit of one's own; without any, what is judged by time is refused.
    const auto plain = parseJson(home.run(ask).out);
    REQUIRE(plain.ok());
    const std::string model = (*plain)["request"]["model"].asString();
    std::ofstream(home.path("fit.json"))
        << R"({"version":1,"model":")" << model
        << R"(","polynomial":[0,0,0,1,0],"residual":0.1,"mean_change":0.1,)"
        << R"("largest_time_change":1,"prompts":8,"samples":100,"steps":20,"warmup":5,"shift":5,"guidance":4,)"
        << R"("width":320,"height":192,"frames":33,"presets":[]})";
    const auto good = home.run(ask + "--cache-fit " + home.path("fit.json") +
                               " --mode chunked --block-frames 3 --ar-step 5 --segments 1 --cache flowcache "
                               "--hit-rate 0.4 --cache-quantity residual --kv-budget 5 --kv-lambda 0.2 "
                               "--finalize-kv none --force-steps 1:2-4 --frames 33 --stats s.json");
    CHECK_MESSAGE(good.code == 0, good.err << good.out);
    const auto plan = parseJson(good.out.substr(0, good.out.find('\n')));
    REQUIRE(plan.ok());
    const Value& chunks = (*plan)["request"]["chunks"];
    CHECK(chunks["mode"].asString() == "chunked");
    CHECK(chunks["ar_step"].asInt() == 5);
    CHECK(chunks["quantity"].asString() == "residual");
    CHECK(chunks["kv_lambda"].asDouble() == 0.2);
    CHECK(chunks["finalize"].asString() == "none");
    CHECK(chunks["warmup"].asInt() == 5);
    CHECK(chunks["forced"].asArray().size() == 1);
    CHECK(!has(home.run(ask).out, "\"chunks\""));
    if (!std::filesystem::exists(environment("CANOPY_SOURCE_DIR") +
                                 "/resources/models/starter-video/canopy-reuse.json")) {
        const auto unknown = home.run(ask + "--mode chunked --cache flowcache --hit-rate 0.4");
        CHECK(unknown.code == 3);
        CHECK(has(unknown.out, "calibrate --cache"));
    }

    for (const char* wrong :
         {"--kv-budget 5", "--mode chunked --hit-rate 0.3", "--mode chunked --kv-lambda 0.2",
          "--mode chunked --segments none", "--mode chunked --cache flowcache --force-steps 3",
          "--mode chunked --cache teacache --threshold 0.1 --hit-rate 0.2", "--mode guess",
          "--mode chunked --base nothing.canopy", "--cache teacache"}) {
        CAPTURE(wrong);
        const auto refused = home.run(ask + wrong);
        CHECK(refused.code == 2);
        CHECK(!refused.err.empty());
    }
    const auto odd = home.run(ask + "--mode chunked --block-frames 3 --frames 37");
    CHECK(odd.code == 3);
    CHECK(has(odd.out, "no whole blocks of 3"));
}

TEST_CASE("both kinds of models are listed") {
    const Home home;
    const auto models = home.run("models --json");
    REQUIRE(models.code == 0);
    const auto value = parseJson(models.out);
    REQUIRE(value.ok());
    REQUIRE((*value)["models"].asArray().size() == 1);
    REQUIRE((*value)["question_models"].asArray().size() == 1);
    CHECK((*value)["models"].asArray()[0]["can_run"].asBool());
    CHECK((*value)["question_models"].asArray()[0]["can_run"].asBool());
    CHECK((*value)["problems"].asArray().empty());
    CHECK(home.run("models add " + home.path("nothing")).code == 4);
}

TEST_CASE("a question is answered in words and in JSON; tokens are written") {
    const Home home;
    const auto words = home.run("ask " + sample() + " 'What is it?' --prune forest_code --keep 0.25");
    CHECK_MESSAGE(words.code == 0, words.err);
    CHECK(words.out == "a scripted answer\n");
    CHECK(has(words.err, "video tokens kept"));
    const auto json = home.run("ask " + sample() +
                               " 'What is it?' --option red --option blue --frames 4 --prune forest_code "
                               "--keep 0.25 --json");
    REQUIRE(json.code == 0);
    const auto value = parseJson(json.out);
    REQUIRE(value.ok());
    CHECK((*value)["video_tokens"].asInt() == 17);
    CHECK((*value)["letter_probabilities"].asArray().size() == 2);
    CHECK((*value)["frame_index"].asArray().size() == 4);
    CHECK((*value)["request"]["tokens"]["keep"].asDouble() == 0.25);

    const auto out = home.path("run.json");
    const auto tokens = home.run("tokens " + sample() + " --prune forest_code --keep 0.25 --out " + out);
    CHECK_MESSAGE(tokens.code == 0, tokens.err);
    std::stringstream text;
    text << std::ifstream(out).rdbuf();
    CHECK(parseJson(text.str()).ok());
    CHECK(home.run("tokens " + sample() + " --out " + out).code == 4); // exists
    CHECK(home.run("tokens " + sample() + " --out " + home.path("run.txt")).code == 3);

    const auto none = home.run("ask " + home.path("nothing.mp4") + " 'What?'");
    CHECK(none.code == 4);
    CHECK(has(none.err, "nothing.mp4"));
    const auto one = home.run("ask " + sample() + " 'What?' --option red");
    CHECK(one.code == 3);
    CHECK(has(one.err, "one option only"));
    const auto all = home.run("ask " + sample() + " 'What?' --keep 0.5");
    CHECK(all.code == 3);
    CHECK(has(all.err, "pick a mode"));
}

TEST_CASE("evaluate compares, goes on after a stop and overwrites nothing") {
    const Home home;
    const auto questions = home.path("q.json");
    std::ofstream(questions)
        << R"([{"video":")" << sample()
        << R"(","question":"What?","answer":"a scripted answer","kind":"what"},{"video":")" << sample()
        << R"(","question":"Which?","answer":"no","options":["yes","no"]}])";
    const auto report = home.path("report.json");
    const std::string command =
        "evaluate " + questions + " --modes forest_code,uniform_random --keep 0.5,0.25 --out " + report;
    // The engine dies at the third word it says: the first question is kept.
    const auto stopped = home.run(command, "CANOPY_FAULT=point=word,n=3,do=oom");
    CHECK(stopped.code != 0);
    std::ofstream(report + ".answers.jsonl", std::ios::app) << "{\"arm\""; // and the program in mid-line
    const auto done = home.run(command);
    CHECK_MESSAGE(done.code == 0, done.err);
    CHECK(has(done.out, "| Uniform random | 25 |"));
    std::stringstream text;
    text << std::ifstream(report).rdbuf();
    const auto value = parseJson(text.str(), {.maxBytes = 1u << 24});
    REQUIRE(value.ok());
    CHECK((*value)["table"].asArray().size() == 5);
    CHECK((*value)["table"].asArray()[0]["accuracy"].asDouble() == 0.5);
    CHECK_FALSE(std::filesystem::exists(report + ".answers.jsonl"));
    CHECK(home.run(command).code == 4); // the report exists
    CHECK(home.run("evaluate " + home.path("none.json")).code == 4);
}

TEST_CASE("a clip is made, described and compared") {
    const Home home;
    const auto clip = home.path("clip.mp4");
    const auto made =
        home.run("generate --prompt 'a red boat' --size 64x64 --frames 9 --steps 2 --seed 5 --out " + clip +
                 " --progress jsonl");
    CHECK_MESSAGE(made.code == 0, made.err);
    CHECK(has(made.out, "\"state\":\"done\""));
    const auto info = home.run("info " + clip);
    CHECK(info.code == 0);
    CHECK(has(info.out, "a red boat"));
    CHECK(home.run("compare " + clip + " " + clip).code == 0);
    CHECK(home.run("info " + sample()).code == 4); // no settings inside
    const auto again = home.run("generate --prompt x --out " + clip);
    CHECK(again.code == 4);
    CHECK(has(again.err, "not overwritten"));
}
