#include "core/protocol/messages.h"

#include <array>
#include <concepts>
#include <limits>
#include <type_traits>
#include <utility>

namespace canopy::protocol {
namespace {

/// In the order of Stage.
constexpr std::array<std::string_view, 10> kStageNames = {
    "load", "text", "denoise", "decode", "encode", "vision", "select", "prefill", "answer", "calibrate"};

// ---- The fields of each message, once. visit() is used for writing (const message) and for reading.

template <typename M>
struct Fields;

template <>
struct Fields<ClientHello> {
    static constexpr std::string_view kType = "client_hello";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("version", m.version), v("epoch", m.epoch), v("log_level", m.logLevel);
    }
};

template <>
struct Fields<StartJob> {
    static constexpr std::string_view kType = "start_job";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("job", m.job), v("kind", m.kind), v("request", m.request), v("model", m.model);
        v("state_budget", m.stateBudget), v("state_seconds", m.stateSeconds);
    }
};

template <>
struct Fields<CancelJob> {
    static constexpr std::string_view kType = "cancel_job";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("job", m.job);
    }
};

template <>
struct Fields<PauseJob> {
    static constexpr std::string_view kType = "pause_job";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("job", m.job);
    }
};

template <>
struct Fields<Subscribe> {
    static constexpr std::string_view kType = "subscribe";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("topics", m.topics);
    }
};

template <>
struct Fields<BlobCredit> {
    static constexpr std::string_view kType = "blob_credit";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("bytes", m.bytes);
    }
};

template <>
struct Fields<Shutdown> {
    static constexpr std::string_view kType = "shutdown";
    template <typename V, typename M>
    static void visit(V&, M&) {}
};

template <>
struct Fields<WorkerHello> {
    static constexpr std::string_view kType = "worker_hello";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("version", m.version), v("epoch", m.epoch), v("pid", m.pid), v("build", m.build);
        v("threads", m.threads), v("bf16_fast", m.bf16Fast), v("devices", m.devices);
        v("device_note", m.deviceNote);
    }
};

template <>
struct Fields<Heartbeat> {
    static constexpr std::string_view kType = "heartbeat";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("counter", m.counter), v("resident_bytes", m.residentBytes), v("device_bytes", m.deviceBytes);
        v("dropped", m.dropped);
    }
};

template <>
struct Fields<LogLine> {
    static constexpr std::string_view kType = "log_line";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("wall_millis", m.record.wallMillis), v("level", m.record.level);
        v("component", m.record.component), v("text", m.record.text);
    }
};

template <>
struct Fields<Progress> {
    static constexpr std::string_view kType = "progress";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("job", m.job), v("stage", m.stage), v("unit", m.unit), v("units", m.units);
        v("block", m.block), v("blocks", m.blocks), v("unit_seconds", m.unitSeconds);
        v("remaining_seconds", m.remainingSeconds), v("remaining_spread", m.remainingSpread);
        v("peak_bytes", m.peakBytes);
    }
};

template <>
struct Fields<Resolved> {
    static constexpr std::string_view kType = "resolved";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("job", m.job), v("request", m.request), v("memory_plan", m.memoryPlan);
    }
};

template <>
struct Fields<Resumed> {
    static constexpr std::string_view kType = "resumed";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("job", m.job), v("point", m.point);
    }
};

template <>
struct Fields<Timing> {
    static constexpr std::string_view kType = "timing";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("job", m.job), v("step", m.step), v("name", m.name), v("seconds", m.seconds);
    }
};

template <>
struct Fields<AttentionStepDone> {
    static constexpr std::string_view kType = "attention_step";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("job", m.job), v("step", m.step);
    }
};

template <>
struct Fields<Words> {
    static constexpr std::string_view kType = "words";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("job", m.job), v("text", m.text);
    }
};

template <>
struct Fields<BlobStart> {
    static constexpr std::string_view kType = "blob_start";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("blob", m.blob), v("job", m.job), v("kind", m.kind), v("width", m.width), v("height", m.height);
        v("frames", m.frames), v("index", m.index), v("count", m.count), v("step", m.step);
        v("bytes", m.bytes), v("hash", m.hash);
    }
};

template <>
struct Fields<BlobChunk> {
    static constexpr std::string_view kType = "blob_chunk";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("blob", m.blob), v("offset", m.offset), v("data", m.data);
    }
};

template <>
struct Fields<Finished> {
    static constexpr std::string_view kType = "finished";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("job", m.job), v("request", m.request), v("summary", m.summary);
    }
};

template <>
struct Fields<Paused> {
    static constexpr std::string_view kType = "paused";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("job", m.job);
    }
};

template <>
struct Fields<Failed> {
    static constexpr std::string_view kType = "failed";
    template <typename V, typename M>
    static void visit(V& v, M& m) {
        v("job", m.job), v("code", m.error.code), v("message", m.error.message), v("details", m.details);
    }
};

// ---- Writing

class FieldWriter {
public:
    explicit FieldWriter(Value& out)
        : m_out(out) {}

    void operator()(std::string_view key, LogLevel level) { m_out.set(key, logLevelName(level)); }
    void operator()(std::string_view key, Stage stage) { m_out.set(key, stageName(stage)); }
    void operator()(std::string_view key, ErrorCode code) { m_out.set(key, errorCodeName(code)); }
    void operator()(std::string_view key, const std::vector<std::string>& list) {
        m_out.set(key, Value::Array(list.begin(), list.end()));
    }
    template <typename T>
    void operator()(std::string_view key, const T& field) {
        m_out.set(key, Value(field));
    }

private:
    Value& m_out;
};

// ---- Reading: a missing key keeps the default (older recordings), another type is refused

class FieldReader {
public:
    explicit FieldReader(const Value& in)
        : m_in(in) {}

    void operator()(std::string_view key, bool& field) {
        if (const Value* v = find(key, &Value::isBool, "true or false")) {
            field = v->asBool();
        }
    }
    void operator()(std::string_view key, std::int64_t& field) {
        if (const Value* v = find(key, &Value::isInt, "an integer")) {
            field = v->asInt();
        }
    }
    /// 64-bit patterns (hashes, epochs) travel as the signed integer of the same bits.
    void operator()(std::string_view key, std::uint64_t& field) {
        if (const Value* v = find(key, &Value::isInt, "an integer")) {
            field = static_cast<std::uint64_t>(v->asInt());
        }
    }
    void operator()(std::string_view key, int& field) {
        if (const Value* v = find(key, &Value::isInt, "an integer")) {
            if (!std::in_range<int>(v->asInt())) {
                refuse(key, "an integer of 32 bits");
                return;
            }
            field = static_cast<int>(v->asInt());
        }
    }
    void operator()(std::string_view key, double& field) {
        if (const Value* v = find(key, &Value::isNumber, "a number")) {
            field = v->asDouble();
        }
    }
    void operator()(std::string_view key, std::string& field) {
        if (const Value* v = find(key, &Value::isString, "text")) {
            field = v->asString();
        }
    }
    void operator()(std::string_view key, Value::Bytes& field) {
        if (const Value* v = find(key, &Value::isBytes, "bytes")) {
            field = v->asBytes();
        }
    }
    void operator()(std::string_view key, Value& field) { field = m_in[key]; }
    void operator()(std::string_view key, std::vector<std::string>& field) {
        const Value* v = find(key, &Value::isArray, "a list of texts");
        if (v == nullptr) {
            return;
        }
        field.clear();
        for (const Value& item : v->asArray()) {
            if (!item.isString()) {
                refuse(key, "a list of texts");
                return;
            }
            field.push_back(item.asString());
        }
    }
    void operator()(std::string_view key, LogLevel& field) {
        readName(
            key, field,
            std::array{LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warning, LogLevel::Error},
            logLevelName);
    }
    void operator()(std::string_view key, Stage& field) {
        if (const Value* v = find(key, &Value::isString, "text")) {
            if (const auto stage = stageFromName(v->asString())) {
                field = *stage;
            } else {
                refuse(key, "a known name");
            }
        }
    }
    void operator()(std::string_view key, ErrorCode& field) {
        if (const Value* v = find(key, &Value::isString, "text")) {
            if (const auto code = errorCodeFromName(v->asString())) {
                field = *code;
            } else {
                refuse(key, "the name of an error code");
            }
        }
    }

    const std::optional<std::string>& problem() const { return m_problem; }

private:
    const Value* find(std::string_view key, bool (Value::*is)() const, std::string_view expected) {
        const auto& map = m_in.asMap();
        const auto it = map.find(key);
        if (it == map.end()) {
            return nullptr;
        }
        if (!(it->second.*is)()) {
            refuse(key, expected);
            return nullptr;
        }
        return &it->second;
    }
    template <typename E, std::size_t N, typename NameOf>
    void readName(std::string_view key, E& field, const std::array<E, N>& all, NameOf nameOf) {
        const Value* v = find(key, &Value::isString, "text");
        if (v == nullptr) {
            return;
        }
        for (const E candidate : all) {
            if (nameOf(candidate) == v->asString()) {
                field = candidate;
                return;
            }
        }
        refuse(key, "one of its known names");
    }
    void refuse(std::string_view key, std::string_view expected) {
        if (!m_problem) {
            m_problem = "the field '" + std::string(key) + "' is not " + std::string(expected);
        }
    }

    const Value& m_in;
    std::optional<std::string> m_problem;
};

template <typename Variant>
Value variantToValue(const Variant& message) {
    return std::visit(
        []<typename M>(const M& m) {
            Value out;
            out.set("type", Fields<M>::kType);
            FieldWriter writer(out);
            Fields<M>::visit(writer, m);
            return out;
        },
        message);
}

template <typename Variant, std::size_t I = 0>
Result<Variant> variantFromValue(const Value& value) {
    if constexpr (I == std::variant_size_v<Variant>) {
        return makeError(
            ErrorCode::Malformed,
            "A message of an unknown type arrived; window and worker must be of the same version. Type: '" +
                value["type"].asString().substr(0, 64) + "'");
    } else {
        using M = std::variant_alternative_t<I, Variant>;
        if (value["type"].asString() != Fields<M>::kType) {
            return variantFromValue<Variant, I + 1>(value);
        }
        M message;
        FieldReader reader(value);
        Fields<M>::visit(reader, message);
        if (reader.problem()) {
            return makeError(ErrorCode::Malformed, "A message '" + std::string(Fields<M>::kType) +
                                                       "' was refused: " + *reader.problem());
        }
        return Variant(std::move(message));
    }
}

} // namespace

std::string_view stageName(Stage stage) {
    return kStageNames[static_cast<std::size_t>(stage)];
}

std::optional<Stage> stageFromName(std::string_view name) {
    for (std::size_t i = 0; i < kStageNames.size(); ++i) {
        if (kStageNames[i] == name) {
            return static_cast<Stage>(i);
        }
    }
    return std::nullopt;
}

Value toValue(const ClientMessage& message) {
    return variantToValue(message);
}

Value toValue(const WorkerMessage& message) {
    return variantToValue(message);
}

Result<ClientMessage> clientMessageFromValue(const Value& value) {
    return variantFromValue<ClientMessage>(value);
}

Result<WorkerMessage> workerMessageFromValue(const Value& value) {
    return variantFromValue<WorkerMessage>(value);
}

} // namespace canopy::protocol
