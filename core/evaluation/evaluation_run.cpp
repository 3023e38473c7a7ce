#include "core/evaluation/evaluation_run.h"

#include <algorithm>
#include <map>
#include <memory>
#include <unistd.h>
#include <utility>

#include "core/base/clock.h"
#include "core/evaluation/journal.h"
#include "core/evaluation/one_job.h"
#include "core/job/answer.h"
#include "core/job/qa_model_value.h"

#if CANOPY_HAS_MEDIA
#include "core/media/sampled_frames.h"
#endif

namespace canopy::evaluation {
namespace {

using client::JobEnd;
using client::JobOutcome;

struct ScratchFile {
    std::filesystem::path path;
    ~ScratchFile() { ::unlink(path.c_str()); }
};

Result<void> sample(AskRequest& request, const QaModelRecord& model, const std::filesystem::path& to,
                    const std::stop_token& stop) {
#if CANOPY_HAS_MEDIA
    auto frames = media::readSampledFrames(request.videoPath, request.frames, request.sampling,
                                           model.vision.imageSize, model.defaults.forceFrames, stop);
    if (!frames)
        return frames.error();
    request.framesFile = to.string();
    request.frames = static_cast<int>(frames->frameIndex.size());
    request.frameIndex = frames->frameIndex;
    request.frameSeconds = frames->frameSeconds;
    request.videoSeconds = frames->videoSeconds;
    request.videoNotes = frames->notes;
    return media::writeFramesFile(*frames, to);
#else
    (void)model, (void)to, (void)stop;
    return makeError(ErrorCode::Unsupported,
                     "This build reads no videos; use one built with FFmpeg: " + request.videoPath);
#endif
}

/// Rows of each video, videos in order of first appearance.
std::vector<std::vector<std::size_t>> byVideo(const std::vector<QuestionRow>& rows) {
    std::map<std::filesystem::path, std::size_t> places;
    std::vector<std::vector<std::size_t>> groups;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto [it, isNew] = places.emplace(rows[i].video, groups.size());
        if (isNew)
            groups.emplace_back();
        groups[it->second].push_back(i);
    }
    return groups;
}

class Run {
public:
    Run(EvaluationOptions options, Journal journal, std::stop_token stop)
        : m_options(std::move(options))
        , m_journal(std::move(journal))
        , m_stop(std::move(stop))
        , m_client(m_options.worker)
        , m_startedAt(steadySeconds()) {}

    Result<void> all() {
        m_client.start();
        for (const auto& group : byVideo(m_options.rows))
            if (auto done = video(group); !done)
                return done;
        return {};
    }

    std::vector<std::vector<ArmAnswer>> answers() const {
        std::vector<std::vector<ArmAnswer>> table(m_options.arms.size());
        for (std::size_t arm = 0; arm < table.size(); ++arm)
            for (std::size_t row = 0; row < m_options.rows.size(); ++row)
                table[arm].push_back(*m_journal.at(arm, row));
        return table;
    }

private:
    Result<void> video(const std::vector<std::size_t>& rows) {
        AskRequest request = m_options.base;
        request.videoPath = m_options.rows[rows.front()].video.string();
        const ScratchFile frames{m_options.scratch /
                                 ("evaluate-" + std::to_string(::getpid()) + ".safetensors")};
        bool sampled = false;
        for (std::size_t arm = 0; arm < m_options.arms.size(); ++arm) {
            for (const std::size_t row : rows) {
                if (m_stop.stop_requested())
                    return makeError(ErrorCode::Cancelled, "Stopped; the same command goes on from here.");
                if (m_journal.at(arm, row))
                    continue;
                if (!std::exchange(sampled, true))
                    if (auto ready = sample(request, m_options.model, frames.path, m_stop); !ready)
                        return ready;
                if (auto done = question(request, arm, row); !done)
                    return done;
                tell(arm, row, request.videoNotes);
            }
        }
        return {};
    }

    Result<void> question(AskRequest request, std::size_t arm, std::size_t row) {
        const QuestionRow& asked = m_options.rows[row];
        request.question = asked.question;
        request.options = asked.options;
        request.tokens = m_options.arms[arm].tokens;
        client::JobSubmission submission;
        submission.job = ++m_job;
        submission.kind = "ask";
        submission.request = toValue(request);
        submission.model = toValue(m_options.model);
        submission.listener = m_listener;
        if (auto sent = m_client.submit(std::move(submission)); !sent)
            return sent;
        const JobOutcome outcome = m_listener->wait(m_job, m_client, m_stop);
        if (outcome.end != JobEnd::Finished)
            return makeError(outcome.error.code, "Question " + std::to_string(row + 1) + " (" +
                                                     m_options.arms[arm].name() +
                                                     "): " + outcome.error.message);
        const auto answer = answerFromValue(outcome.summary);
        if (!answer)
            return answer.error();
        m_precision = answer->request.precision;
        return m_journal.add(arm, row,
                             {answer->text, isRight(asked, answer->text), answer->letterProbabilities,
                              answer->videoTokens, answer->firstWordSeconds, answer->selectSeconds,
                              answer->prefillSeconds, answer->kvBytes});
    }

    void tell(std::size_t arm, std::size_t row, const std::vector<std::string>& videoNotes) {
        ++m_answeredHere;
        if (!m_options.progress)
            return;
        EvaluationProgress p;
        p.answered = m_journal.answered();
        p.answers = m_options.arms.size() * m_options.rows.size();
        p.arm = m_options.arms[arm].name();
        p.video = m_options.rows[row].video;
        p.precision = m_precision;
        p.videoNotes = videoNotes;
        p.remainingSeconds = (steadySeconds() - m_startedAt) / static_cast<double>(m_answeredHere) *
                             static_cast<double>(p.answers - p.answered);
        m_options.progress(p);
    }

    const EvaluationOptions m_options;
    Journal m_journal;
    const std::stop_token m_stop;
    const std::shared_ptr<OneJob> m_listener = std::make_shared<OneJob>();
    client::WorkerClient m_client;
    client::JobId m_job = 0;
    const double m_startedAt;
    std::size_t m_answeredHere = 0;
    Precision m_precision = Precision::Auto;
};

} // namespace

Result<std::vector<std::vector<ArmAnswer>>> runEvaluation(EvaluationOptions options, std::stop_token stop) {
    auto journal = Journal::open(options);
    if (!journal)
        return journal.error();
    Run run(std::move(options), std::move(*journal), std::move(stop));
    if (auto done = run.all(); !done)
        return done.error();
    return run.answers();
}

} // namespace canopy::evaluation
