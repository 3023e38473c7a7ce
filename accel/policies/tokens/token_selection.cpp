#include "accel/policies/tokens/token_selection.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace canopy::accel {

TokenSettings resolveTokenSettings(TokenSettings settings) {
    NewlinePolicy newlines = NewlinePolicy::NonEmptyRows;
    PositionPolicy positions = PositionPolicy::Repacked;
    switch (settings.mode) {
    case TokenMode::All:
    case TokenMode::FrameFusion:
    case TokenMode::FastV:
        settings.newlines = NewlinePolicy::AllRows;
        settings.positions = PositionPolicy::Original;
        break;
    case TokenMode::ForestCode:
    case TokenMode::ForestPaper:
    case TokenMode::ForestBalanced:
    case TokenMode::VisionZip:
        newlines = NewlinePolicy::AllRows;
        break;
    case TokenMode::FastVid:
        newlines = NewlinePolicy::None;
        positions = PositionPolicy::Original;
        break;
    case TokenMode::HoliTom:
    case TokenMode::GPrune:
    case TokenMode::DyCoke:
    case TokenMode::UniformRandom:
    case TokenMode::Stride:
    case TokenMode::FrameSkip:
    case TokenMode::RegionCycle:
    case TokenMode::PixelDiff:
        break;
    }
    if (settings.newlines == NewlinePolicy::Auto)
        settings.newlines = newlines;
    if (settings.positions == PositionPolicy::Auto)
        settings.positions = positions;
    return settings;
}

TokenRun startRun(const TokenSettings& resolved, const VideoTokens& video) {
    TokenRun run;
    run.settings = resolved;
    run.frames = video.frames;
    run.rows = video.rows;
    run.columns = video.columns;
    run.featureWidth = static_cast<int>(video.features.size(-1));
    run.hostNewlines = video.newlines;
    run.candidates = run.cells();
    run.candidate.assign(static_cast<std::size_t>(run.cells()), 1);
    run.kept.assign(static_cast<std::size_t>(run.cells()), 0);
    return run;
}

TokenSelection keepInOrder(TokenRun run, const std::vector<std::int32_t>& order, at::Device device) {
    run.priority.assign(static_cast<std::size_t>(run.cells()), -1);
    for (std::size_t rank = 0; rank < order.size(); ++rank)
        run.priority[static_cast<std::size_t>(order[rank])] = static_cast<std::int32_t>(rank);
    run.budget = tokenBudget(run, run.settings.keep);
    std::vector<std::int32_t> cells(order.begin(), order.begin() + run.budget);
    std::sort(cells.begin(), cells.end());
    TokenSelection selection = keepCells(std::move(run), cells, device);
    TokenRun& done = selection.run;
    if (done.settings.accounting == BudgetAccounting::AllTokens) {
        done.settings.accounting = BudgetAccounting::Cells;
        const int allowed = tokenBudget(done, done.settings.keep);
        done.settings.accounting = BudgetAccounting::AllTokens;
        if (done.keptCells + newlineCount(done, done.kept) > allowed)
            addNote(done, kNewlinesExceed);
    }
    return selection;
}

TokenSelection keepCells(TokenRun run, const std::vector<std::int32_t>& cells, at::Device device) {
    std::fill(run.kept.begin(), run.kept.end(), std::uint8_t{0});
    for (const std::int32_t cell : cells)
        run.kept[static_cast<std::size_t>(cell)] = 1;
    run.keptCells = run.modelTokens = static_cast<int>(cells.size()); // newlines by layoutTokens()
    TokenSelection selection;
    selection.kept = toDevice({cells.begin(), cells.end()}, device);
    selection.run = std::move(run);
    return selection;
}

const std::string_view kNewlinesExceed =
    "The newlines alone exceed the budget; choose another newline policy "
    "or keep more.";

void addNote(TokenRun& run, std::string_view sentence) {
    run.notes.emplace_back(sentence);
}

at::Tensor toDevice(const std::vector<std::int64_t>& values, at::Device device) {
    const auto host = at::empty({static_cast<std::int64_t>(values.size())}, at::TensorOptions(at::kLong));
    std::copy(values.begin(), values.end(), host.mutable_data_ptr<std::int64_t>());
    return host.to(device);
}

std::vector<std::int32_t> hostCells(const at::Tensor& cells) {
    const auto host = cells.to(at::kInt).to(at::kCPU).contiguous();
    const auto* data = host.const_data_ptr<std::int32_t>();
    return {data, data + host.numel()};
}

std::vector<float> toHost(const at::Tensor& values) {
    const auto host = values.to(at::TensorOptions(at::kCPU).dtype(at::kFloat)).contiguous();
    const float* data = host.const_data_ptr<float>();
    return {data, data + host.numel()};
}

} // namespace canopy::accel
