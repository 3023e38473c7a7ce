#include <array>
#include <string>
#include <utility>

#include "core/base/value_codec.h"
#include "core/job/chunk_record.h"
#include "core/job/record_fields.h"

// Each record's fields are listed once; FieldWriter and FieldReader are the two directions.

namespace canopy {
namespace {

/// A long clip's record with all maps of what was kept.
constexpr std::size_t kMaxBytes = std::size_t{256} << 20;
constexpr CodecLimits kLimits{
    .maxBytes = kMaxBytes, .maxDepth = 32, .maxValues = std::size_t{1} << 22, .maxStringBytes = kMaxBytes};

constexpr std::array kDecisions = {ChunkDecision::Compute, ChunkDecision::Reuse, ChunkDecision::WarmUp,
                                   ChunkDecision::Forced, ChunkDecision::New};

template <typename F, typename Run>
void runFields(F& f, Run& r) {
    f("policy", r.policy), f("quantity", r.quantity), f("finalize", r.finalize);
    f("steps", r.steps), f("chunks", r.chunks), f("rows", r.rows), f("ar_step", r.arStep);
    f("chunk_frames", r.chunkFrames), f("token_rows", r.tokenRows), f("token_columns", r.tokenColumns);
    f("layers", r.layers), f("heads", r.heads), f("branches", r.branches);
    f("warmup", r.warmup), f("threshold", r.threshold);
    f("kv_budget", r.kvBudgetChunks), f("kv_lambda", r.kvLambda), f("kv_window", r.kvWindow);
    f("times", r.times), f("static_reuse", r.staticReuse), f("static_sums", r.staticSums);
    f.list("segments", r.segments, [](auto& g, auto& s) {
        g("first_chunk", s.firstChunk), g("chunks", s.chunks), g("prefix_chunks", s.prefixChunks);
    });
    f("flop_per_chunk_step", r.flopPerChunkStep), f("flop_per_context_chunk", r.flopPerContextChunk);
}

template <typename F, typename Row>
void rowFields(F& f, Row& r) {
    f("row", r.row), f("segment", r.segment), f("ms", r.milliseconds);
    f.list("chunks", r.chunks, [](auto& g, auto& s) {
        g("chunk", s.chunk), g("step", s.step), g("t", s.time);
        g.named("decision", s.decision, kDecisions, &chunkDecisionName);
        g.optional("d", s.change);
        g("a_before", s.sumBefore), g("a_after", s.sumAfter);
        g("tokens", s.tokens), g("context_tokens", s.contextTokens), g("kv_age_rows", s.keyAgeRows);
        g("ms", s.milliseconds);
    });
    f.group("kv", [&](auto& g) {
        g("capacity", r.kv.capacityRows), g("used", r.kv.usedRows), g("bytes", r.kv.bytes);
        g("on_device", r.kv.onDevice);
        g.list("ranges", r.kv.ranges, [](auto& h, auto& range) {
            h("chunk", range.chunk), h("first", range.first), h("rows", range.rows);
        });
    });
}

template <typename F, typename Compression>
void compressionFields(F& f, Compression& c) {
    f("row", c.row), f("segment", c.segment), f("chunks", c.chunks);
    f("rows_before", c.rowsBefore), f("rows_after", c.rowsAfter), f("ms", c.milliseconds);
    f.list("frames", c.frames, [](auto& g, auto& k) {
        g("chunk", k.chunk), g("frame", k.frame), g("kept", k.kept), g("map", k.keptMap);
    });
}

template <typename F, typename Done>
void doneFields(F& f, Done& d) {
    f("chunk", d.chunk), f("row", d.row), f("segment", d.segment);
    f("computed", d.computed), f("reused", d.reused), f("seconds", d.seconds);
}

/// All but the run, which may be missing.
template <typename F, typename Record>
void listFields(F& f, Record& r) {
    f.list("rows", r.rows, [](auto& g, auto& row) { rowFields(g, row); });
    f.list("compressions", r.compressions, [](auto& g, auto& c) { compressionFields(g, c); });
    f.list("done", r.done, [](auto& g, auto& d) { doneFields(g, d); });
}

/// What does not fit together, as a field's name; empty = all does.
std::string mismatch(const ChunkRecord& record) {
    for (const auto& row : record.rows) {
        if (row.row < 0 || row.segment < 0)
            return "rows.row";
        for (const auto& step : row.chunks)
            if (step.chunk < 0 || step.step < 0 || step.tokens < 0 || step.contextTokens < 0)
                return "rows.chunks";
        for (const auto& range : row.kv.ranges)
            if (range.first < 0 || range.rows < 0 || range.first + range.rows > row.kv.capacityRows)
                return "rows.kv.ranges";
    }
    if (!record.run)
        return {};
    const ChunkRun& run = *record.run;
    const auto steps = static_cast<std::size_t>(run.steps);
    if (run.steps < 1 || run.chunks < 1 || run.chunkFrames < 1 || run.tokenRows < 1 || run.tokenColumns < 1)
        return "run.steps";
    if (run.times.size() != steps)
        return "run.times";
    if ((!run.staticReuse.empty() && run.staticReuse.size() != steps) ||
        run.staticSums.size() != run.staticReuse.size())
        return "run.static_reuse";
    for (const auto& segment : run.segments)
        if (segment.firstChunk < 0 || segment.prefixChunks < 0 || segment.chunks < segment.prefixChunks ||
            segment.firstChunk + segment.chunks > run.chunks)
            return "run.segments";
    for (const auto& row : record.rows)
        for (const auto& step : row.chunks)
            if (step.chunk >= run.chunks || step.step >= run.steps)
                return "rows.chunks";
    const auto frameTokens =
        static_cast<std::size_t>(run.tokenRows) * static_cast<std::size_t>(run.tokenColumns);
    for (const auto& compression : record.compressions)
        for (const auto& frame : compression.frames)
            if (frame.chunk < 0 || frame.chunk >= run.chunks || frame.keptMap.size() != frameTokens)
                return "compressions.frames";
    return {};
}

} // namespace

std::string_view chunkDecisionName(ChunkDecision v) {
    constexpr std::string_view kNames[] = {"compute", "reuse", "warm_up", "forced", "new"};
    return kNames[static_cast<std::size_t>(v)];
}

Value toValue(const ChunkRecord& record) {
    Value v{Value::Map{}};
    v.set("version", ChunkRecord::kVersion);
    FieldWriter writer(v);
    if (record.run)
        writer.group("run", [&](auto& g) { runFields(g, *record.run); });
    listFields(writer, record);
    return v;
}

Result<ChunkRecord> chunkRecordFromValue(const Value& value) {
    if (value["version"].asInt() != ChunkRecord::kVersion)
        return makeError(ErrorCode::Unsupported, "The record of the clip's chunks is of version " +
                                                     std::to_string(value["version"].asInt()) +
                                                     ", this program reads version " +
                                                     std::to_string(ChunkRecord::kVersion) + ".");
    ChunkRecord record;
    FieldReader reader(value);
    if (value.contains("run"))
        reader.group("run", [&](auto& g) { runFields(g, record.run.emplace()); });
    listFields(reader, record);
    if (!reader.problem().empty())
        return wrongField("record of the clip's chunks", reader.problem());
    if (const std::string field = mismatch(record); !field.empty())
        return makeError(ErrorCode::Malformed, "The record of the clip's chunks is damaged: its field '" +
                                                   field + "' does not fit the rest.");
    return record;
}

Result<ChunkRecord> chunkRecordFromBytes(std::span<const std::uint8_t> cbor) {
    const auto value = parseCbor(cbor, kLimits);
    if (!value)
        return value.error();
    return chunkRecordFromValue(*value);
}

} // namespace canopy
