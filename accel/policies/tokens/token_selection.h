#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "accel/nn/token_hooks.h"

namespace canopy::accel {

// What every selection begins and ends with.

/// No field at Auto: newlines and positions as each method was published (token-forest.md 3.8; methods that
/// are not in its table: newlines of rows that keep a cell, packed positions). All, FastV and FrameFusion
/// hand the unpruned sequence to the language model, so both fields are fixed there.
TokenSettings resolveTokenSettings(TokenSettings settings);

/// Sizes and resolved settings of a run in which every cell is a candidate and none is kept yet.
TokenRun startRun(const TokenSettings& resolved, const VideoTokens& video);

/// Keeps the first tokenBudget() entries of `order` (cells from the most to the least wanted, candidates
/// only). Fills priority, budget, kept and keptCells. One copy of the kept cells to `device`.
TokenSelection keepInOrder(TokenRun run, const std::vector<std::int32_t>& order, at::Device device);

/// Keeps `cells`, ascending. run.budget is set before. Copies as keepInOrder().
TokenSelection keepCells(TokenRun run, const std::vector<std::int32_t>& cells, at::Device device);

/// A sentence about what differs from the published method, or what to know about the result.
void addNote(TokenRun& run, std::string_view sentence);
extern const std::string_view kNewlinesExceed; ///< where a budget of all tokens has no room for cells

/// int64 tensor of `values` on `device`.
at::Tensor toDevice(const std::vector<std::int64_t>& values, at::Device device);
/// Copy of an int64 tensor of cells. On a device this waits for it.
std::vector<std::int32_t> hostCells(const at::Tensor& cells);
/// Contiguous float32 copy on the host. On a device this waits for it.
std::vector<float> toHost(const at::Tensor& values);

} // namespace canopy::accel
