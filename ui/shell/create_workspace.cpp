#include "ui/shell/create_workspace.h"

#include <algorithm>

#include <QClipboard>
#include <QDesktopServices>
#include <QFileInfo>
#include <QGuiApplication>
#include <QUrl>

#include "core/base/value_codec.h"
#include "ui/panels/speed_box.h"
#include "ui/viewer/video_view.h"

namespace canopy::ui {
namespace {

QString firstWords(const std::string& prompt) {
    return QString::fromStdString(prompt).simplified();
}

} // namespace

CreateWorkspace::CreateWorkspace(StudioLink* link, const Panes& panes, QObject* parent)
    : QObject(parent)
    , m_link(link)
    , m_p(panes) {
    // The check needs no answer per key; a short wait keeps typing smooth.
    m_checkTimer.setSingleShot(true);
    m_checkTimer.setInterval(120);
    connect(&m_checkTimer, &QTimer::timeout, this, [this] { m_link->check(m_p.request->request()); });
    connect(m_p.request, &RequestPanel::changed, &m_checkTimer, qOverload<>(&QTimer::start));
    connect(m_p.request, &RequestPanel::changed, this, &CreateWorkspace::updateWaiting);
    connect(m_p.request, &RequestPanel::generateRequested, this, [this] { generate(false); });
    connect(m_p.request, &RequestPanel::videoChosen, this, &CreateWorkspace::takeVideo);
    connect(m_link, &StudioLink::givenVideoRead, m_p.request, &RequestPanel::setVideo);

    connect(m_link, &StudioLink::opened, &m_checkTimer, qOverload<>(&QTimer::start));
    connectSpeed();
    connect(m_link, &StudioLink::openFailed, this, [this](const QString& sentence) {
        m_p.viewer->showCard(sentence, {}, true);
        m_p.request->showRefusal(sentence);
    });
    connect(m_link, &StudioLink::snapshotChanged, this, &CreateWorkspace::onSnapshot);
    connect(m_link, &StudioLink::clipsChanged, this, &CreateWorkspace::onClips);
    connect(m_link, &StudioLink::modelsChanged, m_p.request, &RequestPanel::setModels);
    connect(m_link, &StudioLink::modelsChanged, &m_checkTimer, qOverload<>(&QTimer::start));
    connect(m_link, &StudioLink::checked, m_p.request, &RequestPanel::showCheck);
    connect(m_link, &StudioLink::refused, this, [this](const QString& sentence) {
        if (m_asked) { // a press of Generate: the form says why
            m_asked.reset();
            m_p.request->showRefusal(sentence);
        } else {
            m_p.notes->tell({sentence, {}, {}});
        }
    });
    connect(m_link, &StudioLink::generated, this, [this](JobId id) {
        if (m_asked)
            m_p.request->acknowledge(*m_asked);
        m_asked.reset();
        if (std::exchange(m_atFront, false) && m_snapshot)
            for (const auto& job : m_snapshot->jobs)
                if (job.record.state == JobState::Queued && job.record.id != id) {
                    m_link->moveBefore(id, job.record.id);
                    break;
                }
        m_follow = true;
        const bool busy = running() && running()->record.id != id;
        if (!busy) // while another clip is made the eye stays on it
            showJob(id);
    });
    connect(m_link, &StudioLink::settingsRead, this,
            [this](const QString& file, const GenerationRequest& request) {
                if (m_offered == file) { // dropped: ask what to do with it
                    m_p.viewer->showCard(
                        tr("%1").arg(QFileInfo(file).fileName()),
                        {{tr("Reload settings"), QStringLiteral("dropReload"),
                          [this, request] {
                              m_offered.clear();
                              m_p.viewer->showCard({}, {});
                              m_p.request->setRequest(request);
                              updateShown();
                          },
                          true},
                         {tr("Open in viewer"), QStringLiteral("dropOpen"), [this, file] { openClip(file); }},
                         {tr("Go on from it"), QStringLiteral("dropGoOn"),
                          [this, file] {
                              m_offered.clear();
                              m_p.viewer->showCard({}, {});
                              takeVideo(file);
                              updateShown();
                          }},
                         {tr("Dismiss"), QStringLiteral("dropDismiss"), [this] {
                              m_offered.clear();
                              m_p.viewer->showCard({}, {});
                              updateShown();
                          }}});
                    return;
                }
                m_p.request->setRequest(request);
            });
    connect(m_link, &StudioLink::settingsMissing, this, [this](const QString& file, const QString& sentence) {
        if (m_offered != file)
            return m_p.notes->tell({sentence, {}, {}});
        m_p.viewer->showCard(sentence, {{tr("Open in viewer"), QStringLiteral("dropOpen"),
                                         [this, file] { openClip(file); }, true},
                                        {tr("Go on from it"), QStringLiteral("dropGoOn"),
                                         [this, file] {
                                             m_offered.clear();
                                             m_p.viewer->showCard({}, {});
                                             takeVideo(file);
                                             updateShown();
                                         }},
                                        {tr("Dismiss"), QStringLiteral("dropDismiss"), [this] {
                                             m_offered.clear();
                                             m_p.viewer->showCard({}, {});
                                             updateShown();
                                         }}});
    });

    connect(m_p.viewer, &ViewerPanel::cancelRequested, this, [this] {
        if (m_p.viewer->runningJob())
            m_link->cancel(m_p.viewer->runningJob());
    });
    connect(m_p.viewer, &ViewerPanel::pauseRequested, m_link, &StudioLink::pauseJob);
    connect(m_p.viewer, &ViewerPanel::resumeRequested, m_link, &StudioLink::resumeJob);
    connect(m_p.queue, &QueuePanel::pauseJobRequested, m_link, &StudioLink::pauseJob);
    connect(m_p.queue, &QueuePanel::resumeJobRequested, m_link, &StudioLink::resumeJob);
    connect(m_p.queue, &QueuePanel::jobChosen, this, [this](JobId id) {
        const JobRow* row = m_snapshot ? m_snapshot->find(id) : nullptr;
        if (row && row->record.question())
            return showQuestion(*row);
        m_follow = m_snapshot && m_snapshot->running == id;
        showJob(id);
    });
    connect(m_p.queue, &QueuePanel::cancelRequested, m_link, &StudioLink::cancel);
    connect(m_p.queue, &QueuePanel::retryRequested, this, [this](JobId id) {
        m_link->retry(id);
        m_follow = true;
    });
    connect(m_p.queue, &QueuePanel::duplicateRequested, m_link, &StudioLink::duplicate);
    connect(m_p.queue, &QueuePanel::removeRequested, m_link, &StudioLink::remove);
    connect(m_p.queue, &QueuePanel::clearRequested, m_link, &StudioLink::clearFinished);
    connect(m_p.queue, &QueuePanel::moveUpRequested, m_link, &StudioLink::moveBefore);
    connect(m_p.queue, &QueuePanel::pauseRequested, this,
            [this](bool paused) { paused ? m_link->pauseQueue() : m_link->resumeQueue(); });
    connect(m_p.queue, &QueuePanel::reloadRequested, this, [this](JobId id) {
        if (const auto* row = m_snapshot ? m_snapshot->find(id) : nullptr; row && row->record.clip())
            m_p.request->setRequest(*row->record.clip());
    });
    connect(m_p.library, &LibraryPanel::searchChanged, m_link, &StudioLink::searchClips);
    connect(m_p.library, &LibraryPanel::clipChosen, this, &CreateWorkspace::openClip);
    connect(m_p.library, &LibraryPanel::reloadRequested, this, &CreateWorkspace::reloadSettings);
    connect(m_p.library, &LibraryPanel::starRequested, m_link, &StudioLink::setStarred);
    connect(m_p.library, &LibraryPanel::forgetRequested, m_link, &StudioLink::forgetClip);
    connect(m_p.library, &LibraryPanel::folderRequested, this, [](const QString& file) {
        QDesktopServices::openUrl(QUrl::fromLocalFile(QFileInfo(file).path()));
    });
    connect(m_p.status, &StatusStrip::restartRequested, m_link, &StudioLink::restartWorker);
}

void CreateWorkspace::connectSpeed() {
    SpeedBox* speed = &m_p.request->speed();
    const auto read = [this] { m_link->readSpeed(m_p.request->request().device); };
    connect(m_link, &StudioLink::opened, this, read);
    connect(m_link, &StudioLink::speedMeasured, this, [this, speed, read] {
        speed->setMeasuring({});
        read();
    });
    connect(m_link, &StudioLink::speedRead, speed, &SpeedBox::setRecords);
    connect(m_link, &StudioLink::speedFailed, speed, &SpeedBox::showProblem);
    connect(m_link, &StudioLink::speedProgress, this, [speed](int done, int runs, const QString& words) {
        if (done < runs)
            speed->setMeasuring(tr("Measuring clip %1 of %2: %3").arg(done + 1).arg(runs).arg(words));
    });
    connect(speed, &SpeedBox::measureRequested, this, [this, speed] {
        const ModelRecord* model = m_p.request->model();
        if (!model)
            return speed->showProblem(tr("Choose a model first."));
        speed->setMeasuring(tr("Beginning to measure…"));
        m_link->measureSpeed(m_p.request->request(), model->defaults);
    });
    connect(speed, &SpeedBox::measureCancelled, this, [this, speed] {
        speed->setMeasuring(tr("Stopping…"));
        m_link->stopMeasuring();
    });
}

const JobRow* CreateWorkspace::running() const {
    return m_snapshot && m_snapshot->running ? m_snapshot->find(m_snapshot->running) : nullptr;
}

const JobRow* CreateWorkspace::runningClip() const {
    const JobRow* row = running();
    return row && row->record.clip() ? row : nullptr;
}

void CreateWorkspace::setActive(bool active) {
    if (active == m_active)
        return;
    m_active = active;
    if (!active) {
        m_offered.clear();
        m_cardJob = 0;
        m_welcoming = false;
        m_p.viewer->showCard({}, {});
        return;
    }
    // What was chosen or started meanwhile is shown from its beginning.
    const JobId id = runningClip() && m_follow ? m_snapshot->running : m_job;
    m_job = 0;
    if (id)
        showJob(id);
    welcome();
}

void CreateWorkspace::showQuestion(const JobRow& row) {
    const auto& question = *row.record.question();
    const JobId id = row.record.id;
    const QString video = QString::fromStdString(question.videoPath);
    m_offered.clear();
    m_cardJob = 0;
    m_p.queue->select(id);
    m_p.viewer->showCard(
        tr("“%1” about %2: %3")
            .arg(QString::fromStdString(row.title), QFileInfo(video).fileName(),
                 QString::fromStdString(row.words)),
        {{tr("Open in Ask"), QStringLiteral("openInAsk"),
          [this, video, id] { Q_EMIT questionChosen(video, id); }, true},
         {tr("Dismiss"), QStringLiteral("questionDismiss"), [this] { m_p.viewer->showCard({}, {}); }}});
}

bool CreateWorkspace::isBusy() const {
    return running() != nullptr;
}

void CreateWorkspace::generate(bool atFront) {
    if (m_asked)
        return; // the last press is still being written down
    m_asked = m_p.request->request();
    m_atFront = atFront;
    m_link->generate(*m_asked);
}

void CreateWorkspace::cancelRunning() {
    m_p.viewer->requestCancel();
}

void CreateWorkspace::togglePause() {
    if (m_snapshot)
        m_snapshot->queuePaused ? m_link->resumeQueue() : m_link->pauseQueue();
}

void CreateWorkspace::openClip(const QString& file) {
    m_offered.clear();
    m_job = 0;
    m_cardJob = 0;
    m_follow = false;
    m_welcoming = false;
    m_p.viewer->showCard({}, {});
    m_p.queue->select(0);
    QString title = QFileInfo(file).completeBaseName();
    const int row = m_p.library->model().rowOf(file);
    if (const Clip* clip = m_p.library->model().clip(row))
        title = firstWords(clip->request.prompt);
    m_p.viewer->view().setHint({});
    m_p.viewer->setHeading(title, {});
    m_p.viewer->showClip(file, true);
    m_p.library->selectFile(file);
}

void CreateWorkspace::offerClip(const QString& file) {
    m_offered = file;
    m_link->readSettings(file);
}

void CreateWorkspace::reloadSettings(const QString& file) {
    m_offered.clear();
    m_link->readSettings(file);
}

void CreateWorkspace::takeVideo(const QString& file) {
    m_link->readGivenVideo(file, m_p.request->request().fps);
}

void CreateWorkspace::takeImage(const QString& file) {
    if (m_p.request->takesImage())
        m_p.request->setImage(file);
    else
        m_p.notes->tell({tr("The chosen model makes clips from text alone and takes no first image. Choose a "
                            "SkyReels model for that."),
                         {},
                         {}});
}

void CreateWorkspace::copySettings() const {
    QGuiApplication::clipboard()->setText(QString::fromStdString(toJson(toValue(m_p.request->request()), 2)));
}

void CreateWorkspace::pasteSettings() {
    // Untrusted text: bounded, strict, and only known keys of the right type are taken.
    auto value = parseJson(QGuiApplication::clipboard()->text().toStdString());
    auto request = value ? generationRequestFromValue(*value) : Result<GenerationRequest>(value.error());
    if (!request)
        return m_p.notes->tell(
            {tr("The clipboard holds no settings. Copy them with Edit, Copy settings."), {}, {}});
    m_p.request->setRequest(*request);
}

void CreateWorkspace::showJobs() {
    if (!m_snapshot)
        return;
    StudioSnapshot shown = *m_snapshot;
    for (auto& job : shown.jobs)
        if (const auto found = m_clipThumbnails.find(job.record.resultFile);
            !job.thumbnail && found != m_clipThumbnails.end())
            job.thumbnail = found->second;
    m_p.queue->setJobs(shown);
}

void CreateWorkspace::onSnapshot(const SnapshotPtr& snapshot) {
    m_snapshot = snapshot;
    showJobs();
    m_p.status->setSnapshot(*snapshot);
    m_p.request->setDevices(snapshot->worker.devices);
    // Clips of a measurement (the only reserved jobs here) go again: the eye stays on what it looks at.
    const bool measures = runningClip() && runningClip()->record.target.reserved;
    if (m_active && runningClip() && !measures && snapshot->running != m_lastRunning && m_follow)
        showJob(snapshot->running);
    m_lastRunning = snapshot->running;
    const JobRow* shown = m_job ? snapshot->find(m_job) : nullptr;
    m_p.viewer->setRunning(shown && shown->canResume ? shown : runningClip());
    for (const auto& note : snapshot->notes) {
        const QString sentence = QString::fromStdString(note);
        if (m_told.contains(sentence))
            continue;
        m_told.insert(sentence);
        const bool hasInterrupted =
            std::any_of(snapshot->jobs.begin(), snapshot->jobs.end(),
                        [](const JobRow& j) { return j.record.state == JobState::Interrupted; });
        if (hasInterrupted && snapshot->queuePaused)
            m_p.notes->tell({sentence, tr("Go on"), [this] { m_link->resumeQueue(); }});
        else
            m_p.notes->tell({sentence, {}, {}});
    }
    updateShown();
    updateWaiting();
    welcome();
}

void CreateWorkspace::onClips(const std::vector<Clip>& clips) {
    const bool first = !m_clipsKnown;
    m_clipsKnown = true;
    m_clipCount = clips.size();
    m_p.library->setClips(clips);
    for (const auto& clip : clips)
        if (auto& kept = m_clipThumbnails[clip.file]; !kept || *kept != clip.thumbnail)
            kept = std::make_shared<const Thumbnail>(clip.thumbnail);
    showJobs();
    if (first && !clips.empty() && m_job == 0 && m_p.viewer->clipFile().isEmpty()) {
        // A window that opens shows the newest clip, still.
        m_p.viewer->setHeading(firstWords(clips.front().request.prompt), {});
        m_p.viewer->showClip(QString::fromStdString(clips.front().file.string()), false);
        m_p.library->selectFile(m_p.viewer->clipFile());
    } else if (!m_p.viewer->clipFile().isEmpty()) {
        m_p.library->selectFile(m_p.viewer->clipFile());
    }
    welcome();
}

void CreateWorkspace::showJob(JobId id) {
    if (!m_active) {
        m_job = id;
        return;
    }
    if (id == m_job)
        return updateShown();
    m_offered.clear();
    m_job = id;
    m_cardJob = 0;
    m_welcoming = false;
    m_p.viewer->showCard({}, {});
    m_p.queue->select(id);
    const JobRow* row = m_snapshot ? m_snapshot->find(id) : nullptr;
    const bool hasPreview = m_snapshot && ((m_snapshot->preview && m_snapshot->preview->job == id) ||
                                           (m_snapshot->grown && m_snapshot->grown->job == id));
    if (!hasPreview && !(row && row->record.state == JobState::Done))
        m_p.viewer->showNothing();
    updateShown();
}

void CreateWorkspace::updateShown() {
    if (!m_job || !m_snapshot || !m_active)
        return;
    const JobRow* row = m_snapshot->find(m_job);
    if (!row)
        return; // taken off the list: what is shown stays
    if (m_p.queue->selected() != m_job)
        m_p.queue->select(m_job);
    const auto state = row->record.state;
    m_p.viewer->setHeading(QString::fromStdString(row->title),
                           state == JobState::Done ? tr("final") : QString::fromStdString(row->words));
    m_p.viewer->view().setHint(row->progress ? tr("The first preview comes after the first step.")
                               : state == JobState::Queued ? tr("This clip is waiting for its turn.")
                                                           : QString());
    if (state != JobState::Done && row->record.clip())
        showMaking(*row);
    if (state == JobState::Done && row->record.clip()) {
        const QString file = QString::fromStdString(row->record.resultFile.string());
        if (m_p.viewer->clipFile() != file) {
            m_p.viewer->showClip(file, true);
            m_p.library->selectFile(file);
        }
    }
    const bool bad =
        state == JobState::Failed || state == JobState::Interrupted || state == JobState::Quarantined;
    if (bad && m_cardJob != m_job && m_offered.isEmpty())
        showFailure(*row);
    if (!bad && m_cardJob == m_job) { // retried
        m_cardJob = 0;
        m_p.viewer->showCard({}, {});
    }
}

void CreateWorkspace::showMaking(const JobRow& row) {
    const GenerationRequest& request = *row.record.clip();
    auto preview = m_snapshot->preview;
    if (preview && preview->job != m_job)
        preview.reset();
    if (request.chunks.mode != SamplingMode::Chunked) {
        if (preview)
            m_p.viewer->showPreview(preview, request);
        return;
    }
    auto grown = m_snapshot->grown;
    if (grown && grown->job != m_job)
        grown.reset();
    if (grown || preview)
        m_p.viewer->showGrowing(m_job, grown, preview, request);
    const int frame = m_p.viewer->previewJob() == m_job ? m_p.viewer->clipFrame() : -1;
    if (frame < 0 || request.chunks.blockFrames <= 0)
        return;
    const int chunk = (frame == 0 ? 0 : (frame + 3) / 4) / request.chunks.blockFrames;
    const int chunks = latentFrames(request.frames) / request.chunks.blockFrames;
    const bool final = grown && frame < int(grown->pictures.size());
    m_p.viewer->setHeading(
        QString::fromStdString(row.title),
        (final ? tr("chunk %1 of %2, final") : tr("chunk %1 of %2, preview")).arg(chunk + 1).arg(chunks));
}

void CreateWorkspace::showFailure(const JobRow& row) {
    m_cardJob = m_job;
    const JobId id = row.record.id;
    const QString details = QueuePanel::details(row);
    std::vector<ViewerPanel::Action> actions;
    if (row.canRetry)
        actions.push_back({row.record.state == JobState::Interrupted ? tr("Go on") : tr("Retry"),
                           QStringLiteral("cardRetry"),
                           [this, id] {
                               m_link->retry(id);
                               if (m_snapshot && m_snapshot->queuePaused)
                                   m_link->resumeQueue();
                               m_follow = true;
                           },
                           true});
    if (const auto* clip = row.record.clip())
        actions.push_back({tr("Reload settings"), QStringLiteral("cardReload"),
                           [this, request = *clip] { m_p.request->setRequest(request); }});
    actions.push_back({tr("Copy details"), QStringLiteral("cardCopy"),
                       [details] { QGuiApplication::clipboard()->setText(details); }});
    const QString sentence = row.record.sentence.empty() ? QString::fromStdString(row.words)
                                                         : QString::fromStdString(row.record.sentence);
    m_p.viewer->showCard(sentence, std::move(actions), true);
}

void CreateWorkspace::welcome() {
    const bool empty = m_active && m_clipsKnown && m_clipCount == 0 && m_snapshot &&
                       m_snapshot->jobs.empty() && m_job == 0 && m_p.viewer->clipFile().isEmpty() &&
                       m_offered.isEmpty();
    if (empty && !m_welcoming) {
        m_p.viewer->showCard(tr("No clips yet."), {{tr("Make my first clip"), QStringLiteral("makeFirstClip"),
                                                    [this] { generate(false); }, true}});
    } else if (!empty && m_welcoming && m_cardJob == 0 && m_offered.isEmpty()) {
        m_p.viewer->showCard({}, {});
    }
    m_welcoming = empty;
}

void CreateWorkspace::updateWaiting() {
    if (!m_snapshot)
        return;
    int open = 0;
    double remaining = 0;
    for (const auto& job : m_snapshot->jobs) {
        if (isFinished(job.record.state))
            continue;
        ++open;
        if (job.progress)
            remaining += job.progress->remainingSeconds;
    }
    // How long a clip of these settings takes is known only from one that was made.
    const GenerationRequest wanted = m_p.request->request();
    double last = 0;
    for (const auto& job : m_snapshot->jobs) {
        const auto* r = job.record.clip();
        if (r && job.record.state == JobState::Done && r->modelId == wanted.modelId &&
            r->width == wanted.width && r->height == wanted.height && r->frames == wanted.frames &&
            r->steps == wanted.steps && job.record.startedMillis > 0)
            last = double(job.record.endedMillis - job.record.startedMillis) / 1000;
    }
    QString text;
    if (open > 0)
        text = open == 1 ? tr("Starts after the clip being made") : tr("Starts after %1 jobs").arg(open);
    else if (last > 0)
        text = tr("The last one like this took %1").arg(clockText(last));
    m_p.request->setWaitingText(text);
}

} // namespace canopy::ui
