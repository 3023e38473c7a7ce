#pragma once

#include <string>
#include <vector>

#include <QString>

#include "core/studio/ask_view.h"

namespace canopy::ui {

/// All runs of one question on one video by one model: what may be compared. Oldest first.
struct AskGroup {
    std::string question;
    std::vector<std::string> options;
    std::string modelId;
    std::vector<AskView> asks;

    const AskView* find(JobId id) const;
    /// The newest finished one without pruning that was shown as many frames as `like`; null = not run.
    const AskView* unprunedFor(const AskView& like) const;
    /// Finished or not, of this mode and share; null = not run.
    const AskView* findRun(TokenMode mode, double keep) const;
};

/// Questions about one video in the order in which each was asked first. Runs without a question only choose
/// tokens and form a group of their own.
std::vector<AskGroup> groupAsks(const std::vector<AskView>& asks, const std::string& videoPath);

enum class Agreement { NotKnown, Same, Differs };
/// By the words of both answers, without case, spaces at the ends or a final full stop.
Agreement agreementOf(const AskView& a, const AskView& b);

/// "10 %", "2.5 %"
QString percentText(double share);
/// "10 % kept, ForestPrune (code)", "nothing pruned"
QString settingsWords(const TokenSettings& settings);
QString modeLabel(TokenMode mode); ///< for people: "ForestPrune (code)"
/// Seconds as "0:02.25"
QString timeText(double seconds);
/// Bytes as "0.28 MiB"
QString mebibytes(double bytes);
/// "2.6 GFLOP", "1.2 TFLOP"
QString flopText(double flop);

/// Times that an answer's card offers: where a pruned run kept clearly more cells than its average frame; at
/// most three, in time order. Empty where all frames are alike, so that nothing is claimed.
std::vector<double> fullestTimes(const TokenRun& run);
/// Times that the answer itself names ("at 2.3 s", "0:02.3") and that lie in the video.
std::vector<double> namedTimes(const QString& answer, double videoSeconds);

} // namespace canopy::ui
