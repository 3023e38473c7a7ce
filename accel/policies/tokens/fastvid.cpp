#include "accel/policies/tokens/fastvid.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <numeric>

#include "accel/policies/tokens/token_math.h"
#include "accel/policies/tokens/token_selection.h"

// T frames of N cells, D wide; per frame q = int(N share) tokens: q - int(q d) salient ones that stay as they
// are, and int(q d) context tokens on average, which stand in anchor frames and take in the other n cells.

namespace canopy::accel {
namespace {

/// First frame of each segment, then T.
std::vector<std::int64_t> cutSegments(const at::Tensor& global, const FastVidSettings& settings) {
    const std::int64_t frames = global.size(0);
    const auto unit = unitRows(global);
    const std::vector<float> cosines =
        toHost((unit.narrow(0, 0, frames - 1) * unit.narrow(0, 1, frames - 1)).sum(-1));
    std::vector<std::size_t> least(cosines.size());
    std::iota(least.begin(), least.end(), std::size_t{0});
    std::stable_sort(least.begin(), least.end(),
                     [&](std::size_t a, std::size_t b) { return cosines[a] < cosines[b]; });
    const std::size_t forced = std::min(least.size(), static_cast<std::size_t>(settings.segments - 1));
    std::vector<bool> cutAfter(cosines.size());
    for (std::size_t i = 0; i < cosines.size(); ++i)
        cutAfter[i] = cosines[i] < static_cast<float>(settings.cutBelow);
    for (std::size_t i = 0; i < forced; ++i)
        cutAfter[least[i]] = true;
    std::vector<std::int64_t> starts = {0};
    for (std::size_t i = 0; i < cutAfter.size(); ++i)
        if (cutAfter[i])
            starts.push_back(static_cast<std::int64_t>(i) + 1);
    starts.push_back(frames);
    return starts;
}

/// Context tokens of one segment.
class Segment {
public:
    /// `features` [len, n, D] and `cells` [len, n] (flat) of the tokens that are not salient.
    Segment(at::Tensor features, at::Tensor cells)
        : m_features(std::move(features))
        , m_cells(std::move(cells))
        , m_sources(m_features.flatten(0, 1))
        , m_unit(unitRows(m_sources))
        , m_bestCosine(at::full({m_sources.size(0)}, -2, m_sources.options()))
        , m_into(at::full({m_sources.size(0)}, -1, m_cells.options())) {}

    /// Adds `count` context tokens in frame `anchor` of the segment.
    void addAnchor(std::int64_t anchor, std::int64_t count, double beta) {
        const auto own = m_features.select(0, anchor); // [n, D]
        const auto peaks = largest(densityPeaks(own, 4).score, count);
        const auto targets = own.index_select(0, peaks); // [count, D]
        const auto targetCells = m_cells.select(0, anchor).index_select(0, peaks);
        const auto cosines = at::matmul(m_unit, unitRows(targets).t()); // [len n, count]
        const auto group = firstArgmax(cosines);
        const auto members = groupMeans(m_sources, group, count);
        const auto weight = (members.count + 1).reciprocal().clamp_min(beta); // [count, 1]
        m_tokens.push_back(weight * targets + (1 - weight) * members.means);
        m_tokenCells.push_back(targetCells);

        const auto closest = cosines.amax(-1);
        const auto closer = closest > m_bestCosine;
        m_bestCosine = at::where(closer, closest, m_bestCosine);
        m_into = at::where(closer, targetCells.index_select(0, group), m_into);
    }
    /// Where each cell of the segment went, written to flat [T N].
    void writeMergedInto(at::Tensor& mergedInto) const { mergedInto.scatter_(0, m_cells.flatten(), m_into); }
    const std::vector<at::Tensor>& tokens() const { return m_tokens; }
    const std::vector<at::Tensor>& tokenCells() const { return m_tokenCells; }

private:
    at::Tensor m_features, m_cells, m_sources, m_unit;
    at::Tensor m_bestCosine, m_into;
    std::vector<at::Tensor> m_tokens, m_tokenCells;
};

} // namespace

FastVidResult fastVid(const at::Tensor& features, const at::Tensor& attention, const at::Tensor& global,
                      double share, const FastVidSettings& settings) {
    const std::int64_t T = features.size(0);
    const std::int64_t N = features.size(1);
    const std::int64_t D = features.size(2);
    const auto q = std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(N) * share));
    const auto context = static_cast<std::int64_t>(static_cast<double>(q) * settings.contextShare);
    const auto salient = largest(attention, q - context);                        // [T, q - context]
    const auto rest = others(salient, N);                                        // [T, n]
    const auto firstCell = at::full({T, 1}, N, salient.options()).cumsum(0) - N; // [T, 1]
    const auto restFeatures = features.gather(1, rest.unsqueeze(-1).expand({-1, -1, D}));

    FastVidResult result;
    result.contextPerFrame.assign(static_cast<std::size_t>(T), 0);
    result.mergedInto = at::full({T * N}, -1, salient.options());
    const auto salientCells = (salient + firstCell).flatten();
    std::vector<at::Tensor> cells = {salientCells};
    std::vector<at::Tensor> tokens = {features.flatten(0, 1).index_select(0, salientCells)};
    const std::vector<std::int64_t> starts = cutSegments(global, settings);
    for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
        const std::int64_t length = starts[s + 1] - starts[s];
        result.segmentSizes.push_back(static_cast<int>(length));
        const std::int64_t anchors = (length + settings.anchorStep - 1) / settings.anchorStep;
        const std::int64_t perAnchor = std::min(context * length / anchors, rest.size(1));
        if (perAnchor == 0)
            continue;
        Segment segment(restFeatures.narrow(0, starts[s], length),
                        (rest + firstCell).narrow(0, starts[s], length));
        for (std::int64_t anchor = length - 1; anchor >= 0; anchor -= settings.anchorStep) {
            segment.addAnchor(anchor, perAnchor, settings.beta);
            result.contextPerFrame[static_cast<std::size_t>(starts[s] + anchor)] =
                static_cast<int>(perAnchor);
        }
        segment.writeMergedInto(result.mergedInto);
        cells.insert(cells.end(), segment.tokenCells().begin(), segment.tokenCells().end());
        tokens.insert(tokens.end(), segment.tokens().begin(), segment.tokens().end());
    }
    const auto [ascending, order] = at::cat(cells).sort();
    result.cells = ascending;
    result.features = at::cat(tokens).index_select(0, order);
    // A context token stays where it is.
    result.mergedInto.index_fill_(0, result.cells, -1);
    return result;
}

TokenPick FastVidSelector::pick(const VideoTokens& video, double share, TokenRun& run,
                                const std::stop_token&) {
    const auto features = video.features.to(at::kFloat);
    const FastVidSettings constants;
    const FastVidResult result = fastVid(features, video.attention, features.mean(1), share, constants);
    addNote(run,
            "SigLIP's pooling head, from which FastVID takes a frame's vector and its attention, is not in "
            "this model; the mean of the frame's tokens and the attention received in the vision tower's "
            "last block stand in for them.");
    if (video.frames <= constants.segments)
        addNote(run,
                "FastVID makes at least 8 segments, so with this few frames each frame is one of its own.");
    TokenPick pick;
    pick.cells = hostCells(result.cells);
    pick.features = result.features.to(video.features.scalar_type());
    pick.mergedInto = hostCells(result.mergedInto);
    return pick;
}

} // namespace canopy::accel
