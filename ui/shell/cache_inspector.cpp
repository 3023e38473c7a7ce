#include "ui/shell/cache_inspector.h"

#include <algorithm>

#include <QApplication>
#include <QFileDialog>
#include <QFileInfo>
#include <QPointer>
#include <QThreadPool>

#include "core/base/files.h"
#include "ui/cache/cache_export.h"
#include "ui/panels/cache_page.h"
#include "ui/panels/cache_table.h"
#include "ui/panels/status_strip.h"
#include "ui/panels/viewer_panel.h"
#include "ui/shell/note_bar.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {

CacheInspector::CacheInspector(StudioLink* link, CacheSelection* selection, const Panes& panes,
                               QWidget* window)
    : QObject(window)
    , m_link(link)
    , m_selection(selection)
    , m_p(panes)
    , m_window(window) {
    connect(m_link, &StudioLink::snapshotChanged, this, &CacheInspector::onSnapshot);
    connect(m_link, &StudioLink::chunkRecordRead, this, [this](JobId id, const RecordPtr& record) {
        m_records[id] = record;
        follow();
    });
    connect(m_link, &StudioLink::chunkRecordMissing, this, [this](JobId id, const QString& sentence) {
        m_missing[id] = sentence;
        follow();
    });
    connect(m_p.viewer, &ViewerPanel::contentChanged, this, [this] {
        if (!m_p.viewer->clipFile().isEmpty()) { // somebody chose a clip, or the live one is done
            m_live = 0;
            m_fileRecord.reset();
        }
        follow();
    });
    connect(&m_p.viewer->playback(), &Playback::frameChanged, this, &CacheInspector::showFrame);
    connect(selection, &CacheSelection::seekRequested, this, &CacheInspector::seek);
    connect(selection, &CacheSelection::hovered, this, [this](const QString& words) {
        m_p.status->setNote(words.isEmpty() ? QString() : tr("Under cursor: %1").arg(words));
    });
    connect(m_p.page, &CachePage::tableRequested, this, &CacheInspector::showTable);
    connect(m_p.page, &CachePage::exportRequested, this, &CacheInspector::exportRun);
}

void CacheInspector::onSnapshot(const SnapshotPtr& snapshot) {
    m_snapshot = snapshot;
    if (const JobRow* job = snapshot->find(snapshot->running);
        job && snapshot->running != m_lastRunning && job->record.clip() &&
        job->record.clip()->chunks.mode == SamplingMode::Chunked)
        m_live = snapshot->running;
    m_lastRunning = snapshot->running;
    follow();
}

const JobRow* CacheInspector::jobOfViewer() const {
    const std::filesystem::path file(m_p.viewer->clipFile().toStdString());
    if (file.empty() || !m_snapshot)
        return nullptr;
    const auto& jobs = m_snapshot->jobs;
    const auto found = std::find_if(jobs.begin(), jobs.end(), [&](const JobRow& job) {
        return job.record.clip() && job.record.resultFile == file;
    });
    return found != jobs.end() ? &*found : nullptr;
}

const JobRow* CacheInspector::wanted() const {
    if (m_p.viewer->showsPreview())
        return m_snapshot->find(m_p.viewer->previewJob());
    if (m_live)
        return m_snapshot->find(m_live);
    if (!m_p.viewer->clipFile().isEmpty())
        return jobOfViewer();
    return m_snapshot->find(m_snapshot->chunks.job);
}

void CacheInspector::showFile(const QString& file, RecordPtr record) {
    m_file = file;
    m_fileRecord = std::move(record);
    follow();
    m_p.notes->tell({tr("The cache map is that of %1.").arg(QFileInfo(file).fileName()),
                     tr("Back to the clip"), [this] { showLive(); }});
}

void CacheInspector::showLive() {
    m_fileRecord.reset();
    follow();
}

void CacheInspector::follow() {
    if (m_fileRecord)
        return show(nullptr, m_fileRecord);
    if (!m_snapshot)
        return;
    const JobRow* job = wanted();
    if (!job || !job->record.clip()) {
        m_selection->setEmptyWords(
            m_p.viewer->clipFile().isEmpty()
                ? tr("No clip is shown. Make one, or choose one in the library.")
                : tr("How this clip was made is not known: its job is not in the list."));
        return show(nullptr, nullptr);
    }
    const JobId id = job->record.id;
    if (m_snapshot->chunks.job == id && m_snapshot->chunks.record)
        return show(job, m_snapshot->chunks.record);
    if (job->record.clip()->chunks.mode != SamplingMode::Chunked) {
        m_selection->setEmptyWords(tr("This clip was made as a whole, so there is no map of chunks. Clips "
                                      "that grow chunk by chunk have one."));
        return show(job, nullptr);
    }
    if (!isFinished(job->record.state)) {
        m_selection->setEmptyWords(tr("The map begins with the first step."));
        return show(job, nullptr);
    }
    if (const auto missing = m_missing.find(id); missing != m_missing.end()) {
        m_selection->setEmptyWords(missing->second);
        return show(job, nullptr);
    }
    const auto [known, first] = m_records.try_emplace(id, nullptr);
    if (first) {
        m_selection->setEmptyWords({});
        m_link->readChunkRecord(id);
    }
    show(job, known->second);
}

void CacheInspector::show(const JobRow* job, RecordPtr record) {
    const double seconds = job ? job->record.summary["denoise_seconds"].asDouble() : 0;
    m_shown = record && job ? job->record.id : 0;
    if (record == m_shownRecord && seconds == m_shownSeconds)
        return;
    m_shownRecord = record;
    m_shownSeconds = seconds;
    m_selection->setScene(record ? std::make_shared<const CacheScene>(cacheSceneOf(*record, seconds))
                                 : nullptr);
    showFrame();
}

bool CacheInspector::viewerShowsIt() const {
    if (m_shown == 0)
        return false;
    if (m_p.viewer->showsPreview())
        return m_p.viewer->previewJob() == m_shown;
    const JobRow* job = jobOfViewer();
    return job && job->record.id == m_shown;
}

void CacheInspector::showFrame() {
    m_selection->setFrame(viewerShowsIt() && !m_selection->scene().isEmpty() ? m_p.viewer->clipFrame() : -1);
}

void CacheInspector::seek(int frame) {
    if (viewerShowsIt())
        m_p.viewer->seekClipFrame(frame);
}

void CacheInspector::showTable() {
    if (m_selection->scene().isEmpty())
        return m_p.notes->tell({tr("There is no cache map yet. %1").arg(m_selection->emptyWords()), {}, {}});
    auto* dialog = new CacheTableDialog(m_selection->scenePtr(), m_window);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dresser::dress(dialog, m_theme);
    dialog->open();
}

void CacheInspector::exportRun(bool npz) {
    if (m_selection->scene().isEmpty())
        return m_p.notes->tell({tr("There is no cache map yet. %1").arg(m_selection->emptyWords()), {}, {}});
    const QString ending = npz ? QStringLiteral("npz") : QStringLiteral("csv");
    const QFileInfo clip(m_p.viewer->clipFile());
    const QString base = clip.filePath().isEmpty()
                             ? tr("clip-%1").arg(m_shown)
                             : QStringLiteral("%1/%2").arg(clip.path(), clip.completeBaseName());
    QString file =
        QFileDialog::getSaveFileName(m_window, tr("Export"), QStringLiteral("%1-cache.%2").arg(base, ending),
                                     QStringLiteral("%1 (*.%2)").arg(ending.toUpper(), ending));
    if (file.isEmpty())
        return;
    if (QFileInfo(file).suffix().isEmpty())
        file += u'.' + ending;
    write(npz, file);
}

void CacheInspector::write(bool npz, const QString& file) {
    QThreadPool::globalInstance()->start([notes = QPointer<NoteBar>(m_p.notes), npz,
                                          scene = m_selection->scenePtr(),
                                          target = std::filesystem::path(file.toStdString())] {
        Result<void> written = {};
        if (npz) {
            const auto bytes = cacheNpz(*scene);
            written = bytes ? writeFileAtomically(target, std::span<const std::uint8_t>(*bytes))
                            : Result<void>(bytes.error());
        } else {
            written = writeFileAtomically(target, cacheCsv(*scene));
        }
        const QString sentence = written ? tr("Exported to %1").arg(QString::fromStdString(target.string()))
                                         : QString::fromStdString(written.error().message);
        QMetaObject::invokeMethod(qApp, [notes, sentence] {
            if (notes)
                notes->tell({sentence, {}, {}});
        });
    });
}

} // namespace canopy::ui
