#include "core/job/chunk_flop.h"

namespace canopy {

ChunkFlop chunkFlop(const DitConfig& dit, std::int64_t chunkTokens, int textTokens) {
    const double width = dit.width();
    const auto tokens = static_cast<double>(chunkTokens);
    const double text = textTokens;
    // Per layer: query, key, value and output of self-attention, query and output of cross-attention, the
    // feed-forward's two; keys and values of the text.
    const double perToken = 6 * width * width + 2 * width * dit.ffnDim;
    const double perTextToken = 2 * width * width;
    ChunkFlop flop;
    flop.linear = dit.layers * (2 * tokens * perToken + 2 * text * perTextToken + 4 * tokens * text * width);
    flop.context = dit.layers * 4 * tokens * tokens * width;
    return flop;
}

double wholeClipFlop(const DitConfig& dit, std::int64_t videoTokens, int textTokens, int steps, int branches,
                     double density) {
    return steps * branches * chunkFlop(dit, videoTokens, textTokens).pass(density);
}

} // namespace canopy
