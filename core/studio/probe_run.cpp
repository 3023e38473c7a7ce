#include "core/studio/probe_run.h"

#include <cstring>
#include <utility>

#include "core/client/worker_client.h"
#include "core/job/ask_plan.h"
#include "core/job/qa_model_value.h"
#include "core/studio/ask_job.h"

namespace canopy {

ProbeRun::ProbeRun(const StudioOptions& options, JobStore& jobs, FrameSampler& sampler,
                   client::WorkerClient& client, std::weak_ptr<Inbox> inbox)
    : m_options(options)
    , m_jobs(jobs)
    , m_sampler(sampler)
    , m_client(client)
    , m_inbox(std::move(inbox)) {}

void ProbeRun::begin(JobId ask, int cell) {
    m_sampler.abandon(m_id);
    m_ask = ask;
    m_cell = cell;
    --m_id;
    const auto job = m_jobs.find(ask);
    if (!job || !*job || !(*job)->question())
        return refuse("The question is not in the list any more.");
    if (!m_options.findQaModel)
        return refuse("This program asks no questions about videos.");
    m_request = *(*job)->question();
    auto model = m_options.findQaModel(m_request);
    if (!model)
        return refuse(model.error().message);
    m_model = std::move(*model);
    m_request = withModelDefaults(m_request, m_model);
    m_sampler.sample(m_id, sampleWishOf(m_request, m_model));
}

void ProbeRun::refuse(std::string sentence) {
    m_newest = {m_ask, m_cell, {}, std::move(sentence)};
}

void ProbeRun::take(StudioEvent event) {
    if (jobOf(event) != m_id)
        return;
    if (const auto* report = std::get_if<SampleReport>(&event))
        sampled(*report);
    else if (const auto* outcome = std::get_if<client::JobOutcome>(&event))
        ended(*outcome);
}

void ProbeRun::sampled(const SampleReport& report) {
    if (!report.video)
        return refuse(report.video.error().message);
    fillFrames(m_request, *report.video);
    client::JobSubmission submission;
    submission.job = m_id;
    submission.kind = "similarity";
    submission.request = toValue(m_request);
    submission.request.set("cell", m_cell);
    submission.model = toValue(m_model);
    submission.listener = m_inbox;
    m_client.start();
    if (auto sent = m_client.submit(std::move(submission)); !sent)
        refuse(sent.error().message);
}

void ProbeRun::ended(const client::JobOutcome& outcome) {
    if (outcome.end != client::JobEnd::Finished)
        return refuse(outcome.error.message);
    const auto& bytes = outcome.summary["cosine"].asBytes();
    std::vector<float> cosine(bytes.size() / sizeof(float));
    std::memcpy(cosine.data(), bytes.data(), cosine.size() * sizeof(float));
    if (cosine.empty())
        return refuse("The engine sent no similarities; see the log.");
    m_newest = {m_ask, m_cell, std::move(cosine), {}};
}

} // namespace canopy
