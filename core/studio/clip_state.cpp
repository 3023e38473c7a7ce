#include "core/studio/clip_state.h"

#include <cstdlib>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <variant>

#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"
#include "core/job/job_request.h"
#include "core/protocol/checksum.h"
#include "core/protocol/messages.h"
#include "core/protocol/session_file.h"

namespace canopy {
namespace {

using namespace protocol;

constexpr std::string_view kTargetTopic = "studio/target";

void putBlob(SessionWriter& writer, std::string kind, std::span<const std::uint8_t> bytes) {
    BlobStart info;
    info.kind = std::move(kind);
    info.bytes = bytes.size();
    info.hash = blobHash(bytes);
    writer.message(writer.now(), "worker/blob_start", toValue(WorkerMessage(info)));
    writer.blob(info.kind, info.hash, bytes);
}

Result<void> writeSession(const std::filesystem::path& path, const ClipState& s) {
    constexpr std::uint64_t kBesides = std::uint64_t{64} << 20; // request, record, index
    const auto chunks = s.chunks.run ? toCbor(toValue(s.chunks)) : std::vector<std::uint8_t>();
    auto writer = SessionWriter::create(
        path, {.level = SessionLevel::State, .budgetBytes = s.state.size() + chunks.size() + kBesides});
    if (!writer)
        return writer.error();
    SessionWriter& out = **writer;
    const auto request = std::get<GenerationRequest>(withoutTransients(s.request));
    out.message(out.now(), "client/start_job",
                toValue(ClientMessage(StartJob{0, "generate", toValue(request), {}, 0, 0})));
    out.message(out.now(), kTargetTopic,
                Value{}.set("file", s.target.file.string()).set("frames_dir", s.target.framesDir.string()));
    if (!chunks.empty())
        putBlob(out, "chunk_record", chunks);
    putBlob(out, "state", s.state);
    if (out.leftOut() > 0)
        return makeError(ErrorCode::Io, "The state is too large for its file: " + path.string());
    return out.finish();
}

/// What is known of one job of a recording, in the order of the file.
class Recording {
public:
    explicit Recording(const SessionReader& session)
        : m_session(session) {}

    Result<ClipState> newest() {
        for (std::size_t i = 0; i < m_session.entries().size(); ++i)
            look(i);
        if (m_found)
            return std::move(*m_found);
        if (m_problem)
            return *m_problem;
        return makeError(ErrorCode::NotFound,
                         "The file holds no saved state, and no job in the list is the unfinished one that "
                         "it recorded: its clip is done, was cancelled, or was made elsewhere.");
    }

private:
    void look(std::size_t index) {
        const std::string& topic = m_session.entries()[index].topic;
        const bool known = topic == "client/start_job" || topic == "worker/resolved" ||
                           topic == "worker/blob_start" || topic == kTargetTopic;
        if (!known)
            return;
        const auto message = m_session.message(index);
        if (!message) {
            m_problem = message.error();
            return;
        }
        if (topic == kTargetTopic) {
            m_state.target.file = (*message)["file"].asString();
            m_state.target.framesDir = (*message)["frames_dir"].asString();
        } else if (topic == "client/start_job") {
            const auto told = clientMessageFromValue(*message);
            const auto* start = told ? std::get_if<StartJob>(&*told) : nullptr;
            if (start && start->kind == "generate") {
                m_state = {};
                m_job = start->job;
                takeRequest(start->request);
            }
        } else if (const auto told = workerMessageFromValue(*message)) {
            if (const auto* resolved = std::get_if<Resolved>(&*told); resolved && resolved->job == m_job)
                takeRequest(resolved->request);
            if (const auto* blob = std::get_if<BlobStart>(&*told); blob && blob->job == m_job)
                takeBlob(*blob);
        }
    }

    void takeRequest(const Value& value) {
        const auto request = generationRequestFromValue(value);
        if (request)
            m_state.request = std::get<GenerationRequest>(withoutTransients(*request));
        else
            m_problem = request.error();
    }

    void takeBlob(const BlobStart& info) {
        if ((info.kind != "chunk_record" && info.kind != "state") || !m_session.hasBlob(info.hash))
            return;
        auto bytes = m_session.blob(info.hash);
        if (!bytes) {
            m_problem = bytes.error();
            return;
        }
        if (info.kind == "chunk_record") {
            if (auto part = chunkRecordFromBytes(*bytes))
                append(m_state.chunks, std::move(*part));
            return;
        }
        const auto point = pointOf(*bytes);
        if (!point) {
            m_problem = point.error();
            return;
        }
        m_found = m_state;
        m_found->point = *point;
        m_found->state = std::move(*bytes);
    }

    const SessionReader& m_session;
    JobId m_job = -1;
    ClipState m_state;
    std::optional<ClipState> m_found;
    std::optional<Error> m_problem;
};

} // namespace

Result<void> writeClipState(const std::filesystem::path& path, const ClipState& state) {
    std::error_code ec;
    std::filesystem::create_directories(path.parent_path(), ec);
    const std::filesystem::path temporary = path.string() + ".new";
    auto written = writeSession(temporary, state);
    if (written && ::rename(temporary.c_str(), path.c_str()) != 0)
        written = makeError(ErrorCode::Io, "The saved state could not be put in its place: " + path.string());
    if (!written) {
        ::unlink(temporary.c_str());
        return written;
    }
    return syncFolder(path.parent_path());
}

Result<ClipState> readClipState(const std::filesystem::path& path) {
    const auto session = SessionReader::open(path);
    if (!session)
        return session.error();
    auto state = Recording(*session).newest();
    if (!state) {
        Error error = state.error();
        // A file that was cut or damaged tells nothing of the records that are gone.
        if (error.code == ErrorCode::NotFound && session->damagedPlaces() > 0)
            error = makeError(ErrorCode::Malformed, "The saved state is damaged: the file is not whole.");
        if (error.message.find(path.string()) == std::string::npos)
            error.message += " File: " + path.string();
        return error;
    }
    return state;
}

Result<RecordedJob> recordedJob(const std::filesystem::path& path) {
    const auto session = SessionReader::open(path);
    if (!session)
        return session.error();
    for (std::size_t i = session->entries().size(); i-- > 0;) {
        if (session->entries()[i].topic != "client/start_job")
            continue;
        const auto message = session->message(i);
        const auto told = message ? clientMessageFromValue(*message) : Result<ClientMessage>(message.error());
        const auto* start = told ? std::get_if<StartJob>(&*told) : nullptr;
        if (!start || start->kind != "generate")
            continue;
        auto request = generationRequestFromValue(start->request);
        if (!request)
            return request.error();
        return RecordedJob{start->job, std::move(*request)};
    }
    return makeError(ErrorCode::NotFound, "The recording saw no clip begin. File: " + path.string());
}

Result<SamplingPoint> pointOf(std::span<const std::uint8_t> stateFile) {
    const auto header = parseSafetensorsHeader(stateFile, stateFile.size());
    if (!header)
        return header.error();
    return statePoint(*header);
}

} // namespace canopy
