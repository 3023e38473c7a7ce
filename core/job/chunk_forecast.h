#pragma once

#include <vector>

#include "core/job/chunk_record.h"

namespace canopy {

/// What is left of a clip that is made block by block, predicted from its own measured rows.
struct ChunkForecast {
    std::vector<double> secondsLeft; ///< [chunks] of work on each; 0 = finished
    double seconds = 0;              ///< of all; 0 = nothing is measured yet
    double spread = 0;               ///< half width of the range
};

/// A step takes what the same step of earlier chunks took, or, where none has come so far, what the steps of
/// its kind (computed, reused) took. `betweenRows`: measured seconds outside the rows so far (decoding); each
/// finished chunk has its share of them. Pure.
ChunkForecast chunkForecast(const ChunkRecord& record, double betweenRows = 0);

} // namespace canopy
