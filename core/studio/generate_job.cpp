#include "core/studio/generate_job.h"

#include <algorithm>
#include <span>
#include <unistd.h>
#include <utility>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"
#include "core/job/model_value.h"
#include "core/job/settings_schema.h"
#include "core/studio/base_clip.h"
#include "core/studio/given_video.h"
#include "core/studio/machine.h"
#include "core/studio/memory_check.h"
#include "core/studio/read_clip.h"
#include "core/studio/studio_words.h"

#if CANOPY_HAS_MEDIA
#include "core/media/clip_metadata.h"
#include "core/media/image_reader.h"
#endif

namespace canopy {
namespace {

std::uint64_t planPeak(const Value& plan, DeviceKind device) {
    const auto read = memoryPlanFromValue(plan);
    return read ? read->peakBytes(device) : 0;
}

/// The first image as the worker takes it: decoded and cropped here, because it reads no image formats.
Result<void> writeImagePixels(const std::filesystem::path& image, const GenerationRequest& r,
                              const std::filesystem::path& to) {
#if CANOPY_HAS_MEDIA
    const auto read = media::readImage(image);
    if (!read)
        return read.error();
    const media::Frame fitted = media::resizedToFill(*read, r.width, r.height);
    const auto file =
        writeSafetensors({{"image",
                           DType::U8,
                           {static_cast<std::uint64_t>(r.height), static_cast<std::uint64_t>(r.width), 3},
                           fitted.rgb}});
    return writeFileAtomically(to, std::span<const std::uint8_t>(file));
#else
    (void)r, (void)to;
    return makeError(ErrorCode::Unsupported,
                     "This build has no picture support; leave the first image out: " + image.string());
#endif
}

} // namespace

std::filesystem::path latentsFileOf(const StudioOptions& options, JobId job) {
    return options.stateFolder / ("job-" + std::to_string(job) + ".latents.safetensors");
}

std::filesystem::path imageFileOf(const StudioOptions& options, JobId job) {
    return options.stateFolder / ("job-" + std::to_string(job) + ".image.safetensors");
}

std::filesystem::path chunkFileOf(const StudioOptions& options, JobId job) {
    return options.dataFolder / "chunks" / ("clip-" + std::to_string(job) + ".cbor");
}

std::filesystem::path keptLatentsOf(const StudioOptions& options, JobId job) {
    return options.dataFolder / "chunks" / ("clip-" + std::to_string(job) + ".latents.safetensors");
}

std::filesystem::path baseFileOf(const StudioOptions& options, JobId job) {
    return options.stateFolder / ("job-" + std::to_string(job) + ".base.safetensors");
}

std::filesystem::path stateFileOf(const StudioOptions& options, JobId job) {
    return options.stateFolder / ("job-" + std::to_string(job) + ".canopy");
}

std::filesystem::path stateInputOf(const StudioOptions& options, JobId job) {
    return options.stateFolder / ("job-" + std::to_string(job) + ".state.safetensors");
}

std::filesystem::path measuringFolderOf(const StudioOptions& options) {
    return options.stateFolder / "speed";
}

void forgetJobFiles(const StudioOptions& options, JobId job) {
    ::unlink(latentsFileOf(options, job).c_str());
    ::unlink(imageFileOf(options, job).c_str());
    ::unlink(baseFileOf(options, job).c_str());
    ::unlink(stateFileOf(options, job).c_str());
    ::unlink(stateInputOf(options, job).c_str());
}

GenerateJob::GenerateJob(JobRecord record, const JobTools& tools)
    : m_tools(tools)
    , m_job(std::move(record))
    , m_request(std::get<GenerationRequest>(m_job.request))
    , m_startedAt(steadySeconds()) {
    m_grown.begin(m_job.id);
}

Result<void> GenerateJob::start() {
    auto model = m_tools.options.findModel(m_request);
    if (!model)
        return model.error();
    m_model = std::move(*model);
    GenerationRequest& r = m_request;
    r = withModelDefaults(r, m_model.defaults);
    if (const auto problems = checkRequest(r, m_model); !problems.empty())
        return makeError(ErrorCode::InvalidArgument, problems.front());

    const auto& folder = m_tools.options.clipFolder;
    if (m_job.target.file.empty() && ClipEncoder::writesVideo())
        m_job.target.file = folder / (outputName(r.prompt, r.seed) + ".mp4");
    if (m_job.target.framesDir.empty() && !ClipEncoder::writesVideo())
        m_job.target.framesDir = folder / (outputName(r.prompt, r.seed) + "-frames");
    // Asked before the work, not after it. The clip is far smaller than its raw pictures: a tenth is ample.
    const auto pixels = static_cast<std::uint64_t>(r.width) * static_cast<std::uint64_t>(r.height) *
                        static_cast<std::uint64_t>(r.frames);
    if (!m_job.target.file.empty())
        if (auto problem = folderProblem(m_job.target.file.parent_path(), pixels * 3 / 10))
            return *problem;
    if (!m_job.target.framesDir.empty())
        if (auto problem = folderProblem(m_job.target.framesDir, pixels * 3))
            return *problem;
    if (auto problem = folderProblem(m_tools.options.stateFolder, pixels / 4))
        return *problem;
    const MemoryPlan plan = planMemory(m_model, r);
    if (auto problem = memoryProblem(plan, r, m_tools.workerBytes()))
        return *problem;

    std::error_code ec;
    if (!m_job.latentsFile.empty() && std::filesystem::exists(m_job.latentsFile, ec)) {
        r.resumeLatentsPath = m_job.latentsFile;
        m_latentsSaved = true;
    } else {
        goOnFromState();
    }
    m_base = r.chunks.basePath;
    if (r.resumeLatentsPath.empty() && r.resumeStatePath.empty())
        if (auto gathered = gatherInputs(); !gathered)
            return gathered;
    m_plannedBytes = plan.peakBytes(r.device);
    return {};
}

Result<void> GenerateJob::gatherInputs() {
    GenerationRequest& r = m_request;
    if (!r.imagePath.empty()) {
        r.imagePixelsPath = imageFileOf(m_tools.options, m_job.id);
        auto written = r.chunks.givenFrames > 0 ? writeGivenVideo(r, r.imagePixelsPath)
                                                : writeImagePixels(r.imagePath, r, r.imagePixelsPath);
        if (!written)
            return written;
    }
    if (!r.chunks.basePath.empty()) {
        auto base = baseLatents(m_tools.options, m_tools.jobs, r.chunks.basePath,
                                baseFileOf(m_tools.options, m_job.id));
        if (!base)
            return base.error();
        r.chunks.basePath = base->string();
    }
    return {};
}

void GenerateJob::goOnFromState() {
    const auto file = stateFileOf(m_tools.options, m_job.id);
    std::error_code ec;
    if (!std::filesystem::exists(file, ec))
        return;
    auto saved = readClipState(file);
    const auto input = stateInputOf(m_tools.options, m_job.id);
    Result<void> written = saved ? writeFileAtomically(input, std::span<const std::uint8_t>(saved->state))
                                 : Result<void>(saved.error());
    if (!written) {
        m_tools.note("\"" + jobTitle(m_request.prompt) +
                     "\" begins anew, because its saved state cannot be used: " + written.error().message);
        return;
    }
    m_request.resumeStatePath = input;
    m_from = saved->point;
    m_chunks = std::move(saved->chunks);
}

std::optional<client::JobSubmission> GenerateJob::submission() {
    client::JobSubmission submission;
    submission.job = m_job.id;
    submission.kind = "generate";
    submission.request = toValue(m_request);
    submission.model = toValue(m_model);
    submission.stateBudget = m_tools.options.stateBudgetBytes;
    submission.stateSeconds = m_tools.options.stateSeconds;
    return submission;
}

void GenerateJob::take(StudioEvent event) {
    if (auto* told = std::get_if<JobResolved>(&event)) {
        resolved(*told);
    } else if (auto* went = std::get_if<JobResumed>(&event)) {
        resumedAt(*went);
    } else if (auto* blob = std::get_if<JobBlob>(&event)) {
        if (blob->blob->info.kind == "state")
            stateArrived(blob->blob);
        else if (blob->blob->info.kind == "latents")
            latentsArrived(blob->blob);
        else if (blob->blob->info.kind == "frame")
            frameArrived(blob->blob);
        else if (blob->blob->info.kind == "attention_stats")
            statsArrived(blob->blob);
        else if (blob->blob->info.kind == "chunk_record")
            chunksArrived(blob->blob);
    } else if (auto* report = std::get_if<EncodeReport>(&event)) {
        if (report->file)
            m_encoded = std::move(*report);
        else
            m_encodeError = report->file.error();
    }
}

void GenerateJob::resolved(const JobResolved& told) {
    auto request = generationRequestFromValue(told.request);
    if (!request) {
        m_tools.note("The engine sent settings that cannot be read: " + request.error().message);
        return;
    }
    // Paths are ours, not the worker's.
    request->imagePath = m_request.imagePath;
    request->modelPath = m_request.modelPath;
    request->chunks.basePath = m_base;
    m_request = std::move(*request);
    if (const std::uint64_t peak = planPeak(told.memoryPlan, m_request.device); peak > 0)
        m_plannedBytes = peak;
    m_tools.told(m_tools.jobs.setResolved(m_job.id, m_request));
}

void GenerateJob::resumedAt(const JobResumed& resumed) {
    auto point = samplingPointFromValue(resumed.point);
    if (!point) {
        m_tools.note("The engine does not say from where the clip goes on: " + point.error().message);
        return;
    }
    m_resumed = *point;
    m_tools.note("\"" + jobTitle(m_request.prompt) + "\" goes on from " + pointWords(*point) + "." +
                 (point->exact ? ""
                               : " Its keys were too many to be saved and are made anew there, so it may "
                                 "differ a little from a clip that was never stopped."));
}

void GenerateJob::stateArrived(const client::BlobPtr& state) {
    auto point = pointOf(state->bytes);
    if (!point) {
        m_tools.note("The engine sent a state that cannot be read: " + point.error().message);
        return;
    }
    if (!m_keeper)
        m_keeper = std::make_unique<StateKeeper>(stateFileOf(m_tools.options, m_job.id));
    m_stateArrived = true;
    GenerationRequest request = m_request;
    request.chunks.basePath = m_base;
    m_keeper->keep({std::move(request), m_job.target, *point, m_chunks, state->bytes});
}

void GenerateJob::latentsArrived(const client::BlobPtr& latents) {
    m_latentsCame = true;
    const auto file = latentsFileOf(m_tools.options, m_job.id);
    auto written = writeFileAtomically(file, std::span<const std::uint8_t>(latents->bytes));
    if (written)
        written = m_tools.jobs.setLatents(m_job.id, file);
    if (!written) { // the clip can still be made; only a crash now would cost the denoising
        logWarning("studio", "The finished calculation was not saved: " + written.error().message);
        return;
    }
    m_latentsSaved = true;
}

void GenerateJob::statsArrived(const client::BlobPtr& json) {
    const auto& file = m_tools.options.attentionStatsFile;
    if (file.empty())
        return;
    if (auto written = writeFileAtomically(file, std::span<const std::uint8_t>(json->bytes)); !written)
        m_tools.note("What attention kept was not written: " + written.error().message);
}

void GenerateJob::chunksArrived(const client::BlobPtr& part) {
    auto record = chunkRecordFromBytes(part->bytes);
    if (!record) {
        m_tools.note("What the engine says of the clip's chunks cannot be read: " + record.error().message);
        return;
    }
    m_rowAt = steadySeconds();
    if (record->run) {
        m_samplingAt = m_rowAt;
        m_rowSeconds = 0;
    }
    for (const auto& row : record->rows)
        m_rowSeconds += row.milliseconds / 1000;
    if (record->run && m_from && m_chunks.run)
        return; // the rows before the saved state are there already
    append(m_chunks, std::move(*record));
    m_forecast = chunkForecast(m_chunks, m_rowAt - m_samplingAt - m_rowSeconds);
    m_chunksShown.reset();
}

std::shared_ptr<const ChunkRecord> GenerateJob::chunks() {
    if (!m_chunksShown && m_chunks.run)
        m_chunksShown = std::make_shared<const ChunkRecord>(m_chunks);
    return m_chunksShown;
}

void GenerateJob::keepChunks() {
    if (!m_chunks.run)
        return;
    const auto& options = m_tools.options;
    if (!options.chunkRecordFile.empty()) {
        if (auto written = writeFileAtomically(options.chunkRecordFile, toJson(toValue(m_chunks), 1));
            !written)
            m_tools.note("The record of the clip's chunks was not written: " + written.error().message);
    }
    const auto file = chunkFileOf(options, m_job.id);
    std::error_code ec;
    std::filesystem::create_directories(file.parent_path(), ec);
    const auto bytes = toCbor(toValue(m_chunks));
    if (auto written = writeFileAtomically(file, std::span<const std::uint8_t>(bytes)); !written)
        m_tools.note("The record of the clip's chunks was not kept: " + written.error().message);
}

void GenerateJob::keepLatents() {
    if (m_request.chunks.mode != SamplingMode::Chunked || !m_latentsSaved)
        return;
    const auto kept = keptLatentsOf(m_tools.options, m_job.id);
    std::error_code ec;
    std::filesystem::create_directories(kept.parent_path(), ec);
    const auto from = latentsFileOf(m_tools.options, m_job.id);
    std::filesystem::rename(from, kept, ec);
    if (ec) { // another disk
        ec.clear();
        std::filesystem::copy_file(from, kept, std::filesystem::copy_options::overwrite_existing, ec);
    }
    if (ec)
        m_tools.note("What the clip was made of was not kept, so it cannot be made again from one of its "
                     "chunks (" +
                     ec.message() + "): " + kept.string());
}

void GenerateJob::tellEncoding() {
    if (!std::exchange(m_encodingTold, true))
        m_tools.told(m_tools.jobs.setEncoding(m_job.id));
}

void GenerateJob::frameArrived(const client::BlobPtr& frame) {
    if (m_encodeError)
        return;
    if (m_request.chunks.mode == SamplingMode::Chunked)
        m_grown.add(frame->info.index, frame->info.count, frame->info.width, frame->info.height,
                    frame->bytes);
    if (m_latentsCame || m_latentsSaved) // earlier ones come while the next chunk is made
        tellEncoding();
    if (!m_encoderBegun) {
        m_encoderBegun = true;
        m_tools.encoder.begin({m_job.id, m_job.target.file, m_job.target.framesDir, metadataText({}),
                               jobTitle(m_request.prompt), frame->info.width, frame->info.height,
                               m_request.fps, frame->info.count});
    }
    m_tools.encoder.frame(frame);
}

Result<bool> GenerateJob::finish(const client::JobOutcome& outcome) {
    if (!m_encoderBegun)
        return makeError(ErrorCode::Internal, "The engine finished without a single frame; see the log.");
    if (!m_finishing) {
        m_finishing = true;
        tellEncoding();
        m_tools.encoder.finish(metadataText(outcome.summary));
    }
    if (!m_encoded)
        return false;
    return succeed(outcome.summary);
}

Result<bool> GenerateJob::succeed(const Value& workerSummary) {
    const std::filesystem::path file = *m_encoded->file;
    const Value summary = summaryWithTimes(workerSummary);
    auto thumbnail = std::make_shared<Thumbnail>(std::move(m_encoded->thumbnail));
#if !CANOPY_HAS_MEDIA
    // Without a video the latents are part of the result.
    std::error_code ec;
    std::filesystem::copy_file(latentsFileOf(m_tools.options, m_job.id), file / "latents.safetensors", ec);
    if (ec)
        m_tools.note("The latents could not be kept beside the frames (" + ec.message() +
                     "): " + file.string());
#endif
    const Result<void> done = m_tools.jobs.setDone(m_job.id, file, summary);
    m_tools.told(done);
    keepChunks();
    const bool isMeasurement = file.parent_path() == measuringFolderOf(m_tools.options);
    if (ClipEncoder::writesVideo() && !isMeasurement) {
        Clip clip;
        clip.file = file;
        clip.request = m_request;
        clip.modelLabel = m_model.defaults.label.empty() ? m_model.id : m_model.defaults.label;
        clip.makeSeconds = summary["make_seconds"].asDouble();
        clip.madeAtMillis = wallMillis();
        clip.thumbnail = *thumbnail;
        fillFileFacts(clip);
        if (auto added = m_tools.clips.add(clip); !added)
            m_tools.told(added.error()); // the clip is there; the next scan finds it
    }
    m_tools.thumbnail(m_job.id, std::move(thumbnail));
    if (done && !isMeasurement)
        keepLatents();
    m_keeper.reset();
    if (done)
        forgetJobFiles(m_tools.options, m_job.id);
    return true;
}

void GenerateJob::abandon(bool keepParts) {
    // Without saved latents or state the fragments of the video are all that is left.
    m_tools.encoder.abandon(keepParts && !resumable());
    m_keeper.reset(); // writes what waits
    if (!keepParts)
        forgetJobFiles(m_tools.options, m_job.id);
}

std::string GenerateJob::pause() {
    m_tools.encoder.abandon(false);
    if (m_latentsSaved)
        return "Paused before its pictures are written";
    std::optional<SamplingPoint> point = m_from;
    if (m_keeper) {
        const auto kept = m_keeper->settle();
        if (!kept)
            m_tools.note(
                "The clip is paused, but where it stands could not be saved; it goes on from what was "
                "saved before, or anew: " +
                kept.error().message);
        else if (*kept)
            point = *kept;
    }
    return point ? "Paused at " + pointWords(*point) : "Paused at its beginning";
}

void GenerateJob::failed(const Error& error) {
    m_tools.encoder.abandon(false);
    if (m_request.resumeLatentsPath.empty() && m_job.latentsFile.empty() && m_request.resumeStatePath.empty())
        return;
    // Latents or a state that do not fit or are damaged would fail every retry: start anew the next time.
    if (error.code == ErrorCode::Mismatch || error.code == ErrorCode::Malformed) {
        m_keeper.reset();
        m_tools.told(m_tools.jobs.setLatents(m_job.id, {}));
        forgetJobFiles(m_tools.options, m_job.id);
    }
}

bool GenerateJob::stopsQueue(const Error& error) const {
    return m_encodeError && error.code == ErrorCode::Io;
}

double GenerateJob::roughFraction(const JobProgress& p) const {
    struct Share {
        protocol::Stage stage;
        double start, share;
    };
    using protocol::Stage;
    constexpr Share kShares[] = {{Stage::Load, 0, 0.02},
                                 {Stage::Text, 0.02, 0.02},
                                 {Stage::Denoise, 0.04, 0.71},
                                 {Stage::Decode, 0.75, 0.23},
                                 {Stage::Encode, 0.98, 0.02}};
    const double within =
        p.units > 0 ? (p.unit + (p.blocks > 0 ? double(p.block) / p.blocks : 0)) / p.units : 0;
    for (const Share& s : kShares)
        if (s.stage == p.stage)
            return s.start + s.share * std::clamp(within, 0.0, 1.0);
    return 0;
}

void GenerateJob::describe(JobProgress& progress) const {
    if (m_chunks.run && !m_chunks.rows.empty() && !m_chunks.rows.back().chunks.empty()) {
        const ChunkStepRecord& newest = m_chunks.rows.back().chunks.back();
        progress.chunks = m_chunks.run->chunks;
        progress.chunkSteps = m_chunks.run->steps;
        const bool ended = newest.step + 1 >= progress.chunkSteps && newest.chunk + 1 < progress.chunks;
        progress.chunk = newest.chunk + (ended ? 1 : 0);
        progress.chunkStep = ended ? 0 : newest.step + 1;
    }
    if (progress.stage == protocol::Stage::Denoise && m_forecast.seconds > 0 && m_chunks.run) {
        const int left = m_chunks.run->rows - static_cast<int>(m_chunks.rows.size());
        const double row = m_forecast.seconds / std::max(1, left); // part of it is under way
        progress.remainingSeconds = m_forecast.seconds - std::min(row, steadySeconds() - m_rowAt);
        progress.remainingSpread = m_forecast.spread;
    }
    if (!m_finishing)
        return;
    progress.stage = protocol::Stage::Encode;
    progress.unit = progress.units = 0;
}

Value GenerateJob::summaryWithTimes(const Value& summary) const {
    Value v = summary.isMap() ? summary : Value{Value::Map{}};
    v.set("make_seconds", steadySeconds() - m_startedAt);
    if (m_resumed)
        v.set("resumed_at", toValue(*m_resumed));
    return v;
}

std::string GenerateJob::metadataText(const Value& summary) const {
    GenerationRequest stored = m_request;
    stored.modelPath.clear(); // the id says which; the path is this machine's business
    stored.resumeLatentsPath.clear();
    stored.resumeStatePath.clear();
    stored.imagePixelsPath.clear();
    const std::string label = m_model.defaults.label.empty() ? m_model.id : m_model.defaults.label;
#if CANOPY_HAS_MEDIA
    return media::toText(
        {toValue(stored), summaryWithTimes(summary), label, m_tools.options.programVersion, wallMillis()});
#else
    Value v;
    v.set("request", toValue(stored)).set("summary", summaryWithTimes(summary)).set("model_label", label);
    return toJson(v, 1);
#endif
}

} // namespace canopy
