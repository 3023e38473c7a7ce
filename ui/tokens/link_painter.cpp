#include "ui/tokens/link_painter.h"

#include <algorithm>
#include <map>
#include <vector>

#include <QPainter>

namespace canopy::ui {
namespace {

/// A merged tree of a thousand roots would be a solid blot; the links of one tree that are drawn at once.
constexpr std::size_t kMaxLinks = 600;

QPointF centreOf(const TokenScene& scene, const QRectF& picture, int node) {
    const CellPlace at = scene.place(scene.run().nodeCell[std::size_t(node)]);
    return cellRect(scene.run(), picture, at.row, at.column).center();
}

/// Similarity of the edge as it stands at the cut: of roots that were linked, the merge's.
float similarityOf(const TokenScene& scene, int node) {
    if (scene.cut().edge[std::size_t(node)] == EdgeKind::RootLink)
        for (const auto& merge : scene.run().merges)
            if (merge.child == node)
                return merge.similarity;
    return scene.run().nodeParentSimilarity[std::size_t(node)];
}

void link(QPainter& painter, const QPointF& a, const QPointF& b, double width, bool dashed,
          const QColor& colour, const QColor& casing, double unit) {
    if (a == b)
        return;
    painter.setPen(QPen(casing, width + 2 * unit, Qt::SolidLine, Qt::FlatCap));
    painter.drawLine(a, b);
    QPen pen(colour, width, Qt::SolidLine, Qt::FlatCap);
    if (dashed)
        pen.setDashPattern({3, 2});
    painter.setPen(pen);
    painter.drawLine(a, b);
}

} // namespace

double linkWidth(float similarity) {
    return 1.5 + 2.5 * std::clamp((double(similarity) - 0.5) / 0.5, 0.0, 1.0);
}

void paintLinks(QPainter& painter, const QRectF& picture, const TokenScene& scene, const TokenPaint& what,
                const Theme& theme) {
    if (!scene.hasForest())
        return;
    const auto& run = scene.run();
    const auto& cut = scene.cut();
    const auto& maps = theme.maps();
    const double u = theme.scale();
    const auto edge = [&](int node, const QColor& colour, double widthFactor) {
        const int parent = cut.parent[std::size_t(node)];
        if (parent < 0)
            return;
        link(painter, centreOf(scene, picture, node), centreOf(scene, picture, parent),
             linkWidth(similarityOf(scene, node)) * u * widthFactor,
             cut.edge[std::size_t(node)] == EdgeKind::RootLink, colour, maps.treeCasing, u);
    };
    if (what.look == TokenLook::Links) {
        const int first = what.sample * scene.cellsPerSample();
        for (int cell = first; cell < first + scene.cellsPerSample(); ++cell) {
            const int node = scene.node(cell);
            if (node < 0 || scene.state(cell) != CellState::Kept)
                continue;
            edge(node, maps.tree(scene.tree(cell)), 0.75);
            painter.setPen(QPen(maps.treeCasing, u));
            painter.setBrush(maps.tree(scene.tree(cell)));
            painter.drawEllipse(centreOf(scene, picture, node), 3 * u, 3 * u);
        }
    }
    const TreeRow* row = scene.treeRow(what.tree);
    if (!row)
        return;
    const std::size_t count = std::min(row->nodes.size(), kMaxLinks);
    for (std::size_t i = 0; i < count; ++i)
        edge(row->nodes[i], maps.plateText, 1);
    // One number a sampled frame and place: several nodes of one frame share its plate.
    std::map<std::pair<int, int>, QString> plates;
    const QFont font = theme.monoFont(TextStyle::Caption);
    for (std::size_t i = 0; i < count; ++i) {
        const int node = row->nodes[i];
        const int cell = run.nodeCell[std::size_t(node)];
        const CellPlace at = scene.place(cell);
        const bool here = at.sample == what.sample;
        const bool isKept = scene.state(cell) == CellState::Kept;
        painter.setPen(QPen(maps.treeCasing, 1.5 * u));
        painter.setBrush(here ? maps.plateText : isKept ? maps.tree(row->tree) : maps.prunedVeil);
        const double radius = (here ? 6 : 5) * u;
        painter.drawEllipse(centreOf(scene, picture, node), radius, radius);
        if (!here) {
            auto& text = plates[{at.row, at.column}];
            const QString number = QString::number(at.sample + 1);
            if (text.isEmpty())
                text = number;
            else if (!text.split(u' ').contains(number) && text.size() < 12)
                text += u' ' + number;
        }
    }
    painter.setFont(font);
    const QFontMetricsF metrics(font);
    std::vector<QRectF> placed;
    for (const auto& [place, text] : plates) {
        const QPointF centre = cellRect(run, picture, place.first, place.second).center();
        const double w = metrics.horizontalAdvance(text) + 8 * u, h = metrics.height();
        QRectF plate(centre.x() - w / 2, centre.y() + 8 * u, w, h);
        // Where plates would cover each other the later one goes below.
        while (
            std::any_of(placed.begin(), placed.end(), [&](const QRectF& p) { return p.intersects(plate); }))
            plate.translate(0, h);
        placed.push_back(plate);
        painter.fillRect(plate, maps.plate);
        painter.setPen(maps.plateText);
        painter.drawText(plate, Qt::AlignCenter, text);
    }
}

} // namespace canopy::ui
