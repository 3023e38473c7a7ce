#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/value.h"
#include "core/evaluation/question_set.h"
#include "core/job/ask_request.h"

namespace canopy::evaluation {

/// One way of choosing tokens that is compared.
struct Arm {
    TokenSettings tokens;
    std::string name() const; ///< "forest_code 10 %"
};

/// What an arm made of one question.
struct ArmAnswer {
    std::string text;
    bool right = false;
    std::vector<double> letters; ///< probabilities of the options; empty without
    int videoTokens = 0;
    double firstWordSeconds = 0; ///< without vision when features were cached
    double selectSeconds = 0;
    double prefillSeconds = 0;
    std::uint64_t kvBytes = 0;
    bool operator==(const ArmAnswer&) const = default;
};
Value toValue(const ArmAnswer& answer);
ArmAnswer armAnswerFromValue(const Value& value);

/// McNemar's test of two arms on the same questions: `better` are right here and wrong there. Two-sided exact
/// binomial p; z = (better - worse) / sqrt(better + worse), 0 without discordant pairs.
struct McNemar {
    std::string against;
    int better = 0;
    int worse = 0;
    double z = 0;
    double p = 1;
};
McNemar mcNemar(std::string against, int better, int worse);

/// KL(full || pruned) of two distributions over the same letters, in nats; infinite shares are cut off at
/// 1e-12.
double letterDivergence(const std::vector<double>& full, const std::vector<double>& pruned);

struct TableRow {
    Arm arm;
    int questions = 0;
    int right = 0;
    double accuracy = 0;              ///< of all
    std::optional<double> retained;   ///< accuracy / accuracy of the unpruned arm
    std::optional<double> agreement;  ///< share of answers equal to the unpruned arm's
    std::optional<double> divergence; ///< mean KL over questions with options
    double videoTokens = 0;           ///< mean
    double firstWordSeconds = 0;      ///< median
    double selectSeconds = 0;         ///< median
    double prefillSeconds = 0;        ///< median
    double kvBytes = 0;               ///< mean
    std::vector<McNemar> tests;       ///< against the unpruned arm and every control of the same share
    std::map<std::string, double> accuracyByKind;
};

/// answers[arm][question]; every arm has one for each row. The unpruned arm is the one of mode All.
std::vector<TableRow> compareArms(const std::vector<QuestionRow>& rows, const std::vector<Arm>& arms,
                                  const std::vector<std::vector<ArmAnswer>>& answers);

} // namespace canopy::evaluation
