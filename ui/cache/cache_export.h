#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "ui/cache/cache_scene.h"

namespace canopy::ui {

/// One line a chunk step: chunk (from 1), step, row, timestep, state, reason, change, accumulated before and
/// after, tokens, context tokens, seconds. Steps that have not run are left out.
std::string cacheCsv(const CacheScene& scene);

/// Arrays of numpy.savez: state [chunks, steps] (0 not run, 1 computed, 2 reused, 3 forced); row, change (NaN
/// where none was asked), before, after, context_tokens and seconds of the same shape; memory_row,
/// memory_finished, memory_active [rows]; kept [chunks, latents] (NaN where not in memory) and, where places
/// were recorded, kept_places [chunks, latents, grid rows, grid columns].
Result<std::vector<std::uint8_t>> cacheNpz(const CacheScene& scene);

/// "computed", "reused", "forced", "not_run".
const char* cacheStateName(CacheState state);

} // namespace canopy::ui
