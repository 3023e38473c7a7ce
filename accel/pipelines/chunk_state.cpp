#include "accel/pipelines/chunk_state.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "accel/pipelines/solver_parts.h"

namespace canopy::accel {

namespace {

constexpr std::size_t kChunkFields = 7;

std::string of(const char* what, std::size_t index) {
    return std::string(what) + "." + std::to_string(index);
}

} // namespace

void saveChunks(const ChunkedState& state, StateParts& parts) {
    Value::Array chunks;
    for (std::size_t c = 0; c < state.chunks.size(); ++c) {
        const auto& p = state.chunks[c];
        chunks.push_back(
            listOf(p.solver.step, p.solver.order, p.keysRow, p.keysFinal, p.keysLost, p.computed, p.reused));
        const auto name = of("chunk", c);
        putSolver(name, p.solver, parts);
        parts.put(name + ".update", p.update);
        for (std::size_t b = 0; b < p.residual.size(); ++b)
            parts.put(of((name + ".residual").c_str(), b), p.residual[b]);
    }
    const auto content = state.keys->content();
    Value::Array ranges;
    for (const auto& range : content.ranges)
        ranges.push_back(listOf(range.chunk, range.first, range.rows));
    for (std::size_t i = 0; i < content.keys.size() && !content.ranges.empty(); ++i) {
        parts.put(of("keys", i), content.keys[i]);
        parts.put(of("values", i), content.values[i]);
        parts.put(of("origins", i), content.origins[i]);
    }
    for (std::size_t i = 0; i < state.queries.size(); ++i)
        parts.put(of("queries", i), state.queries[i]);
    parts.values.set("row", state.row).set("chunks", std::move(chunks)).set("ranges", std::move(ranges));
    parts.values.set("queries", state.queries.size());
}

void restoreChunks(const StateParts& parts, ChunkedState& state) {
    const auto& chunks = parts.values["chunks"].asArray();
    if (chunks.size() != state.chunks.size())
        throw std::invalid_argument("the saved state has " + std::to_string(chunks.size()) +
                                    " chunks, the segment has " + std::to_string(state.chunks.size()));
    std::vector<ChunkProgress> progress(chunks.size());
    for (std::size_t c = 0; c < chunks.size(); ++c) {
        const auto& fields = chunks[c].asArray();
        if (fields.size() != kChunkFields)
            throw std::invalid_argument("a chunk of the saved state lacks fields");
        const auto number = [&](std::size_t i) { return static_cast<int>(fields[i].asInt()); };
        const auto name = of("chunk", c);
        auto& p = progress[c];
        p.solver = getSolver(name, number(0), number(1), parts);
        p.keysRow = number(2);
        p.keysFinal = fields[3].asBool();
        p.keysLost = fields[4].asBool();
        p.computed = number(5);
        p.reused = number(6);
        p.update = parts.get(name + ".update");
        for (std::size_t b = 0; b < p.residual.size(); ++b)
            p.residual[b] = parts.get(of((name + ".residual").c_str(), b));
    }
    KvPool::Content content;
    for (const Value& entry : parts.values["ranges"].asArray()) {
        const auto& fields = entry.asArray();
        if (fields.size() != 3)
            throw std::invalid_argument("a range of keys in the saved state lacks fields");
        content.ranges.push_back({static_cast<int>(fields[0].asInt()), fields[1].asInt(), fields[2].asInt()});
    }
    if (!content.ranges.empty()) {
        for (std::size_t i = 0; parts.get(of("keys", i)).defined(); ++i) {
            content.keys.push_back(parts.get(of("keys", i)));
            content.values.push_back(parts.get(of("values", i)));
            content.origins.push_back(parts.get(of("origins", i)));
            if (!content.values.back().defined() || !content.origins.back().defined())
                throw std::invalid_argument("values or origins are missing in the saved state");
        }
        state.keys->restore(content);
    }
    state.queries.resize(static_cast<std::size_t>(parts.values["queries"].asInt()));
    for (std::size_t i = 0; i < state.queries.size(); ++i)
        state.queries[i] = parts.get(of("queries", i));
    state.chunks = std::move(progress);
    state.row = static_cast<int>(parts.values["row"].asInt());
}

void dropKeys(ChunkedState& state, const ChunkPlan& plan) {
    int newest = -1; // chunk that a later row advances
    for (auto row = plan.rows.begin() + state.row; row != plan.rows.end(); ++row)
        for (const auto& call : *row)
            newest = call.update ? std::max(newest, call.chunk) : newest;
    for (int c = 0; c < plan.chunks; ++c) {
        auto& p = state.chunks[static_cast<std::size_t>(c)];
        p.update = at::Tensor();
        p.residual = {};
        const bool finished = c < plan.prefixChunks || p.solver.step == plan.steps;
        p.keysLost = finished && c < newest;
        p.keysFinal = finished && !p.keysLost;
    }
    state.keys->clear();
    state.queries.clear();
}

} // namespace canopy::accel
