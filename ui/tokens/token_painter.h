#pragma once

#include <QRectF>

#include "ui/theme/theme.h"
#include "ui/tokens/token_scene.h"

class QPainter;

/// What is drawn over a picture, in the picture's own coordinates. Pure painting: the same arguments give the
/// same pixels.
namespace canopy::ui {

enum class TokenLook {
    Picture, ///< nothing
    Tokens,  ///< kept, pruned and other cells; the selected tree's links
    Links,   ///< besides, the link of every kept cell of the frame to its parent
};

struct TokenPaint {
    TokenLook look = TokenLook::Tokens;
    int sample = 0;
    int tree = -1;                              ///< selected; -1 = none
    int cursor = -1;                            ///< cell; -1 = none
    bool small = false;                         ///< thumbnails: veils and 1 px borders only
    const std::vector<std::uint8_t>* other =    ///< kept cells of a second run: what only one of the two
        nullptr;                                ///< kept is marked, what both kept stays as it is
    const std::vector<float>* cosine = nullptr; ///< similarity of `probe` with every cell, as a heat map
    int probe = -1;                             ///< cell
};

QRectF cellRect(const TokenRun& run, const QRectF& picture, int row, int column);
/// The cell of a sample under a point, -1 outside the picture.
int cellAt(const TokenRun& run, const QRectF& picture, int sample, const QPointF& point);

void paintTokens(QPainter& painter, const QRectF& picture, const TokenScene& scene, const TokenPaint& what,
                 const Theme& theme);

} // namespace canopy::ui
