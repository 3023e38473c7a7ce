#include "core/job/chunk_layout.h"

#include <algorithm>
#include <cstdio>

namespace canopy {
namespace {

constexpr int kWarmupSteps = 5;
constexpr double kMostAddNoise = 50;

std::string number(double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%.10g", v);
    return text;
}

int ceilDiv(int a, int b) {
    return (a + b - 1) / b;
}

/// Segments of at most `base` chunks that share `overlap` with the one before.
std::vector<ChunkSegment> segmentsOf(int chunks, int base, int overlap) {
    std::vector<ChunkSegment> segments;
    for (int first = 0;; first += base - overlap) {
        const int length = std::min(base, chunks - first);
        segments.push_back({first, length, first == 0 ? 0 : overlap});
        if (first + length >= chunks)
            return segments;
    }
}

/// As the client or as the worker sees it.
bool hasStart(const GenerationRequest& r) {
    return !r.imagePath.empty() || !r.imagePixelsPath.empty();
}

bool fits(const ChunkSettings& s, int frames) {
    return s.blockFrames > 0 && frames > 0 && frames % s.blockFrames == 0 && s.overlapFrames > 0 &&
           s.overlapFrames % s.blockFrames == 0;
}

/// Leaves out what a given start or an earlier clip holds already.
void beginLate(ChunkLayout& layout, int fromChunk) {
    int finished = layout.givenFrames / layout.chunkFrames;
    layout.heldFrames = layout.givenFrames % layout.chunkFrames;
    if (fromChunk > finished) {
        finished = fromChunk;
        layout.heldFrames = 0;
    }
    std::erase_if(layout.segments,
                  [&](const ChunkSegment& s) { return s.firstChunk + s.chunks <= finished; });
    if (!layout.segments.empty()) {
        auto& first = layout.segments.front();
        first.prefixChunks = std::max(first.prefixChunks, finished - first.firstChunk);
    }
}

/// The pixel length nearest to `frames` whose latent frames are whole blocks.
int nearestFrames(int frames, int block) {
    const int blocks = std::max(1, (latentFrames(frames) + block / 2) / block);
    return pixelFrames(blocks * block);
}

class Problems {
public:
    void add(std::string sentence) { m_all.push_back(std::move(sentence)); }
    void unless(bool ok, std::string sentence) {
        if (!ok)
            add(std::move(sentence));
    }
    std::vector<std::string> take() { return std::move(m_all); }

private:
    std::vector<std::string> m_all;
};

void checkReuse(const ChunkSettings& s, int steps, Problems& problems) {
    if (s.cache == ReuseMethod::None) {
        problems.unless(s.threshold < 0 && s.hitRate < 0,
                        "A threshold or hit rate was given, but nothing is reused; choose --cache teacache "
                        "or flowcache.");
        return;
    }
    problems.unless(s.warmup >= 0,
                    "The warm-up is " + std::to_string(s.warmup) + " steps; choose 0 or more.");
    // The first step has nothing to repeat, the last is always computed.
    if (std::max(s.warmup, 1) >= steps - 1)
        problems.add(
            "With " + std::to_string(steps) + " steps and a warm-up of " + std::to_string(s.warmup) +
            " no step is left that could be reused; take more steps, a shorter warm-up, or no cache.");
    const bool byRate = s.hitRate >= 0;
    problems.unless(!(byRate && s.threshold >= 0),
                    "A threshold and a hit rate were given; give one of them.");
    problems.unless(byRate || s.threshold >= 0,
                    "Reuse needs a threshold or a hit rate, and neither was given; a hit rate of 0.4 is a "
                    "careful start.");
    problems.unless(!byRate || s.hitRate < 1,
                    "The hit rate is " + number(s.hitRate) + "; choose a share from 0 to below 1.");
    const bool content = s.cache == ReuseMethod::FlowCache && s.feature == ReuseFeature::Latent;
    problems.unless(!byRate || (!content && s.cache == ReuseMethod::FlowCache),
                    "A hit rate is known before sampling only where reuse follows the time alone (FlowCache "
                    "with the feature \"time\"); give a threshold instead.");
    problems.unless(s.rescale.empty() || s.rescale.size() == 5,
                    "The rescaling polynomial has " + std::to_string(s.rescale.size()) +
                        " coefficients; it needs 5, the highest power first.");
}

void checkMemory(const ChunkSettings& s, const ChunkLayout& layout, Problems& problems) {
    problems.unless(s.kvLambda >= 0 && s.kvLambda <= 1,
                    "Lambda is " + number(s.kvLambda) + "; choose a share from 0 to 1.");
    if (s.kvBudget == 0) {
        problems.unless(!s.kvWindow, "A window of keys was asked for without its size; give --kv-budget.");
        return;
    }
    int longest = 0, prefix = 0;
    for (const auto& segment : layout.segments) {
        longest = std::max(longest, segment.chunks);
        prefix = std::max(prefix, segment.prefixChunks);
    }
    if (s.kvBudget < longest && s.kvBudget < layout.inFlight + 1)
        problems.add("The memory for keys holds " + std::to_string(s.kvBudget) + " blocks, but " +
                     std::to_string(layout.inFlight) +
                     " are denoised at once and one finished block must fit beside them; choose " +
                     std::to_string(layout.inFlight + 1) + " or more, or a larger lag between blocks.");
    else if (s.kvBudget < longest && prefix + layout.inFlight > s.kvBudget)
        problems.add("The given start is " + std::to_string(prefix) + " blocks long and " +
                     std::to_string(layout.inFlight) +
                     " are denoised behind it, but the memory for keys "
                     "holds " +
                     std::to_string(s.kvBudget) + "; choose a larger budget or a shorter start.");
}

} // namespace

ChunkSettings withChunkDefaults(ChunkSettings s, const ModelDefaults& model, int steps) {
    if (s.mode != SamplingMode::Chunked)
        return s;
    if (s.blockFrames <= 0)
        s.blockFrames = model.blockLatentFrames;
    if (s.arStep < 0)
        s.arStep = steps;
    if (s.overlapFrames < 0)
        s.overlapFrames = s.blockFrames;
    if (s.addNoise < 0)
        s.addNoise = 0;
    if (s.warmup < 0)
        s.warmup = std::max(kWarmupSteps, ceilDiv(steps, 10));
    return s;
}

ChunkLayout chunkLayout(const GenerationRequest& r, const ModelDefaults& model) {
    ChunkLayout layout;
    const ChunkSettings& s = r.chunks;
    const int frames = latentFrames(r.frames);
    if (s.mode != SamplingMode::Chunked || !fits(s, frames))
        return layout;
    layout.chunkFrames = s.blockFrames;
    layout.chunks = frames / s.blockFrames;
    const int overlap = s.overlapFrames / s.blockFrames;
    const int trained = latentFrames(model.framesTrainedMax) / s.blockFrames;
    int base = std::max(trained, overlap + 1);
    if (s.segments > 0)
        base = std::max(ceilDiv(layout.chunks + (s.segments - 1) * overlap, s.segments), overlap + 1);
    layout.segments = segmentsOf(layout.chunks, base, overlap);
    if (hasStart(r))
        layout.givenFrames = std::max(s.givenFrames, 1);
    beginLate(layout, s.fromChunk);
    int longest = 0;
    for (const auto& segment : layout.segments) {
        const int moving = segment.chunks - segment.prefixChunks;
        layout.inFlight =
            std::max(layout.inFlight,
                     s.arStep > 0 ? std::min(moving, ceilDiv(std::max(r.steps, 1), s.arStep)) : moving);
        longest = std::max(longest, segment.chunks);
    }
    layout.capacityChunks = s.kvBudget > 0 ? std::min(s.kvBudget, longest) : longest;
    return layout;
}

std::vector<std::string> checkChunks(const GenerationRequest& r, const ModelRecord& model) {
    Problems problems;
    const ChunkSettings& s = r.chunks;
    if (s.mode != SamplingMode::Chunked) {
        problems.unless(s.cache == ReuseMethod::None && s.kvBudget == 0,
                        "Reuse and a budget of keys belong to clips made in blocks; choose --mode chunked.");
        problems.unless(
            s.givenFrames == 0,
            "A video can only start a clip that is made in blocks; choose --mode chunked, or give "
            "a first image.");
        return problems.take();
    }
    if (r.attention.method != AttentionMethod::Dense)
        problems.add("Sparse attention and sampling in blocks cannot be combined yet: in blocks each block "
                     "attends to a memory of keys. Choose the dense attention or the whole clip at once.");
    if (s.blockFrames <= 0) {
        problems.add("This model does not say how many latent frames its blocks have; give --block-frames, "
                     "or choose a model trained in blocks.");
        return problems.take();
    }
    const int frames = latentFrames(r.frames);
    if (frames % s.blockFrames != 0)
        problems.add("Length is " + std::to_string(r.frames) + " frames, " + std::to_string(frames) +
                     " latent frames, which are no whole blocks of " + std::to_string(s.blockFrames) +
                     "; choose " + std::to_string(nearestFrames(r.frames, s.blockFrames)) + " frames.");
    problems.unless(s.arStep >= 0 && s.arStep <= r.steps,
                    "The lag between blocks is " + std::to_string(s.arStep) + " steps; choose from 0 to " +
                        std::to_string(r.steps) + ", the number of steps.");
    problems.unless(s.segments >= 0, "The number of segments is " + std::to_string(s.segments) +
                                         "; choose 1 or more, or auto.");
    if (s.overlapFrames < 1 || s.overlapFrames % s.blockFrames != 0)
        problems.add("Segments overlap by " + std::to_string(s.overlapFrames) +
                     " latent frames; choose whole blocks of " + std::to_string(s.blockFrames) + ".");
    problems.unless(s.addNoise >= 0 && s.addNoise <= kMostAddNoise,
                    "Given frames are noised to " + number(s.addNoise) + "; choose from 0 to 50.");
    problems.unless(s.givenFrames >= 0 && (s.givenFrames == 0 || hasStart(r)),
                    "The clip is to begin with " + std::to_string(s.givenFrames) +
                        " given latent frames, but no video was given; name one (--video).");
    checkReuse(s, r.steps, problems);

    const ChunkLayout layout = chunkLayout(r, model.defaults);
    if (layout.chunks == 0)
        return problems.take();
    if (layout.segments.empty() && s.fromChunk < layout.chunks)
        problems.add("Nothing is left to be made: the given start fills the whole clip.");
    if (s.segments > layout.chunks)
        problems.add("The clip has " + std::to_string(layout.chunks) + " blocks and was to be made in " +
                     std::to_string(s.segments) + " segments; choose fewer.");
    checkMemory(s, layout, problems);
    for (const auto& range : s.forced)
        if (range.chunk >= layout.chunks || range.first >= range.end || range.end > r.steps)
            problems.add("Steps " + std::to_string(range.first) + " to " + std::to_string(range.end) +
                         " of block " + std::to_string(range.chunk) + " are to be computed, but there are " +
                         std::to_string(layout.chunks) + " blocks (from 0) of " + std::to_string(r.steps) +
                         " steps.");
    if (s.fromChunk < 0 || s.fromChunk >= layout.chunks)
        problems.add("The clip is to be made again from block " + std::to_string(s.fromChunk) +
                     ", but its blocks are 0 to " + std::to_string(layout.chunks - 1) + ".");
    problems.unless((s.fromChunk > 0) == !s.basePath.empty(),
                    s.fromChunk > 0 ? "To begin at a later block, the earlier clip must be given (--base)."
                                    : "An earlier clip was given, but no block from which to go on "
                                      "(--from-chunk).");
    return problems.take();
}

} // namespace canopy
