#include "accel/policies/tokens/token_policies.h"

#include <algorithm>

#include "accel/policies/tokens/token_selection.h"

// Unpruned sequences (token-forest.md 1.6), H rows of W cells, N = H W:
//   OneToken   c0 c1 ... c(TN-1) \n                          positions 0 .. TN
//   Grid       W cells \n, H times a frame                   frame f, row r: f H (W+1) + r (W+1) + column
//   Frame      N cells \n a frame                            f (N+1) + cell
//   None       c0 c1 ... c(TN-1)

namespace canopy::accel {
namespace {

struct Place {
    std::int64_t source;
    std::int64_t position;
    std::int64_t videoIndex;
};

class SequenceBuilder {
public:
    SequenceBuilder(const TokenRun& run, NewlineMode host)
        : m_run(run)
        , m_host(host)
        , m_policy(run.settings.newlines)
        , m_width(run.columns + (host == NewlineMode::Grid ? 1 : 0))
        , m_frameSpan(std::int64_t{run.rows} * m_width + (host == NewlineMode::Frame ? 1 : 0)) {}

    std::vector<Place> build() {
        std::size_t cell = 0;
        for (int frame = 0; frame < m_run.frames; ++frame) {
            bool frameKept = false;
            for (int row = 0; row < m_run.rows; ++row) {
                bool rowKept = false;
                for (int column = 0; column < m_run.columns; ++column, ++cell) {
                    if (!m_run.kept[cell])
                        continue;
                    const std::int64_t patch = std::int64_t{row} * m_width + column;
                    addCell(frame, patch);
                    rowKept = true;
                }
                if (m_host == NewlineMode::Grid && rowNewline(row, rowKept)) {
                    const std::int64_t patch = std::int64_t{row} * m_width + m_run.columns;
                    add(-1, frame * m_frameSpan + patch, frame * patches() + patch);
                }
                frameKept = frameKept || rowKept;
            }
            if (m_host == NewlineMode::Frame && frameNewline(frameKept))
                add(-1, (frame + 1) * m_frameSpan - 1, -1);
        }
        if (m_host == NewlineMode::OneToken && m_policy != NewlinePolicy::None)
            add(-1, m_run.frames * m_frameSpan, -1);
        return std::move(m_places);
    }
    std::int64_t unprunedTokens() const {
        return m_run.frames * m_frameSpan + (m_host == NewlineMode::OneToken ? 1 : 0);
    }

private:
    std::int64_t patches() const { return std::int64_t{m_run.rows} * m_width; }
    void addCell(int frame, std::int64_t patch) {
        add(m_nextKept++, frame * m_frameSpan + patch, frame * patches() + patch);
    }
    void add(std::int64_t source, std::int64_t position, std::int64_t videoIndex) {
        m_places.push_back({source, position, videoIndex});
    }
    bool rowNewline(int row, bool rowKept) const {
        return m_policy == NewlinePolicy::AllRows || (m_policy == NewlinePolicy::NonEmptyRows && rowKept) ||
               (m_policy == NewlinePolicy::PerFrame && row == m_run.rows - 1);
    }
    bool frameNewline(bool frameKept) const {
        return m_policy == NewlinePolicy::AllRows || m_policy == NewlinePolicy::PerFrame ||
               (m_policy == NewlinePolicy::NonEmptyRows && frameKept);
    }

    const TokenRun& m_run;
    NewlineMode m_host;
    NewlinePolicy m_policy;
    std::int64_t m_width;     ///< patches of a row
    std::int64_t m_frameSpan; ///< positions of a frame
    std::int64_t m_nextKept = 0;
    std::vector<Place> m_places;
};

/// A method's own order of cells, newlines after all of them. Only where there are no newlines inside.
void reorder(std::vector<Place>& places, const std::vector<std::int32_t>& sequence) {
    const std::vector<Place> cells(places.begin(),
                                   places.begin() + static_cast<std::ptrdiff_t>(sequence.size()));
    for (std::size_t i = 0; i < sequence.size(); ++i)
        places[i] = cells[static_cast<std::size_t>(sequence[i])];
}

} // namespace

TokenLayout layoutTokens(TokenSelection& selection, NewlineMode host) {
    TokenRun& run = selection.run;
    SequenceBuilder builder(run, host);
    std::vector<Place> places = builder.build();
    const bool original = run.settings.positions == PositionPolicy::Original;
    const bool newlinesInside = host == NewlineMode::Grid || host == NewlineMode::Frame;
    if (!selection.sequence.empty() && !newlinesInside && !original)
        reorder(places, selection.sequence);

    std::vector<std::int64_t> source, positions, videoIndex;
    for (const Place& place : places) {
        positions.push_back(original ? place.position : static_cast<std::int64_t>(positions.size()));
        source.push_back(place.source);
        videoIndex.push_back(place.videoIndex);
    }
    run.hostNewlines = host;
    run.keptNewlines = static_cast<int>(std::count(source.begin(), source.end(), -1));
    run.modelTokens = run.keptCells + run.keptNewlines;

    const at::Device device = selection.kept.device();
    TokenLayout layout;
    layout.source = toDevice(source, device);
    layout.positions = toDevice(positions, device);
    layout.videoIndex = toDevice(videoIndex, device);
    layout.unprunedTokens = builder.unprunedTokens();
    return layout;
}

} // namespace canopy::accel
