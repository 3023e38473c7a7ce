#pragma once

#include <vector>

#include <QColor>

#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy::ui {

/// Colours of maps and of what is drawn over pictures. The same in every palette: pictures do not change with
/// the theme. From tokens.json.
struct MapTokens {
    std::vector<QColor> trees; ///< repeat
    QColor treeCasing;
    std::vector<QColor> cividis; ///< evenly spaced from 0 to 1
    QColor prunedVeil;
    QColor nonCandidateVeil;
    QColor hatch;
    double hatchSpacing = 9; ///< pixels at scale 1
    double hatchWidth = 1.2;
    QColor skippedVeil; ///< over a block of keys that was not computed
    QColor queryBlock;  ///< over the chosen block of queries
    QColor plate;
    QColor plateText;

    const QColor& tree(int tree) const { return trees[std::size_t(tree) % trees.size()]; }
    QColor continuous(double share) const; ///< cividis at a share of 0..1; clamped
};

/// Strict: a missing or malformed value is an error that names it.
Result<MapTokens> mapTokensFromValue(const Value& root);

} // namespace canopy::ui
