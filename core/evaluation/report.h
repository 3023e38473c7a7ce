#pragma once

#include <string>
#include <vector>

#include "core/base/value.h"
#include "core/evaluation/comparison_table.h"

namespace canopy::evaluation {

/// What a report says about how it was made.
struct ReportHead {
    std::string modelLabel;
    std::string modelId;
    std::size_t videos = 0;
    std::size_t questions = 0;
    int frames = 0;
    std::string precision;
    std::string device;
    std::string programVersion;
};

/// {"head": ..., "table": [...], "answers": {arm: [{text, right, letters}]}}.
Value reportValue(const ReportHead& head, const std::vector<TableRow>& table,
                  const std::vector<std::vector<ArmAnswer>>& answers);
/// One self-contained page: the table, tests against the controls, accuracy by kind.
std::string reportHtml(const ReportHead& head, const std::vector<TableRow>& table);
/// The table for a terminal or a Markdown page.
std::string reportMarkdown(const ReportHead& head, const std::vector<TableRow>& table);

} // namespace canopy::evaluation
