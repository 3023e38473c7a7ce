// A clip whose program or engine is killed goes on from its saved state and ends with the pictures of one
// that was never stopped: canopy-cli, the real engine, the shipped starter.

#include <doctest/doctest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temp_folder.h"

namespace fs = std::filesystem;
using canopy::test::TempFolder;

namespace {

constexpr auto kDeadline = std::chrono::minutes(5);

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

std::string textOf(const fs::path& file) {
    std::stringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    return text.str();
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

/// A home of its own, and one command at a time in it.
class Home {
public:
    /// Starts canopy-cli; standard error goes to err().
    pid_t start(const std::vector<std::string>& arguments) const {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child > 0)
            return child;
        const auto set = [](const char* name, const fs::path& value) { ::setenv(name, value.c_str(), 1); };
        set("XDG_DATA_HOME", m_folder / "data");
        set("XDG_STATE_HOME", m_folder / "state");
        set("XDG_CONFIG_HOME", m_folder / "config");
        set("XDG_VIDEOS_DIR", m_folder / "videos");
        set("CANOPY_RESOURCES", environment("CANOPY_SOURCE_DIR") + "/resources");
        const int log = ::open(err().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
        ::dup2(log, STDERR_FILENO);
        ::dup2(log, STDOUT_FILENO);
        const std::string program = environment("CANOPY_BIN_DIR") + "/canopy-cli";
        std::vector<char*> argv{const_cast<char*>(program.c_str())};
        for (const auto& a : arguments)
            argv.push_back(const_cast<char*>(a.c_str()));
        argv.push_back(nullptr);
        ::execv(program.c_str(), argv.data());
        ::_exit(127);
    }
    int run(const std::vector<std::string>& arguments) const { return wait(start(arguments)); }
    static int wait(pid_t child) {
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    fs::path err() const { return m_folder / "output.txt"; }
    fs::path path(const char* name) const { return m_folder / name; }
    fs::path state(int job) const {
        return m_folder / "state" / "canopy" / ("job-" + std::to_string(job) + ".canopy");
    }
    /// False when the command ended first.
    bool waitForState(pid_t child, int job) const {
        const auto until = std::chrono::steady_clock::now() + kDeadline;
        while (!fs::exists(state(job))) {
            if (::waitpid(child, nullptr, WNOHANG) != 0 || std::chrono::steady_clock::now() > until)
                return false;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        return true;
    }
    std::map<std::string, std::string> pictures(const char* folder) const {
        std::map<std::string, std::string> all;
        for (const auto& entry : fs::directory_iterator(path(folder)))
            if (entry.path().extension() == ".png")
                all[entry.path().filename()] = textOf(entry.path());
        return all;
    }

private:
    TempFolder m_folder;
};

std::vector<std::string> clip(const Home& home, const char* name, const std::vector<std::string>& more) {
    std::istringstream words("generate --size 64x64 --frames 33 --steps 10 --seed 7 --precision fp32 "
                             "--threads 2 --mode chunked --save-every 0 --prompt");
    std::vector<std::string> all{std::istream_iterator<std::string>(words), {}};
    for (const std::string& word :
         {std::string("a red balloon over the sea"), std::string("--frames-dir"), home.path(name).string(),
          std::string("--out"), home.path(name).string() + ".mp4"})
        all.push_back(word);
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

/// The process that `parent` started.
pid_t childOf(pid_t parent) {
    for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(parent) + "/task")) {
        std::ifstream list(task.path() / "children");
        if (pid_t child = 0; list >> child)
            return child;
    }
    return 0;
}

} // namespace

TEST_CASE("kill -9 of the program or of the engine costs no bit of the clip") {
    const std::vector<std::vector<std::string>> kinds = {
        {"--finalize-kv", "none"},
        {"--ar-step", "6", "--cache", "flowcache", "--cache-feature", "latent", "--threshold", "0.3",
         "--cache-warmup", "3", "--cache-quantity", "residual"}};
    for (const auto& more : kinds) {
        Home home;
        REQUIRE_MESSAGE(home.run(clip(home, "whole", more)) == 0, textOf(home.err()));
        CHECK_FALSE(fs::exists(home.state(1))); // done: nothing is left
        const auto whole = home.pictures("whole");
        REQUIRE(whole.size() == 33);

        const pid_t program = home.start(clip(home, "program", more));
        REQUIRE_MESSAGE(home.waitForState(program, 2), textOf(home.err()));
        ::kill(program, SIGKILL);
        CHECK(Home::wait(program) == -SIGKILL);
        CHECK(home.pictures("program").empty());
        CHECK_MESSAGE(home.run({"resume", home.state(2)}) == 0, textOf(home.err()));
        CHECK(has(textOf(home.err()), "goes on from step"));
        CHECK(home.pictures("program") == whole);
        CHECK(fs::exists(home.path("program").string() + ".mp4"));
        CHECK(home.run({"resume", home.state(2)}) == 4); // it is done

        const pid_t lucky = home.start(clip(home, "engine", more));
        REQUIRE_MESSAGE(home.waitForState(lucky, 3), textOf(home.err()));
        const pid_t engine = childOf(lucky);
        REQUIRE(engine > 0);
        ::kill(engine, SIGKILL);
        CHECK_MESSAGE(Home::wait(lucky) == 0, textOf(home.err()));
        CHECK(has(textOf(home.err()), "goes on from step"));
        CHECK(home.pictures("engine") == whole);
    }
}

TEST_CASE("a clip that was recorded when it was killed goes on from its recording") {
    Home home;
    const auto record = home.path("session.canopy");
    const pid_t program = home.start(clip(home, "clip", {"--record", record}));
    REQUIRE_MESSAGE(home.waitForState(program, 1), textOf(home.err()));
    ::kill(program, SIGKILL);
    CHECK(Home::wait(program) == -SIGKILL);
    CHECK(home.run({"resume", record, "--out", home.path("x.mp4")}) == 3); // its place is decided
    CHECK(has(textOf(home.err()), "clip.mp4"));
    CHECK_MESSAGE(home.run({"resume", record}) == 0, textOf(home.err()));
    CHECK(has(textOf(home.err()), "goes on from step"));
    CHECK(home.pictures("clip").size() == 33);
    CHECK(home.run({"resume", record}) == 4);
    CHECK(has(textOf(home.err()), "holds no saved state"));
}

TEST_CASE("made again from a block on, the pictures before it keep their bits") {
    Home home;
    const auto record = home.path("base.canopy");
    REQUIRE_MESSAGE(home.run(clip(home, "base", {"--record", record})) == 0, textOf(home.err()));
    auto again = clip(home, "again", {"--from-chunk", "2", "--base", record});
    *std::find(again.begin(), again.end(), "a red balloon over the sea") = "a dark forest at night";
    REQUIRE_MESSAGE(home.run(again) == 0, textOf(home.err()));
    const auto before = home.pictures("base");
    const auto after = home.pictures("again");
    REQUIRE(before.size() == 33);
    REQUIRE(after.size() == 33);
    constexpr int kKept = 21; // pictures of the first two blocks of three latent frames
    int index = 0;
    for (const auto& [name, picture] : before) {
        CAPTURE(name);
        CHECK((after.at(name) == picture) == (index < kKept));
        ++index;
    }
}
