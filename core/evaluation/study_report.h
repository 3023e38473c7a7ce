#pragma once

#include <string>
#include <vector>

#include "core/evaluation/study_table.h"

namespace canopy::evaluation {

/// What a report says above its table.
struct StudyHead {
    std::string title;
    std::string modelLabel, modelId;
    std::string qaLabel; ///< empty = nobody asked
    std::string machine;
    int width = 0, height = 0, frames = 0, steps = 0;
    std::size_t prompts = 0, seeds = 0;
    int repeats = 1;
    Followed drawn;
    std::string programVersion;
};

/// One line for each clip, with every figure that its worker told ("summary.NAME").
std::string studyClipsCsv(const StudyGrid& grid, const std::vector<StudyResult>& results);
/// One line for each arm, intervals as three columns.
std::string studyTableCsv(const std::vector<StudyRow>& table);
/// A page that stands alone: tables and inline SVG, no script, no network.
std::string studyHtml(const StudyHead& head, const std::vector<StudyRow>& table,
                      const std::vector<MatchedFidelity>& matched);
/// For a terminal.
std::string studyText(const StudyHead& head, const std::vector<StudyRow>& table,
                      const std::vector<MatchedFidelity>& matched);

} // namespace canopy::evaluation
