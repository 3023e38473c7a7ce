#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "core/client/client_store.h"
#include "core/client/worker_client.h"

namespace canopy::client {

/// The jobs that have been submitted and not ended: what the worker says about them goes into the store and
/// to their listeners. Private to core/client; reader thread.
class OpenJobs {
public:
    struct Job {
        JobSubmission submission;
        JobView view;
        std::vector<double> unitSeconds; ///< of the current stage
        bool cancelAsked = false;
        double cancelDeadline = 0; ///< steadySeconds() at which an ignored cancel becomes SIGTERM
    };

    /// `closed` is called for each ended job before its listener hears of it.
    OpenJobs(ClientStore& store, std::function<void(JobId)> closed)
        : m_store(store)
        , m_closed(std::move(closed)) {}

    bool empty() const { return m_jobs.empty(); }
    std::deque<Job>& all() { return m_jobs; }
    Job* find(JobId id);
    /// The oldest open job when the worker has it: the one that it is on.
    Job* running();

    void add(JobSubmission submission);
    /// Writes the oldest job and the list of ids into the store.
    void show();

    // What the worker says. Unknown jobs are counted as stale.
    void on(const protocol::Progress& progress);
    void on(const protocol::Resolved& resolved);
    void on(const protocol::Resumed& resumed);
    void on(const protocol::AttentionStepDone& done);
    void on(const protocol::Words& words);
    void on(protocol::Timing timing);
    void on(protocol::Finished finished);
    void on(const protocol::Paused& paused);
    void on(protocol::Failed failed);
    void deliver(const BlobPtr& blob);

    /// The worker died under the running job.
    void countDeath();
    void endCancelled(JobId id, const char* sentence);
    void endPaused(JobId id);
    /// Jobs that the worker had; those that wait for a ready worker go on waiting.
    void endSent(const Error& error);
    void endAll(const Error& error);

    /// Notes whether the running job makes no progress; when to look again, in steadySeconds().
    double checkStuck(double now, double minimum, double factor);

private:
    Job* known(JobId id); ///< counts a stale message when there is none
    void end(JobId id, JobOutcome outcome);
    void interrupt(JobId id, const Error& error);

    ClientStore& m_store;
    const std::function<void(JobId)> m_closed;
    std::deque<Job> m_jobs; ///< in order of submission
    std::map<JobId, int> m_workerDeaths;
};

} // namespace canopy::client
