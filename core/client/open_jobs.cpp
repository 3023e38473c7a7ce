#include "core/client/open_jobs.h"

#include <algorithm>
#include <utility>

#include "core/base/clock.h"

namespace canopy::client {
namespace {

using namespace protocol;

constexpr std::size_t kMaxTimings = 512;
/// No step takes so few bytes that more of them matter to anybody.
constexpr std::size_t kMaxStepSeconds = 10000;

double median(std::vector<double> values) {
    if (values.empty()) {
        return 0;
    }
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

} // namespace

OpenJobs::Job* OpenJobs::find(JobId id) {
    const auto it =
        std::find_if(m_jobs.begin(), m_jobs.end(), [&](const Job& j) { return j.view.job == id; });
    return it != m_jobs.end() ? &*it : nullptr;
}

OpenJobs::Job* OpenJobs::running() {
    return !m_jobs.empty() && m_jobs.front().view.sent ? &m_jobs.front() : nullptr;
}

OpenJobs::Job* OpenJobs::known(JobId id) {
    Job* job = find(id);
    if (job == nullptr) {
        m_store.change([](ClientSnapshot& s) { ++s.traffic.staleMessages; });
    }
    return job;
}

void OpenJobs::add(JobSubmission submission) {
    Job job;
    job.view.job = submission.job;
    job.view.submittedAt = steadySeconds();
    job.view.lastProgressAt = job.view.submittedAt;
    job.submission = std::move(submission);
    m_jobs.push_back(std::move(job));
}

void OpenJobs::show() {
    m_store.change([&](ClientSnapshot& s) {
        s.openJobs.clear();
        for (const Job& job : m_jobs) {
            s.openJobs.push_back(job.view.job);
        }
        if (m_jobs.empty()) {
            return;
        }
        const JobView& view = m_jobs.front().view;
        if (s.preview && s.preview->job != view.job) {
            s.preview.reset();
        }
        // A cancel is shown by the caller's thread before this thread knows of it.
        const bool cancelling = view.cancelling || (s.job && s.job->job == view.job && s.job->cancelling);
        s.job = view;
        s.job->cancelling = cancelling;
    });
}

void OpenJobs::on(const Progress& progress) {
    Job* job = known(progress.job);
    if (job == nullptr) {
        return;
    }
    const Progress before = job->view.progress;
    job->view.lastProgressAt = steadySeconds();
    job->view.stuck = false;
    job->view.progress = progress;
    if (before.stage != progress.stage) {
        job->unitSeconds.clear();
    } else if (progress.unit > before.unit && progress.unitSeconds > 0) {
        job->unitSeconds.push_back(progress.unitSeconds);
        if (progress.stage == Stage::Denoise && job->view.stepSeconds.size() < kMaxStepSeconds) {
            job->view.stepSeconds.push_back(progress.unitSeconds);
        }
    }
    show();
    if (const auto listener = job->submission.listener.lock()) {
        listener->jobProgress(progress);
    }
}

void OpenJobs::on(const Resolved& resolved) {
    Job* job = known(resolved.job);
    if (job == nullptr) {
        return;
    }
    job->view.request = resolved.request;
    job->view.memoryPlan = resolved.memoryPlan;
    show();
    if (const auto listener = job->submission.listener.lock()) {
        listener->jobResolved(resolved.job, resolved.request, resolved.memoryPlan);
    }
}

void OpenJobs::on(const Resumed& resumed) {
    Job* job = known(resumed.job);
    if (job == nullptr) {
        return;
    }
    if (const auto listener = job->submission.listener.lock()) {
        listener->jobResumed(resumed.job, resumed.point);
    }
}

void OpenJobs::on(Timing timing) {
    Job* job = known(timing.job);
    if (job == nullptr) {
        return;
    }
    auto& timings = job->view.timings;
    const auto same =
        std::find_if(timings.begin(), timings.end(), [&](const Timing& t) { return t.name == timing.name; });
    if (same != timings.end()) {
        *same = std::move(timing);
    } else if (timings.size() < kMaxTimings) {
        timings.push_back(std::move(timing));
    }
    show();
}

void OpenJobs::on(const AttentionStepDone& done) {
    Job* job = known(done.job);
    if (job == nullptr) {
        return;
    }
    if (const auto listener = job->submission.listener.lock()) {
        listener->jobAttentionStep(done.job, done.step);
    }
}

void OpenJobs::on(const Words& words) {
    Job* job = known(words.job);
    if (job == nullptr) {
        return;
    }
    job->view.lastProgressAt = steadySeconds();
    job->view.stuck = false;
    if (const auto listener = job->submission.listener.lock()) {
        listener->jobWords(words.job, words.text);
    }
}

void OpenJobs::deliver(const BlobPtr& blob) {
    const BlobStart& info = blob->info;
    Job* job = known(info.job);
    if (job == nullptr) {
        return;
    }
    job->view.lastProgressAt = steadySeconds();
    if (info.kind == "preview") {
        m_store.setPreview(std::make_shared<const Preview>(
            Preview{info.job, info.step, info.width, info.height, info.frames, blob}));
        return;
    }
    if (const auto listener = job->submission.listener.lock()) {
        if (info.kind == "frame") {
            listener->jobFrame(info.job, blob);
        } else if (info.kind == "latents") {
            listener->jobLatents(info.job, blob);
        } else if (info.kind == "state") {
            listener->jobState(info.job, blob);
        } else if (info.kind == "token_run") {
            listener->jobTokens(info.job, blob);
        } else if (info.kind == "attention_masks") {
            listener->jobAttentionMasks(info.job, blob);
        } else if (info.kind == "attention_stats") {
            listener->jobAttentionStats(info.job, blob);
        } else if (info.kind == "head_measurement") {
            listener->jobMeasured(info.job, blob);
        } else if (info.kind == "chunk_record") {
            listener->jobChunks(info.job, blob);
        }
    }
}

void OpenJobs::on(Finished finished) {
    if (known(finished.job) == nullptr) {
        return;
    }
    JobOutcome outcome;
    outcome.end = JobEnd::Finished;
    outcome.request = std::move(finished.request);
    outcome.summary = std::move(finished.summary);
    end(finished.job, std::move(outcome));
}

void OpenJobs::on(const Paused& paused) {
    if (known(paused.job) != nullptr) {
        endPaused(paused.job);
    }
}

void OpenJobs::on(Failed failed) {
    if (known(failed.job) == nullptr) {
        return;
    }
    JobOutcome outcome;
    outcome.end = failed.error.code == ErrorCode::Cancelled ? JobEnd::Cancelled : JobEnd::Failed;
    outcome.error = std::move(failed.error);
    outcome.details = std::move(failed.details);
    end(failed.job, std::move(outcome));
}

void OpenJobs::countDeath() {
    if (const Job* job = running()) {
        ++m_workerDeaths[job->view.job];
    }
}

void OpenJobs::endCancelled(JobId id, const char* sentence) {
    JobOutcome outcome;
    outcome.end = JobEnd::Cancelled;
    outcome.error = makeError(ErrorCode::Cancelled, sentence);
    end(id, std::move(outcome));
}

void OpenJobs::endPaused(JobId id) {
    JobOutcome outcome;
    outcome.end = JobEnd::Paused;
    outcome.error = makeError(ErrorCode::Cancelled, "Paused.");
    end(id, std::move(outcome));
}

/// Removes the job and tells its listener, last of all that is said of it.
void OpenJobs::end(JobId id, JobOutcome outcome) {
    const auto it =
        std::find_if(m_jobs.begin(), m_jobs.end(), [&](const Job& j) { return j.view.job == id; });
    Job job = std::move(*it);
    m_jobs.erase(it);
    outcome.job = id;
    if (const auto deaths = m_workerDeaths.find(id); deaths != m_workerDeaths.end()) {
        outcome.workerDeaths = deaths->second;
        if (outcome.end == JobEnd::Finished) {
            m_workerDeaths.erase(deaths);
        }
    }
    m_closed(id);
    job.view.cancelling = false;
    job.view.stuck = false;
    m_store.change([&](ClientSnapshot& s) {
        s.lastOutcome = outcome;
        s.job = job.view;
    });
    show();
    if (const auto listener = job.submission.listener.lock()) {
        listener->jobEnded(outcome);
    }
}

void OpenJobs::interrupt(JobId id, const Error& error) {
    if (find(id)->cancelAsked) {
        endCancelled(id, "Cancelled.");
        return;
    }
    JobOutcome outcome;
    outcome.end = JobEnd::Interrupted;
    outcome.error = error;
    end(id, std::move(outcome));
}

void OpenJobs::endSent(const Error& error) {
    while (true) {
        const auto it = std::find_if(m_jobs.begin(), m_jobs.end(), [](const Job& j) { return j.view.sent; });
        if (it == m_jobs.end()) {
            return;
        }
        interrupt(it->view.job, error);
    }
}

void OpenJobs::endAll(const Error& error) {
    while (!m_jobs.empty()) {
        interrupt(m_jobs.front().view.job, error);
    }
}

double OpenJobs::checkStuck(double now, double minimum, double factor) {
    Job* job = running();
    if (job == nullptr) {
        return now + 3600;
    }
    const double limit = std::max(minimum, factor * median(job->unitSeconds));
    const bool stuck = now - job->view.lastProgressAt > limit;
    if (stuck != job->view.stuck) {
        job->view.stuck = stuck;
        show();
    }
    return stuck ? now + 3600 : job->view.lastProgressAt + limit + 0.001;
}

} // namespace canopy::client
