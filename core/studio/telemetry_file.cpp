// Telemetry in session files (.canopy): read from any recording, written as one of its own.
#include <map>
#include <optional>
#include <utility>

#include "core/base/value_codec.h"
#include "core/protocol/checksum.h"
#include "core/protocol/messages.h"
#include "core/protocol/session_file.h"
#include "core/studio/run_telemetry.h"

namespace canopy {

namespace {

using namespace protocol;

/// A preview whose bytes are what its sizes say; null otherwise.
std::shared_ptr<const PreviewImage> previewOf(const BlobStart& info, std::vector<std::uint8_t> bytes) {
    const auto edge = [](int n) { return n > 0 && n <= 1 << 14; };
    if (!edge(info.width) || !edge(info.height) || !edge(info.frames) ||
        bytes.size() != std::size_t(info.width) * std::size_t(info.height) * std::size_t(info.frames) * 3)
        return nullptr;
    auto image = std::make_shared<PreviewImage>();
    *image = {info.job, info.step, info.width, info.height, info.frames, std::move(bytes)};
    return image;
}

/// Takes the messages of one recording apart by job. Job numbers repeat in no recording, epochs do not
/// matter.
class Replay {
public:
    explicit Replay(const SessionReader& reader)
        : m_reader(reader) {}

    void take(const Value& value) {
        const auto message = workerMessageFromValue(value);
        if (message)
            std::visit([this](const auto& m) { on(m); }, *message);
    }

    std::vector<std::shared_ptr<const RunTelemetry>> runs() {
        std::vector<std::shared_ptr<const RunTelemetry>> all;
        for (auto& [job, log] : m_logs)
            if (auto run = log.current(); run && (!run->isEmpty() || run->chunks))
                all.push_back(std::move(run));
        return all;
    }

private:
    TelemetryLog& logOf(JobId job) {
        TelemetryLog& log = m_logs[job];
        if (log.job() == 0)
            log.begin(job);
        return log;
    }

    void on(const Resolved& m) {
        if (const auto request = generationRequestFromValue(m.request))
            logOf(m.job).resolved(*request);
    }
    void on(const AttentionStepDone& m) { logOf(m.job).step(m.step); }
    void on(const BlobStart& m) {
        const bool wanted = m.kind == "attention_masks" || m.kind == "preview" || m.kind == "chunk_record";
        if (!wanted || !m_reader.hasBlob(m.hash))
            return; // left out by the recording's budget
        auto bytes = m_reader.blob(m.hash);
        if (!bytes)
            return;
        if (m.kind == "attention_masks") {
            logOf(m.job).masks(*bytes);
        } else if (m.kind == "chunk_record") {
            if (auto part = chunkRecordFromBytes(*bytes))
                logOf(m.job).chunks(std::move(*part));
        } else if (auto image = previewOf(m, std::move(*bytes)))
            logOf(m.job).preview(std::move(image));
    }
    void on(const Finished& m) { logOf(m.job).ended(); }
    void on(const Failed& m) { logOf(m.job).ended(); }
    template <typename Other>
    void on(const Other&) {}

    const SessionReader& m_reader;
    std::map<JobId, TelemetryLog> m_logs;
};

} // namespace

Result<std::vector<std::shared_ptr<const RunTelemetry>>> readTelemetry(const std::filesystem::path& file) {
    const auto reader = SessionReader::open(file);
    if (!reader)
        return reader.error();
    Replay replay(*reader);
    for (std::size_t i = 0; i < reader->entries().size(); ++i) {
        if (!reader->entries()[i].topic.starts_with("worker/"))
            continue;
        if (const auto message = reader->message(i))
            replay.take(*message);
    }
    auto runs = replay.runs();
    if (runs.empty())
        return makeError(
            ErrorCode::Unsupported,
            "This recording holds nothing to inspect: no clip of it was made with sparse attention "
            "or in blocks. Record one that is (generate --attention xattention --record F.canopy, "
            "or --mode chunked). File: " +
                file.string());
    return runs;
}

Result<void> saveTelemetry(const RunTelemetry& run, const std::filesystem::path& file) {
    if (std::error_code ignored; std::filesystem::exists(file, ignored))
        return makeError(ErrorCode::Io,
                         "The file exists already and is not overwritten; choose another name. "
                         "File: " +
                             file.string());
    auto writer = SessionWriter::create(file);
    if (!writer)
        return writer.error();
    double seconds = 0;
    const auto message = [&](const WorkerMessage& m) {
        const Value value = toValue(m);
        (*writer)->message(seconds, "worker/" + value["type"].asString(), value);
    };
    std::uint64_t number = 0;
    const auto blob = [&](BlobStart info, const std::vector<std::uint8_t>& bytes) {
        info.blob = ++number;
        info.job = run.job;
        info.bytes = bytes.size();
        info.hash = blobHash(bytes);
        message(info);
        (*writer)->blob(info.kind, info.hash, bytes);
    };
    if (run.request)
        message(Resolved{run.job, toValue(*run.request), {}});
    for (const auto& step : run.steps) {
        seconds += step->seconds;
        message(AttentionStepDone{run.job, toValue(*step)});
        for (const auto& masks : run.masks)
            if (masks->front().step == step->step) {
                BlobStart info;
                info.kind = "attention_masks";
                info.step = step->step;
                blob(std::move(info), toCbor(toValue(*masks)));
            }
    }
    if (run.chunks) {
        BlobStart info;
        info.kind = "chunk_record";
        blob(std::move(info), toCbor(toValue(*run.chunks)));
    }
    if (run.preview) {
        BlobStart info;
        info.kind = "preview";
        info.width = run.preview->width;
        info.height = run.preview->height;
        info.frames = run.preview->frames;
        info.step = run.preview->step;
        blob(std::move(info), run.preview->rgb);
    }
    if (run.ended)
        message(Finished{run.job, run.request ? toValue(*run.request) : Value{}, {}});
    return (*writer)->finish();
}

} // namespace canopy
