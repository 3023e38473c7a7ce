// FastVID, HoliTom's outer part and VisionZip against the public codes.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <doctest/doctest.h>

#include <algorithm>

#include "accel/policies/tokens/fastvid.h"
#include "accel/policies/tokens/holitom.h"
#include "accel/policies/tokens/token_math.h"
#include "accel/policies/tokens/token_policies.h"
#include "accel/policies/tokens/token_selection.h"
#include "accel/policies/tokens/visionzip.h"
#include "tests/support/parity_case.h"

namespace canopy::test {
namespace {

using namespace canopy::accel;

/// A share as it stands in tensor names: "0.1".
std::string number(double v) {
    std::string text = std::to_string(v);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.'))
        text += '0';
    return text;
}

struct Grid {
    int frames, rows, columns;
    explicit Grid(const Value& params, std::int64_t frameCount)
        : frames(static_cast<int>(frameCount))
        , rows(static_cast<int>(params["grid"].asArray()[0].asInt()))
        , columns(static_cast<int>(params["grid"].asArray()[1].asInt())) {}
};

/// Tokens as the host would be given them: `tokens` are those of `cells`, `newline` in between.
at::Tensor laidOut(const Grid& grid, NewlineMode host, NewlinePolicy policy, const at::Tensor& cells,
                   const at::Tensor& tokens, const at::Tensor& newline, std::vector<std::int32_t> sequence) {
    TokenSelection selection;
    selection.run.frames = grid.frames;
    selection.run.rows = grid.rows;
    selection.run.columns = grid.columns;
    selection.run.settings.newlines = policy;
    selection.run.settings.positions = PositionPolicy::Repacked;
    selection.run.kept.assign(static_cast<std::size_t>(selection.run.cells()), 0);
    for (const std::int32_t cell : hostCells(cells))
        selection.run.kept[static_cast<std::size_t>(cell)] = 1;
    selection.run.keptCells = static_cast<int>(cells.size(0));
    selection.kept = cells;
    selection.sequence = std::move(sequence);
    const TokenLayout layout = layoutTokens(selection, host);
    // Place -1 is the last row of the table, the newline.
    const auto table = at::cat({tokens, newline.unsqueeze(0)});
    return table.index_select(0, layout.source.remainder(table.size(0)));
}

} // namespace

void checkFastVid(const ParityCase& reference) {
    const auto& params = reference.json()["params"];
    const auto attention = reference.tensor("frame_attention");
    const auto global = reference.tensor("frame_global");
    const auto hidden = reference.tensor("hidden");
    const std::int64_t T = attention.size(0);
    const std::int64_t N = attention.size(1);
    const std::int64_t before = params["text_before"].asInt();
    const auto features = hidden.narrow(0, before, T * N).view({T, N, -1});
    for (const auto& value : params["retain"].asArray()) {
        const double share = value.asDouble();
        const std::string key = "r" + number(share);
        CAPTURE(key);
        FastVidSettings settings;
        settings.segments = static_cast<int>(params["c"].asInt());
        const FastVidResult result = fastVid(features, attention, global, share, settings);
        expectEqual(at::tensor(result.segmentSizes), reference.tensor(key + ".segment_sizes"),
                    key + " segments");
        expectEqual(at::tensor(result.contextPerFrame), reference.tensor(key + ".context_per_frame"),
                    key + " context tokens");
        const auto textBefore = at::arange(before);
        const auto textAfter = at::arange(before + T * N, hidden.size(0));
        expectEqual(at::cat({textBefore, result.cells + before, textAfter}),
                    reference.tensor(key + ".positions"), key + " positions");
        expectClose(at::cat({hidden.narrow(0, 0, before), result.features,
                             hidden.narrow(0, before + T * N, textAfter.size(0))}),
                    reference.tensor(key + ".hidden"), reference.tolerance(), key + " states");

        const auto scores = reference.tensor(key + ".density_score");
        const auto rest = others(largest(attention, N - scores.size(1)), N);
        const auto points = features.gather(1, rest.unsqueeze(-1).expand({-1, -1, features.size(2)}));
        expectClose(densityPeaks(points, 4).score, scores, reference.tolerance(), key + " density");
    }
}

void checkHoliTom(const ParityCase& reference) {
    const auto features = reference.tensor("features");
    const auto attention = reference.tensor("attention");
    const auto newline = reference.tensor("newline");
    const auto& params = reference.json()["params"];
    const Grid grid(params, features.size(0));
    for (const auto& facts : reference.json()["runs"].asArray()) {
        const double share = facts["retain"].asDouble();
        for (const bool beta : {true, false}) {
            const std::string key = "r" + number(share) + (beta ? ".betaon" : ".betaoff");
            CAPTURE(key);
            HoliTomSettings settings;
            settings.staticAbove = params["tau"].asDouble();
            settings.plainMean = !beta;
            const HoliTomResult result = holiTom(features, attention, share, settings);
            CHECK(result.plan.gain == static_cast<std::int64_t>(facts["gain"].asDouble()));
            CHECK(result.plan.effectiveShare == doctest::Approx(facts["effective_ratio"].asDouble()));
            const auto& windows = facts["windows"].asArray();
            REQUIRE(result.plan.windows.size() == windows.size());
            for (std::size_t i = 0; i < windows.size(); ++i) {
                const HoliTomWindow& window = result.plan.windows[i];
                CHECK(window.first == windows[i].asArray()[0].asInt());
                CHECK(window.last == windows[i].asArray()[1].asInt());
                if (window.last > window.first)
                    CHECK(static_cast<std::int64_t>(window.staticCells.size()) ==
                          facts["static_cells"].asArray()[i].asInt());
            }
            auto tokens = laidOut(grid, NewlineMode::None, NewlinePolicy::None, result.cells, result.features,
                                  newline, result.sequence);
            expectClose(tokens, reference.tensor(key + ".one_token.tokens"), reference.tolerance(),
                        key + " tokens, one newline");
            tokens = laidOut(grid, NewlineMode::Grid, NewlinePolicy::NonEmptyRows, result.cells,
                             result.features, newline, result.sequence);
            expectClose(tokens, reference.tensor(key + ".grid.tokens"), reference.tolerance(),
                        key + " tokens, grid");
        }
    }
}

void checkVisionZip(const ParityCase& reference) {
    const auto features = reference.tensor("features");
    const auto newline = reference.tensor("newline");
    const auto& params = reference.json()["params"];
    const Grid grid(params, features.size(0));
    const std::int64_t N = features.size(1);
    for (const auto& value : params["tokens_per_frame"].asArray()) {
        const std::string key = "m" + std::to_string(value.asInt());
        CAPTURE(key);
        const VisionZipResult result =
            visionZip(features, reference.tensor("attention"), reference.tensor("keys"), value.asInt());
        expectEqual(result.cells, reference.tensor(key + ".cells"), key + " cells");
        expectClose(result.features, reference.tensor(key + ".one_token"), reference.tolerance(),
                    key + " tokens");
        const auto first = at::arange(features.size(0)).unsqueeze(1) * N;
        const auto [cells, order] = (result.cells + first).flatten().sort();
        const auto tokens = laidOut(grid, NewlineMode::Grid, NewlinePolicy::AllRows, cells,
                                    result.features.flatten(0, 1).index_select(0, order), newline, {});
        expectClose(tokens, reference.tensor(key + ".grid_correct"), reference.tolerance(), key + " grid");
    }
}

} // namespace canopy::test
