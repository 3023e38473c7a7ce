#include "ui/theme/map_tokens.h"

#include <algorithm>
#include <cmath>

#include <QRegularExpression>
#include <QString>

namespace canopy::ui {
namespace {

/// "#E69F00" or "rgba(0,0,0,0.38)"; invalid otherwise.
QColor colourOf(const Value& value) {
    const QString text = QString::fromStdString(value.asString());
    static const QRegularExpression rgba(
        QStringLiteral("^rgba\\((\\d{1,3}),(\\d{1,3}),(\\d{1,3}),([0-9.]+)\\)$"));
    if (const auto match = rgba.match(text); match.hasMatch()) {
        const double alpha = match.captured(4).toDouble();
        QColor colour(match.captured(1).toInt(), match.captured(2).toInt(), match.captured(3).toInt());
        colour.setAlphaF(float(std::clamp(alpha, 0.0, 1.0)));
        return colour;
    }
    return QColor(text);
}

} // namespace

QColor MapTokens::continuous(double share) const {
    const double at = std::clamp(std::isfinite(share) ? share : 0.0, 0.0, 1.0) * double(cividis.size() - 1);
    const auto low = std::min(std::size_t(at), cividis.size() - 2);
    const double f = at - double(low);
    const auto mix = [f](int a, int b) { return int(std::lround(a + f * (b - a))); };
    const QColor &a = cividis[low], &b = cividis[low + 1];
    return QColor(mix(a.red(), b.red()), mix(a.green(), b.green()), mix(a.blue(), b.blue()));
}

Result<MapTokens> mapTokensFromValue(const Value& root) {
    MapTokens tokens;
    std::string missing;
    const auto take = [&](QColor& into, const Value& value, const char* name) {
        into = colourOf(value);
        if (!into.isValid() && missing.empty())
            missing = name;
    };
    for (const auto& entry : root["treeColours"].asArray())
        take(tokens.trees.emplace_back(), entry, "treeColours");
    for (const auto& entry : root["cividis"].asArray())
        take(tokens.cividis.emplace_back(), entry, "cividis");
    take(tokens.treeCasing, root["treeCasing"], "treeCasing");
    const Value& overlay = root["overlay"];
    take(tokens.prunedVeil, overlay["prunedVeil"], "overlay.prunedVeil");
    take(tokens.nonCandidateVeil, overlay["nonCandidateVeil"], "overlay.nonCandidateVeil");
    take(tokens.hatch, overlay["nonCandidateHatch"]["colour"], "overlay.nonCandidateHatch");
    take(tokens.skippedVeil, overlay["skippedBlockVeil"], "overlay.skippedBlockVeil");
    take(tokens.queryBlock, overlay["queryBlock"], "overlay.queryBlock");
    take(tokens.plate, overlay["plate"], "overlay.plate");
    take(tokens.plateText, overlay["plateText"], "overlay.plateText");
    tokens.hatchSpacing = overlay["nonCandidateHatch"]["spacing"].asDouble();
    tokens.hatchWidth = overlay["nonCandidateHatch"]["width"].asDouble();
    if (tokens.trees.empty())
        missing = "treeColours";
    if (tokens.cividis.size() < 2)
        missing = "cividis";
    if (tokens.hatchSpacing <= 0 || tokens.hatchWidth <= 0)
        missing = "overlay.nonCandidateHatch";
    if (!missing.empty())
        return makeError(ErrorCode::Malformed,
                         "The theme file has no valid '" + missing + "'. Reinstall Canopy.");
    return tokens;
}

} // namespace canopy::ui
