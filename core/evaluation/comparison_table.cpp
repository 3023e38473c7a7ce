#include "core/evaluation/comparison_table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace canopy::evaluation {
namespace {

double median(std::vector<double> values) {
    if (values.empty())
        return 0;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1)
        return *middle;
    return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

template <typename Field>
std::vector<double> column(const std::vector<ArmAnswer>& answers, Field field) {
    std::vector<double> values;
    for (const ArmAnswer& answer : answers)
        values.push_back(static_cast<double>(answer.*field));
    return values;
}

double mean(const std::vector<double>& values) {
    return values.empty()
               ? 0
               : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

McNemar paired(const std::string& name, const std::vector<ArmAnswer>& here,
               const std::vector<ArmAnswer>& there) {
    int better = 0;
    int worse = 0;
    for (std::size_t i = 0; i < here.size(); ++i) {
        better += here[i].right && !there[i].right;
        worse += !here[i].right && there[i].right;
    }
    return mcNemar(name, better, worse);
}

} // namespace

std::string Arm::name() const {
    char share[32];
    std::snprintf(share, sizeof share, "%.10g %%", tokens.keep * 100);
    return std::string(tokenModeName(tokens.mode)) + " " + share;
}

Value toValue(const ArmAnswer& a) {
    Value v;
    v.set("text", a.text).set("right", a.right);
    v.set("letters", Value::Array(a.letters.begin(), a.letters.end()));
    v.set("video_tokens", a.videoTokens).set("first_word_seconds", a.firstWordSeconds);
    v.set("select_seconds", a.selectSeconds).set("prefill_seconds", a.prefillSeconds);
    v.set("kv_bytes", a.kvBytes);
    return v;
}

ArmAnswer armAnswerFromValue(const Value& v) {
    ArmAnswer a;
    a.text = v["text"].asString();
    a.right = v["right"].asBool();
    for (const Value& letter : v["letters"].asArray())
        a.letters.push_back(letter.asDouble());
    a.videoTokens = static_cast<int>(v["video_tokens"].asInt());
    a.firstWordSeconds = v["first_word_seconds"].asDouble();
    a.selectSeconds = v["select_seconds"].asDouble();
    a.prefillSeconds = v["prefill_seconds"].asDouble();
    a.kvBytes = static_cast<std::uint64_t>(v["kv_bytes"].asInt());
    return a;
}

McNemar mcNemar(std::string against, int better, int worse) {
    McNemar test{std::move(against), better, worse, 0, 1};
    const int n = better + worse;
    if (n == 0)
        return test;
    test.z = (better - worse) / std::sqrt(static_cast<double>(n));
    // Two-sided exact: twice the tail of Binomial(n, 1/2) up to the smaller count, in logarithms.
    const int tail = std::min(better, worse);
    double sum = 0;
    for (int k = 0; k <= tail; ++k)
        sum += std::exp(std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0) -
                        n * std::log(2.0));
    test.p = std::min(1.0, 2 * sum);
    return test;
}

double letterDivergence(const std::vector<double>& full, const std::vector<double>& pruned) {
    constexpr double kLeast = 1e-12;
    double sum = 0;
    for (std::size_t i = 0; i < full.size() && i < pruned.size(); ++i)
        if (full[i] > kLeast)
            sum += full[i] * std::log(full[i] / std::max(pruned[i], kLeast));
    return std::max(0.0, sum);
}

std::vector<TableRow> compareArms(const std::vector<QuestionRow>& rows, const std::vector<Arm>& arms,
                                  const std::vector<std::vector<ArmAnswer>>& answers) {
    const auto all = std::find_if(arms.begin(), arms.end(),
                                  [](const Arm& arm) { return arm.tokens.mode == TokenMode::All; });
    const auto* full = all == arms.end() ? nullptr : &answers[static_cast<std::size_t>(all - arms.begin())];
    std::vector<TableRow> table;
    for (std::size_t a = 0; a < arms.size(); ++a) {
        const auto& mine = answers[a];
        TableRow row;
        row.arm = arms[a];
        row.questions = static_cast<int>(rows.size());
        std::map<std::string, std::pair<int, int>> byKind; ///< right, asked
        for (std::size_t i = 0; i < rows.size(); ++i) {
            row.right += mine[i].right;
            auto& [right, asked] = byKind[rows[i].kind];
            right += mine[i].right;
            ++asked;
        }
        row.accuracy = rows.empty() ? 0 : static_cast<double>(row.right) / static_cast<double>(rows.size());
        for (const auto& [kind, counts] : byKind)
            row.accuracyByKind[kind] = static_cast<double>(counts.first) / counts.second;
        row.videoTokens = mean(column(mine, &ArmAnswer::videoTokens));
        row.kvBytes = mean(column(mine, &ArmAnswer::kvBytes));
        row.firstWordSeconds = median(column(mine, &ArmAnswer::firstWordSeconds));
        row.selectSeconds = median(column(mine, &ArmAnswer::selectSeconds));
        row.prefillSeconds = median(column(mine, &ArmAnswer::prefillSeconds));
        if (full && full != &mine) {
            int fullRight = 0;
            int same = 0;
            std::vector<double> divergences;
            for (std::size_t i = 0; i < rows.size(); ++i) {
                fullRight += (*full)[i].right;
                same += (*full)[i].text == mine[i].text;
                if (!rows[i].options.empty())
                    divergences.push_back(letterDivergence((*full)[i].letters, mine[i].letters));
            }
            if (fullRight > 0)
                row.retained = static_cast<double>(row.right) / fullRight;
            if (!rows.empty())
                row.agreement = static_cast<double>(same) / static_cast<double>(rows.size());
            if (!divergences.empty())
                row.divergence = mean(divergences);
            row.tests.push_back(paired(all->name(), mine, *full));
        }
        for (std::size_t b = 0; b < arms.size(); ++b)
            if (b != a && tokenModeInfo(arms[b].tokens.mode).kind == TokenModeKind::Control &&
                arms[b].tokens.keep == arms[a].tokens.keep)
                row.tests.push_back(paired(arms[b].name(), mine, answers[b]));
        table.push_back(std::move(row));
    }
    return table;
}

} // namespace canopy::evaluation
