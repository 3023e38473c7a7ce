#include <charconv>

#include "core/job/token_run.h"

namespace canopy {
namespace {

template <typename T>
void append(std::string& line, T value) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    line.append(text, end);
}

} // namespace

std::string tokenRunCsv(const TokenRun& run) {
    const ForestCut cut = cutAt(run, run.budget);
    std::vector<std::int32_t> nodeOf(static_cast<std::size_t>(run.cells()), -1);
    for (std::size_t node = 0; node < run.nodeCell.size(); ++node)
        nodeOf[static_cast<std::size_t>(run.nodeCell[node])] = static_cast<std::int32_t>(node);
    std::vector<float> similarity = run.nodeParentSimilarity; // roots that were linked: with their new parent
    for (int i = 0; i < run.roots - cut.roots; ++i) {
        const auto& merge = run.merges[static_cast<std::size_t>(i)];
        similarity[static_cast<std::size_t>(merge.child)] = merge.similarity;
    }
    std::string csv = "frame,frame_index,seconds,row,column,candidate,score,priority,kept,merged_into,node,"
                      "tree,parent_cell,parent_similarity,edge,depth,role\n";
    std::size_t cell = 0;
    for (int frame = 0; frame < run.frames; ++frame) {
        const auto f = static_cast<std::size_t>(frame);
        for (int inFrame = 0; inFrame < run.rows * run.columns; ++inFrame, ++cell) {
            append(csv, frame), csv += ',';
            if (!run.frameIndex.empty())
                append(csv, run.frameIndex[f]);
            csv += ',';
            if (!run.frameSeconds.empty())
                append(csv, run.frameSeconds[f]);
            csv += ',', append(csv, inFrame / run.columns), csv += ',', append(csv, inFrame % run.columns);
            csv += run.candidate[cell] ? ",1," : ",0,";
            if (!run.candidateScore.empty())
                append(csv, run.candidateScore[cell]);
            csv += ',';
            if (!run.priority.empty())
                append(csv, run.priority[cell]);
            csv += run.kept[cell] ? ",1," : ",0,";
            if (!run.mergedInto.empty())
                append(csv, run.mergedInto[cell]);
            if (nodeOf[cell] < 0) {
                csv += ",,,,,,,\n";
                continue;
            }
            const auto node = static_cast<std::size_t>(nodeOf[cell]);
            csv += ',', append(csv, nodeOf[cell]), csv += ',', append(csv, cut.tree[node]), csv += ',';
            if (cut.parent[node] >= 0)
                append(csv, run.nodeCell[static_cast<std::size_t>(cut.parent[node])]);
            csv += ',';
            if (cut.parent[node] >= 0)
                append(csv, similarity[node]);
            csv += ',', csv += edgeKindName(cut.edge[node]), csv += ',';
            append(csv, cut.depth[node]), csv += ',';
            csv += nodeRoleName(cut.role[node]), csv += '\n';
        }
    }
    return csv;
}

} // namespace canopy
