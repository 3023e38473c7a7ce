#include "core/studio/ask_job.h"

#include <algorithm>
#include <unistd.h>
#include <utility>

#include "core/base/clock.h"
#include "core/job/answer.h"
#include "core/job/ask_plan.h"
#include "core/job/model_value.h"
#include "core/job/qa_model_value.h"
#include "core/studio/answer_file.h"
#include "core/studio/machine.h"
#include "core/studio/memory_check.h"

namespace canopy {

SampleWish sampleWishOf(const AskRequest& request, const QaModelRecord& model) {
    return {request.videoPath, request.frames, request.sampling, model.vision.imageSize,
            model.defaults.forceFrames};
}

void fillFrames(AskRequest& request, const SampledVideo& video) {
    request.framesFile = video.file.string();
    request.frameIndex = video.frameIndex;
    request.frameSeconds = video.frameSeconds;
    request.videoSeconds = video.videoSeconds;
    request.videoNotes = video.notes;
    request.frames = static_cast<int>(video.frameIndex.size());
}

AskJob::AskJob(JobRecord record, const JobTools& tools)
    : m_tools(tools)
    , m_job(std::move(record))
    , m_request(std::get<AskRequest>(m_job.request))
    , m_startedAt(steadySeconds()) {}

Result<void> AskJob::start() {
    if (!m_tools.options.findQaModel)
        return makeError(ErrorCode::Unsupported, "This program asks no questions about videos.");
    auto model = m_tools.options.findQaModel(m_request);
    if (!model)
        return model.error();
    m_model = std::move(*model);
    m_request = withModelDefaults(m_request, m_model);
    if (const auto problems = checkAsk(m_request, m_model); !problems.empty())
        return makeError(ErrorCode::InvalidArgument, problems.front());
    const auto framesBytes = static_cast<std::uint64_t>(m_request.frames) *
                             static_cast<std::uint64_t>(m_model.vision.imageSize) *
                             static_cast<std::uint64_t>(m_model.vision.imageSize) * 3;
    if (auto problem = folderProblem(m_tools.options.stateFolder, framesBytes))
        return *problem;
    if (auto problem = folderProblem(m_tools.options.dataFolder, std::uint64_t{1} << 20))
        return *problem;
    const MemoryPlan plan = planMemory(m_model, m_request, plannedVideoTokens(m_model, m_request));
    if (auto problem = memoryProblem(plan, m_request, m_tools.workerBytes()))
        return *problem;
    m_plannedBytes = plan.peakBytes(m_request.device);
    m_tools.sampler.sample(m_job.id, sampleWishOf(m_request, m_model));
    return {};
}

std::optional<client::JobSubmission> AskJob::submission() {
    if (!m_framesReady)
        return std::nullopt;
    client::JobSubmission submission;
    submission.job = m_job.id;
    submission.kind = "ask";
    submission.request = toValue(m_request);
    submission.model = toValue(m_model);
    return submission;
}

void AskJob::sampled(SampleReport report) {
    if (!report.video) {
        m_problem = report.video.error();
        return;
    }
    fillFrames(m_request, *report.video);
    m_framesReady = true;
}

void AskJob::take(StudioEvent event) {
    if (auto* report = std::get_if<SampleReport>(&event)) {
        sampled(std::move(*report));
    } else if (auto* told = std::get_if<JobResolved>(&event)) {
        auto request = askRequestFromValue(told->request);
        if (!request) {
            m_tools.note("The engine sent settings that cannot be read: " + request.error().message);
            return;
        }
        // Paths are ours, not the worker's.
        request->videoPath = m_request.videoPath;
        request->modelPath = m_request.modelPath;
        m_request = std::move(*request);
        if (const auto plan = memoryPlanFromValue(told->memoryPlan))
            m_plannedBytes = plan->peakBytes(m_request.device);
        m_tools.told(m_tools.jobs.setResolved(m_job.id, m_request));
    } else if (auto* words = std::get_if<JobWords>(&event)) {
        m_text += words->text;
    } else if (auto* blob = std::get_if<JobBlob>(&event); blob && blob->blob->info.kind == "token_run") {
        auto run = tokenRunFromBytes(blob->blob->bytes);
        if (run)
            m_run = std::move(*run);
        else
            m_problem = run.error();
    }
}

Result<bool> AskJob::finish(const client::JobOutcome& outcome) {
    auto answer = answerFromValue(outcome.summary);
    if (!answer)
        return answer.error();
    if (!m_run)
        return makeError(ErrorCode::Internal,
                         "The engine answered without saying which tokens it was given; see the log.");
    const auto file = answerFileOf(m_tools.options.dataFolder, m_job.id);
    if (auto written = writeAnswerFile(file, *m_run); !written)
        return written.error();
    Value summary = outcome.summary;
    summary.set("make_seconds", steadySeconds() - m_startedAt);
    const auto done = m_tools.jobs.setDone(m_job.id, file, summary);
    m_tools.told(done);
    m_tools.answered(m_job.id, m_run);
    return true;
}

void AskJob::abandon(bool) {
    m_tools.sampler.abandon(m_job.id);
}

void AskJob::failed(const Error&) {
    m_tools.sampler.abandon(m_job.id);
}

double AskJob::roughFraction(const JobProgress& p) const {
    struct Share {
        protocol::Stage stage;
        double start, share;
    };
    using protocol::Stage;
    constexpr Share kShares[] = {{Stage::Load, 0, 0.1},
                                 {Stage::Vision, 0.1, 0.5},
                                 {Stage::Select, 0.6, 0.05},
                                 {Stage::Prefill, 0.65, 0.25},
                                 {Stage::Answer, 0.9, 0.1}};
    const double within = p.units > 0 ? std::clamp(double(p.unit) / p.units, 0.0, 1.0) : 0;
    for (const Share& s : kShares)
        if (s.stage == p.stage)
            return s.start + s.share * within;
    return 0;
}

void AskJob::describe(AskView& view) const {
    view.text = m_text;
    view.run = m_run;
    view.request = m_request;
    view.elapsedSeconds = steadySeconds() - m_startedAt;
    if (!m_framesReady && !m_problem)
        view.words = "Reading the video";
}

} // namespace canopy
