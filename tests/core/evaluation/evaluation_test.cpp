#include <doctest/doctest.h>

#include <cmath>
#include <fstream>

#include "core/evaluation/comparison_table.h"
#include "core/evaluation/journal.h"
#include "core/evaluation/question_set.h"
#include "core/evaluation/report.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using namespace canopy::evaluation;
using canopy::test::TempFolder;

namespace {

std::filesystem::path write(const std::filesystem::path& file, std::string_view text) {
    std::ofstream(file) << text;
    return file;
}

ArmAnswer answer(std::string text, bool right, std::vector<double> letters = {}) {
    ArmAnswer a;
    a.text = std::move(text);
    a.right = right;
    a.letters = std::move(letters);
    return a;
}

Arm arm(TokenMode mode, double keep) {
    Arm a;
    a.tokens.mode = mode;
    a.tokens.keep = keep;
    return a;
}

} // namespace

TEST_CASE("a question set is read with paths relative to its file, and wrong rows are named") {
    TempFolder folder;
    const auto good = write(folder / "q.json", R"([{"video":"a.mp4","question":"What colour?",
        "options":["red","blue"],"answer":"blue","kind":"colour"},
        {"video":"a.mp4","question":"How many?","answer":"two"}])");
    const auto rows = readQuestionSet(good);
    REQUIRE(rows.ok());
    REQUIRE(rows->size() == 2);
    CHECK((*rows)[0].video == folder / "a.mp4");
    CHECK((*rows)[0].kind == "colour");
    CHECK((*rows)[1].options.empty());

    const auto refuse = [&](std::string_view text) {
        const auto read = readQuestionSet(write(folder / "bad.json", text));
        REQUIRE_FALSE(read.ok());
        return read.error().message;
    };
    CHECK(refuse("{}").find("list of questions") != std::string::npos);
    CHECK(refuse(R"([{"video":"a","question":"b"}])").find("Question 1") != std::string::npos);
    CHECK(refuse(R"([{"video":"a","question":"b","answer":"c","options":["x","y"]}])").find("\"c\"") !=
          std::string::npos);
    CHECK(refuse("[").find("cannot be read") != std::string::npos);
}

TEST_CASE("right answers are recognised as letters and as words") {
    QuestionRow choice{"v", "q", {"red", "blue"}, "blue", ""};
    CHECK(isRight(choice, "B"));
    CHECK(isRight(choice, " b. blue"));
    CHECK_FALSE(isRight(choice, "A"));
    CHECK_FALSE(isRight(choice, "blue")); // the form asks for the letter: "bl" is no letter
    QuestionRow open{"v", "q", {}, "moves in circles", ""};
    CHECK(isRight(open, "Moves in circles."));
    CHECK_FALSE(isRight(open, "moves"));
}

TEST_CASE("McNemar and the divergence agree with figures worked out by hand") {
    const auto test = mcNemar("x", 8, 2);
    CHECK(test.z == doctest::Approx(6 / std::sqrt(10.0)));
    CHECK(test.p == doctest::Approx(2 * (1 + 10 + 45) / 1024.0));
    CHECK(mcNemar("x", 0, 0).p == 1);
    CHECK(mcNemar("x", 5, 5).p == 1);
    CHECK(letterDivergence({0.5, 0.5}, {0.5, 0.5}) == 0);
    CHECK(letterDivergence({0.75, 0.25}, {0.25, 0.75}) == doctest::Approx(0.5 * std::log(3.0)));
}

TEST_CASE("the table compares every arm with the unpruned one and the controls of its share") {
    const std::vector<QuestionRow> rows(4, QuestionRow{"v", "q", {"a", "b"}, "a", "kind"});
    const std::vector<Arm> arms = {arm(TokenMode::All, 1), arm(TokenMode::ForestCode, 0.1),
                                   arm(TokenMode::UniformRandom, 0.1), arm(TokenMode::Stride, 0.5)};
    const std::vector<double> sure = {0.9, 0.1};
    const std::vector<double> other = {0.2, 0.8};
    const std::vector<std::vector<ArmAnswer>> answers = {
        {answer("A", true, sure), answer("A", true, sure), answer("A", true, sure),
         answer("B", false, other)},
        {answer("A", true, sure), answer("B", false, other), answer("B", false, other),
         answer("B", false, other)},
        {answer("A", true, sure), answer("A", true, sure), answer("B", false, other),
         answer("A", true, sure)},
        {answer("A", true, sure), answer("A", true, sure), answer("A", true, sure), answer("A", true, sure)},
    };
    const auto table = compareArms(rows, arms, answers);
    REQUIRE(table.size() == 4);
    CHECK(table[0].accuracy == 0.75);
    CHECK_FALSE(table[0].retained);
    CHECK(*table[1].retained == doctest::Approx(1.0 / 3));
    CHECK(*table[1].agreement == 0.5);
    CHECK(*table[1].divergence > 0);
    REQUIRE(table[1].tests.size() == 2); // unpruned, and the control of 10 %
    CHECK(table[1].tests[0].worse == 2);
    CHECK(table[1].tests[1].against == "uniform_random 10 %");
    CHECK(table[1].tests[1].better == 0);
    CHECK(table[1].tests[1].worse == 2);
    CHECK(table[3].accuracyByKind.at("kind") == 1);

    const ReportHead head{"Starter", "id", 1, 4, 8, "fp32", "cpu", "0.1"};
    const auto html = reportHtml(head, table);
    CHECK(html.find("uniform_random 10 %") != std::string::npos);
    CHECK(html.find("ForestPrune (code)") != std::string::npos);
    CHECK(reportMarkdown(head, table).find("| 33.3 |") != std::string::npos);
    CHECK(reportValue(head, table, answers)["answers"]["forest_code 10 %"].asArray().size() == 4);
}

TEST_CASE("a journal goes on where it stopped, drops half a line and refuses other questions") {
    TempFolder folder;
    EvaluationOptions options;
    options.rows.assign(3, QuestionRow{"v", "q", {}, "a", ""});
    options.arms = {arm(TokenMode::All, 1), arm(TokenMode::Stride, 0.5)};
    options.journal = folder / "out.partial.jsonl";
    {
        auto journal = Journal::open(options);
        REQUIRE(journal.ok());
        REQUIRE(journal->add(1, 2, answer("a", true, {0.25, 0.75})));
        CHECK(journal->answered() == 1);
    }
    std::ofstream(options.journal, std::ios::app) << R"({"arm":0,"row":0,"ans)"; // a killed program
    {
        auto journal = Journal::open(options);
        REQUIRE(journal.ok());
        CHECK(journal->answered() == 1);
        REQUIRE(journal->at(1, 2));
        CHECK(*journal->at(1, 2) == answer("a", true, {0.25, 0.75}));
        REQUIRE(journal->add(0, 0, answer("b", false)));
    }
    CHECK(Journal::open(options)->answered() == 2);
    options.rows[0].question = "another";
    const auto refused = Journal::open(options);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == ErrorCode::Mismatch);
}
