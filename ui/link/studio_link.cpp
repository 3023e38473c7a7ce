#include "ui/link/studio_link.h"

#include <optional>
#include <utility>

#include "core/base/log.h"
#include "core/studio/given_video.h"
#include "core/studio/machine.h"
#include "core/studio/read_clip.h"
#include "core/studio/speed_measurement.h"

namespace canopy::ui {

StudioLink::StudioLink(Ways ways, QObject* parent)
    : QObject(parent)
    , m_ways(std::move(ways)) {
    qRegisterMetaType<canopy::ui::SnapshotPtr>();
    m_pool.setMaxThreadCount(1);
    m_files.setMaxThreadCount(1);
    m_looking.setMaxThreadCount(1);
    m_measuring.setMaxThreadCount(1);
    m_timer.setInterval(33);
    m_timer.setTimerType(Qt::PreciseTimer);
    connect(&m_timer, &QTimer::timeout, this, &StudioLink::poll);
}

StudioLink::~StudioLink() {
    m_timer.stop();
    m_measureStop.request_stop();
    m_looksStop.request_stop();
    for (auto* pool : {&m_measuring, &m_looking, &m_files, &m_pool}) {
        pool->clear();
        pool->waitForDone();
    }
}

template <typename Work, typename Done>
void StudioLink::background(QThreadPool& pool, Work work, Done done) {
    pool.start([this, work = std::move(work), done = std::move(done)]() mutable {
        auto result = work();
        QMetaObject::invokeMethod(
            this, [done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); },
            Qt::QueuedConnection);
    });
}

void StudioLink::start() {
    background(
        m_pool,
        [open = m_ways.openStudio] {
            auto studio = open();
            return std::make_shared<Result<std::unique_ptr<Studio>>>(std::move(studio));
        },
        [this](std::shared_ptr<Result<std::unique_ptr<Studio>>> studio) {
            if (!studio->ok()) {
                logError("ui", studio->error().message);
                Q_EMIT openFailed(QString::fromStdString(studio->error().message));
                return;
            }
            m_studio = std::move(**studio);
            m_studio->subscribe({"preview", "attention", "chunks"});
            m_timer.start();
            Q_EMIT opened();
            poll();
            readClips();
            rescanLibrary();
        });
    background(
        m_files, [scan = m_ways.scanModels] { return scan(); },
        [this](Models models) { tellModels(models); });
}

void StudioLink::tellModels(const Models& models) {
    Q_EMIT modelsChanged(models.clips);
    Q_EMIT qaModelsChanged(models.questions);
}

void StudioLink::poll() {
    auto snapshot = m_studio->snapshot();
    if (!snapshot || (m_snapshot && snapshot->sequence == m_snapshot->sequence))
        return;
    m_snapshot = std::move(snapshot);
    if (m_snapshot->libraryChanges != m_libraryChanges) {
        m_libraryChanges = m_snapshot->libraryChanges;
        readClips();
    }
    Q_EMIT snapshotChanged(m_snapshot);
}

void StudioLink::readClips() {
    if (!m_studio)
        return;
    if (m_readingClips) { // one query at a time, however fast someone types
        m_readClipsAgain = true;
        return;
    }
    m_readingClips = true;
    background(
        m_pool,
        [studio = m_studio, search = m_search.toStdString(), starred = m_starredOnly] {
            std::pair<std::vector<Clip>, std::optional<std::vector<Clip>>> found(
                studio->clips(search, starred), {});
            if (!search.empty() || starred)
                found.second = studio->clips();
            return found;
        },
        [this](const std::pair<std::vector<Clip>, std::optional<std::vector<Clip>>>& found) {
            m_readingClips = false;
            if (std::exchange(m_readClipsAgain, false))
                return readClips();
            Q_EMIT clipsChanged(found.first);
            Q_EMIT libraryChanged(found.second ? *found.second : found.first);
        });
}

void StudioLink::command(std::function<Result<void>(Studio&)> work) {
    if (!m_studio)
        return Q_EMIT refused(tr("The job list is not open yet. Try again in a moment."));
    background(
        m_pool, [studio = m_studio, work = std::move(work)] { return work(*studio); },
        [this](Result<void> result) {
            if (!result)
                Q_EMIT refused(QString::fromStdString(result.error().message));
            poll();
        });
}

void StudioLink::generate(const GenerationRequest& request) {
    if (!m_studio)
        return Q_EMIT refused(tr("The job list is not open yet. Try again in a moment."));
    background(
        m_pool, [studio = m_studio, request] { return studio->generate(request); },
        [this](Result<JobId> result) {
            if (!result)
                return Q_EMIT refused(QString::fromStdString(result.error().message));
            poll();
            Q_EMIT generated(*result);
        });
}

void StudioLink::check(const GenerationRequest& request) {
    if (!m_studio)
        return;
    const auto ticket = ++m_checkTicket;
    background(
        m_pool, [studio = m_studio, request] { return studio->check(request); },
        [this, ticket](StartCheck check) {
            if (ticket == m_checkTicket)
                Q_EMIT checked(check);
        });
}

void StudioLink::ask(const AskRequest& request) {
    if (!m_studio)
        return Q_EMIT refused(tr("The job list is not open yet. Try again in a moment."));
    background(
        m_pool, [studio = m_studio, request] { return studio->ask(request); },
        [this](Result<JobId> result) {
            if (!result)
                return Q_EMIT refused(QString::fromStdString(result.error().message));
            poll();
            Q_EMIT asked(*result);
        });
}

void StudioLink::checkAsk(const AskRequest& request) {
    if (!m_studio)
        return;
    const auto ticket = ++m_askCheckTicket;
    background(
        m_pool, [studio = m_studio, request] { return studio->checkAsk(request); },
        [this, ticket](AskCheck check) {
            if (ticket == m_askCheckTicket)
                Q_EMIT askChecked(check);
        });
}

void StudioLink::probe(JobId ask, int cell) {
    command([ask, cell](Studio& s) {
        s.probe(ask, cell);
        return Result<void>();
    });
}

void StudioLink::readChunkRecord(JobId clip) {
    if (!m_studio)
        return;
    background(
        m_files, [studio = m_studio, clip] { return studio->chunkRecord(clip); },
        [this, clip](Result<std::shared_ptr<const ChunkRecord>> record) {
            if (!record)
                return Q_EMIT chunkRecordMissing(clip, QString::fromStdString(record.error().message));
            Q_EMIT chunkRecordRead(clip, *record);
        });
}

void StudioLink::readTokenRun(JobId ask) {
    if (!m_studio)
        return;
    background(
        m_files, [studio = m_studio, ask] { return studio->tokenRun(ask); },
        [this, ask](Result<std::shared_ptr<const TokenRun>> run) {
            if (!run)
                return Q_EMIT refused(QString::fromStdString(run.error().message));
            Q_EMIT tokenRunRead(ask, *run);
        });
}

void StudioLink::cancel(JobId id) {
    command([id](Studio& s) { return s.cancel(id); });
}

void StudioLink::retry(JobId id) {
    command([id](Studio& s) { return s.retry(id); });
}

void StudioLink::duplicate(JobId id) {
    command([id](Studio& s) -> Result<void> {
        auto result = s.duplicate(id);
        return result ? Result<void>() : Result<void>(result.error());
    });
}

void StudioLink::remove(JobId id) {
    command([id](Studio& s) { return s.remove(id); });
}

void StudioLink::clearFinished() {
    command([](Studio& s) -> Result<void> {
        auto result = s.clearFinished();
        return result ? Result<void>() : Result<void>(result.error());
    });
}

void StudioLink::pauseQueue() {
    command([](Studio& s) { return s.pauseQueue(); });
}

void StudioLink::resumeQueue() {
    command([](Studio& s) { return s.resumeQueue(); });
}

void StudioLink::pauseJob(JobId id) {
    command([id](Studio& s) { return s.pauseJob(id); });
}

void StudioLink::resumeJob(JobId id) {
    command([id](Studio& s) { return s.resumeJob(id); });
}

void StudioLink::moveBefore(JobId id, JobId before) {
    command([id, before](Studio& s) { return s.moveBefore(id, before); });
}

void StudioLink::restartWorker() {
    command([](Studio& s) {
        s.restartWorker();
        return Result<void>();
    });
}

void StudioLink::subscribe(std::vector<std::string> topics) {
    command([topics = std::move(topics)](Studio& s) {
        s.subscribe(topics);
        return Result<void>();
    });
}

void StudioLink::searchClips(const QString& text, bool starredOnly) {
    m_search = text;
    m_starredOnly = starredOnly;
    readClips();
}

void StudioLink::setStarred(std::int64_t clip, bool starred) {
    command([clip, starred](Studio& s) { return s.setStarred(clip, starred); });
}

void StudioLink::forgetClip(std::int64_t clip) {
    command([clip](Studio& s) { return s.forgetClip(clip); });
}

void StudioLink::rescanLibrary() {
    command([](Studio& s) {
        s.rescanLibrary();
        return Result<void>();
    });
}

void StudioLink::addModelFolder(const QString& folder) {
    background(
        m_files,
        [add = m_ways.addModelFolder, path = std::filesystem::path(folder.toStdString())] {
            return add(path);
        },
        [this](Result<Models> models) {
            if (!models)
                return Q_EMIT refused(QString::fromStdString(models.error().message));
            tellModels(*models);
        });
}

void StudioLink::measureSpeed(const GenerationRequest& request, const ModelDefaults& defaults) {
    if (!m_studio)
        return Q_EMIT speedFailed(tr("The job list is not open yet. Try again in a moment."));
    if (m_isMeasuring)
        return Q_EMIT speedFailed(tr("A measurement is under way already."));
    m_isMeasuring = true;
    m_measureStop = {};
    SpeedMeasureOptions options;
    options.stop = m_measureStop.get_token();
    options.progress = [this](int done, int runs, const std::string& words) {
        QMetaObject::invokeMethod(
            this,
            [this, done, runs, text = QString::fromStdString(words)] {
                Q_EMIT speedProgress(done, runs, text);
            },
            Qt::QueuedConnection);
    };
    background(
        m_measuring,
        [studio = m_studio, plan = speedPlan(request, defaults), options]() -> Result<void> {
            const auto record = canopy::measureSpeed(*studio, plan, options);
            return record ? storeSpeedRecord(studio->speedFile(), *record) : Result<void>(record.error());
        },
        [this](const Result<void>& result) {
            m_isMeasuring = false;
            if (!result)
                return Q_EMIT speedFailed(result.error().code == ErrorCode::Cancelled
                                              ? QString()
                                              : QString::fromStdString(result.error().message));
            Q_EMIT speedMeasured();
        });
}

void StudioLink::stopMeasuring() {
    m_measureStop.request_stop();
}

void StudioLink::readSpeed(DeviceKind device) {
    if (!m_studio)
        return;
    const auto devices = m_snapshot ? m_snapshot->worker.devices : std::vector<std::string>();
    background(
        m_files,
        [file = m_studio->speedFile(), device, devices] {
            auto records = readSpeedRecords(file);
            if (!records)
                logWarning("ui", records.error().message); // the form then says that nothing was measured
            return std::pair(records ? *records : std::vector<SpeedRecord>(), machineName(device, devices));
        },
        [this](const std::pair<std::vector<SpeedRecord>, std::string>& read) {
            Q_EMIT speedRead(read.first, read.second);
        });
}

void StudioLink::readLooks(const QString& file) {
    m_looksStop.request_stop();
    m_looksStop = {};
    background(
        m_looking,
        [path = std::filesystem::path(file.toStdString()), stop = m_looksStop.get_token()] {
            auto looks = canopy::readLooks(path, stop);
            if (!looks && looks.error().code != ErrorCode::Cancelled)
                logWarning("ui", looks.error().message); // the timeline then has no drift
            return looks ? std::make_shared<const std::vector<FrameLook>>(std::move(*looks)) : nullptr;
        },
        [this, file](std::shared_ptr<const std::vector<FrameLook>> looks) {
            if (looks)
                Q_EMIT looksRead(file, looks);
        });
}

void StudioLink::readClip(const QString& file) {
    background(
        m_files, [path = std::filesystem::path(file.toStdString())] { return canopy::readClip(path); },
        [this, file](Result<Clip> clip) {
            if (!clip)
                return Q_EMIT clipMissing(file, QString::fromStdString(clip.error().message));
            Q_EMIT clipRead(file, *clip);
        });
}

void StudioLink::readGivenVideo(const QString& file, int fps) {
    background(
        m_files,
        [path = std::filesystem::path(file.toStdString()), fps] { return givenLatentFrames(path, fps); },
        [this, file](Result<int> frames) {
            if (!frames)
                return Q_EMIT refused(QString::fromStdString(frames.error().message));
            Q_EMIT givenVideoRead(file, *frames);
        });
}

void StudioLink::readSettings(const QString& file) {
    background(
        m_files, [path = std::filesystem::path(file.toStdString())] { return readClipRequest(path); },
        [this, file](Result<GenerationRequest> request) {
            if (!request)
                return Q_EMIT settingsMissing(file, QString::fromStdString(request.error().message));
            Q_EMIT settingsRead(file, *request);
        });
}

} // namespace canopy::ui
