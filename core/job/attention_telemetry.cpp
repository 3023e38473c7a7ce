#include "core/job/attention_telemetry.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace canopy {

namespace {

constexpr std::array<std::string_view, 7> kReasons = {"reused", "first", "drift",   "gate",
                                                      "age",    "cap",   "schedule"};
/// More of anything in one record is no telemetry of ours.
constexpr int kMostBlocks = 1 << 16;
constexpr int kMostHeads = 1 << 10;

Error malformed(const std::string& what) {
    return makeError(ErrorCode::Malformed, "A record of attention cannot be read: " + what +
                                               ". It was damaged or written by another version of Canopy.");
}

template <typename Get>
Value perHead(const AttentionRecord& record, Get get) {
    Value::Array values;
    for (const auto& head : record.heads)
        values.emplace_back(get(head));
    return values;
}

Result<GuidanceBranch> branchOf(const Value& v) {
    const std::string& name = v["branch"].asString();
    if (name == "prompt")
        return GuidanceBranch::Prompt;
    if (name == "negative")
        return GuidanceBranch::Negative;
    return malformed("the branch is '" + name.substr(0, 32) + "', expected 'prompt' or 'negative'");
}

Result<std::vector<AttentionRecord::Head>> headsOf(const Value& v) {
    using Head = AttentionRecord::Head;
    std::vector<Head> heads(v["kept"].asArray().size());
    for (const char* key : {"kept", "reason", "drift", "relative_drift", "chosen_at"})
        if (v[key].asArray().size() != heads.size())
            return malformed("'" + std::string(key) + "' has not one value for each head");
    for (std::size_t h = 0; h < heads.size(); ++h) {
        const auto reason = refreshReasonFromName(v["reason"].asArray()[h].asString());
        if (!reason)
            return malformed("a reason is unknown");
        heads[h] = {v["kept"].asArray()[h].asDouble(), *reason, v["drift"].asArray()[h].asDouble(),
                    v["relative_drift"].asArray()[h].asDouble(),
                    static_cast<int>(v["chosen_at"].asArray()[h].asInt())};
    }
    return heads;
}

} // namespace

std::string_view refreshReasonName(RefreshReason v) {
    return kReasons[static_cast<std::size_t>(v)];
}

std::optional<RefreshReason> refreshReasonFromName(std::string_view name) {
    const auto it = std::find(kReasons.begin(), kReasons.end(), name);
    if (it == kReasons.end())
        return std::nullopt;
    return static_cast<RefreshReason>(it - kReasons.begin());
}

std::string_view guidanceBranchName(GuidanceBranch v) {
    return v == GuidanceBranch::Prompt ? "prompt" : "negative";
}

BlockBitmap emptyBitmap(int blocks) {
    BlockBitmap map;
    map.blocks = blocks;
    map.bits.assign(static_cast<std::size_t>(blocks) * map.rowBytes(), 0);
    return map;
}

std::string maskTopic(int layer) {
    return "attention_masks/" + std::to_string(layer);
}

Value toValue(const AttentionRecord& r) {
    using Head = AttentionRecord::Head;
    Value v;
    v.set("step", r.step).set("layer", r.layer).set("branch", guidanceBranchName(r.branch));
    v.set("mode", r.mode == AttentionRecord::Mode::Warmup ? "warmup" : "sparse");
    v.set("head_count", r.headCount);
    v.set("estimate_seconds", r.estimateSeconds).set("attention_seconds", r.attentionSeconds);
    if (r.mode == AttentionRecord::Mode::Warmup)
        return v;
    v.set("kept", perHead(r, [](const Head& h) { return h.keptShare; }));
    v.set("reason", perHead(r, [](const Head& h) { return refreshReasonName(h.reason); }));
    v.set("drift", perHead(r, [](const Head& h) { return h.drift; }));
    v.set("relative_drift", perHead(r, [](const Head& h) { return h.relativeDrift; }));
    v.set("chosen_at", perHead(r, [](const Head& h) { return h.chosenAt; }));
    return v;
}

Result<AttentionRecord> attentionRecordFromValue(const Value& v) {
    AttentionRecord r;
    const auto branch = branchOf(v);
    if (!branch)
        return branch.error();
    r.branch = *branch;
    r.step = static_cast<int>(v["step"].asInt(-1));
    r.layer = static_cast<int>(v["layer"].asInt(-1));
    if (r.step < 0 || r.layer < 0)
        return malformed("step or layer is missing");
    r.mode = v["mode"].asString() == "warmup" ? AttentionRecord::Mode::Warmup : AttentionRecord::Mode::Sparse;
    r.estimateSeconds = v["estimate_seconds"].asDouble();
    r.attentionSeconds = v["attention_seconds"].asDouble();
    r.headCount = static_cast<int>(std::clamp<std::int64_t>(v["head_count"].asInt(), 0, kMostHeads));
    if (r.mode == AttentionRecord::Mode::Sparse) {
        auto heads = headsOf(v);
        if (!heads)
            return heads.error();
        r.heads = std::move(*heads);
    }
    return r;
}

Value toValue(const AttentionStep& s) {
    Value::Array calls;
    for (const AttentionRecord& record : s.calls)
        calls.push_back(toValue(record));
    Value v;
    v.set("step", s.step).set("steps", s.steps).set("seconds", s.seconds).set("calls", std::move(calls));
    return v;
}

Result<AttentionStep> attentionStepFromValue(const Value& v) {
    AttentionStep s;
    s.step = static_cast<int>(v["step"].asInt(-1));
    s.steps = static_cast<int>(v["steps"].asInt(-1));
    s.seconds = v["seconds"].asDouble();
    if (s.step < 0 || s.steps <= s.step)
        return malformed("it names step " + std::to_string(s.step) + " of " + std::to_string(s.steps));
    for (const Value& call : v["calls"].asArray()) {
        auto record = attentionRecordFromValue(call);
        if (!record)
            return record.error();
        s.calls.push_back(std::move(*record));
    }
    return s;
}

Value toValue(const std::vector<BlockBitmap>& bitmaps) {
    Value::Array list;
    for (const BlockBitmap& b : bitmaps) {
        Value v;
        v.set("step", b.step).set("layer", b.layer).set("head", b.head);
        v.set("branch", guidanceBranchName(b.branch)).set("blocks", b.blocks).set("bits", Value(b.bits));
        list.push_back(std::move(v));
    }
    return Value{}.set("bitmaps", std::move(list));
}

Result<std::vector<BlockBitmap>> blockBitmapsFromValue(const Value& value) {
    std::vector<BlockBitmap> bitmaps;
    for (const Value& v : value["bitmaps"].asArray()) {
        const auto branch = branchOf(v);
        if (!branch)
            return branch.error();
        BlockBitmap b;
        b.branch = *branch;
        b.step = static_cast<int>(v["step"].asInt(-1));
        b.layer = static_cast<int>(v["layer"].asInt(-1));
        b.head = static_cast<int>(v["head"].asInt(-1));
        const std::int64_t blocks = v["blocks"].asInt();
        if (b.step < 0 || b.layer < 0 || b.head < 0 || blocks < 1 || blocks > kMostBlocks)
            return malformed("a block mask has no place or size");
        b.blocks = static_cast<int>(blocks);
        b.bits = v["bits"].asBytes();
        if (b.bits.size() != static_cast<std::size_t>(b.blocks) * b.rowBytes())
            return malformed("a mask of " + std::to_string(b.blocks) + " blocks has " +
                             std::to_string(b.bits.size()) + " bytes");
        bitmaps.push_back(std::move(b));
    }
    return bitmaps;
}

Value attentionSummary(const std::vector<AttentionRecord>& records) {
    std::size_t dense = 0, heads = 0, reused = 0;
    double kept = 0, estimate = 0, attention = 0;
    for (const AttentionRecord& r : records) {
        dense += r.mode == AttentionRecord::Mode::Warmup;
        estimate += r.estimateSeconds;
        attention += r.attentionSeconds;
        for (const auto& head : r.heads) {
            ++heads;
            kept += head.keptShare;
            reused += head.reason == RefreshReason::Reused;
        }
    }
    const double count = heads > 0 ? static_cast<double>(heads) : 1.0;
    Value v;
    v.set("calls", static_cast<std::int64_t>(records.size()))
        .set("dense_calls", static_cast<std::int64_t>(dense));
    v.set("kept_share", kept / count).set("reused_share", static_cast<double>(reused) / count);
    v.set("estimate_seconds", estimate).set("attention_seconds", attention);
    return v;
}

} // namespace canopy
