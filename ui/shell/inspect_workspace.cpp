#include "ui/shell/inspect_workspace.h"

#include <filesystem>
#include <span>
#include <string_view>

#include <QFileDialog>
#include <QFileInfo>
#include <QPointer>
#include <QThreadPool>

#include "core/base/files.h"
#include "core/studio/telemetry_export.h"
#include "ui/compare/tell_home.h"
#include "ui/panels/attention_table.h"
#include "ui/panels/calibration_table.h"
#include "ui/panels/inspect_panel.h"
#include "ui/panels/status_strip.h"
#include "ui/shell/note_bar.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {

InspectWorkspace::InspectWorkspace(StudioLink* link, const Panes& panes, QWidget* window)
    : QObject(window)
    , m_link(link)
    , m_p(panes)
    , m_window(window) {
    connect(link, &StudioLink::snapshotChanged, this, &InspectWorkspace::onSnapshot);
    auto* panel = m_p.panel;
    connect(panel, &InspectPanel::tableRequested, this, &InspectWorkspace::showTable);
    connect(panel, &InspectPanel::exportRequested, this, &InspectWorkspace::exportMaps);
    connect(panel, &InspectPanel::openRequested, this, &InspectWorkspace::chooseSession);
    connect(panel, &InspectPanel::calibrationRequested, this, &InspectWorkspace::chooseCalibration);
    connect(panel, &InspectPanel::saveRequested, this, &InspectWorkspace::saveSession);
    connect(panel, &InspectPanel::liveRequested, this, &InspectWorkspace::showLive);
    connect(panel, &InspectPanel::hovered, this, [this](const QString& words) {
        if (m_active)
            m_p.status->setNote(words.isEmpty() ? QString() : tr("Under cursor: %1").arg(words));
    });
    connect(panel, &InspectPanel::layerChanged, this, [this](int layer) {
        if (layer == m_layer)
            return;
        m_layer = layer;
        if (m_active)
            Q_EMIT topicsChanged();
    });
}

void InspectWorkspace::setChunks(JobId job, std::shared_ptr<const ChunkRecord> record) {
    m_chunksJob = job;
    m_chunks = std::move(record);
}

std::vector<std::string> InspectWorkspace::topics() const {
    if (!m_active || showsFile())
        return {};
    return {maskTopic(m_layer)};
}

void InspectWorkspace::setActive(bool active) {
    if (active == m_active)
        return;
    m_active = active;
    if (!active)
        m_p.status->setNote({});
    Q_EMIT topicsChanged();
}

void InspectWorkspace::onSnapshot(const SnapshotPtr& snapshot) {
    // A dense clip leaves nothing to inspect: the last sparse one stays until there is another.
    if (!snapshot->telemetry || snapshot->telemetry == m_live || snapshot->telemetry->isEmpty())
        return;
    m_live = snapshot->telemetry;
    if (showsFile())
        return;
    m_p.panel->selection().setRun(m_live);
    showSource();
}

void InspectWorkspace::showSource() {
    if (showsFile())
        return m_p.panel->setSource(QFileInfo(m_file).fileName(), true);
    m_p.panel->setSource(!m_live         ? QString()
                         : m_live->ended ? tr("last clip made")
                                         : tr("clip being made"),
                         false);
}

void InspectWorkspace::showLive() {
    m_file.clear();
    m_p.panel->selection().setRun(m_live);
    showSource();
    Q_EMIT topicsChanged();
}

void InspectWorkspace::chooseSession() {
    const QString name = QFileDialog::getOpenFileName(m_window, tr("Open session"), QFileInfo(m_file).path(),
                                                      tr("Recordings (*.canopy)"));
    if (!name.isEmpty())
        openSession(name);
}

void InspectWorkspace::openSession(const QString& file) {
    QThreadPool::globalInstance()->start([self = QPointer<InspectWorkspace>(this), file] {
        auto runs = readTelemetry(std::filesystem::path(file.toStdString()));
        tell(self, {}, [file, runs = std::move(runs)](InspectWorkspace& w) {
            if (!runs)
                return w.m_p.notes->tell({QString::fromStdString(runs.error().message), {}, {}});
            const auto& run = runs->back();
            if (run->chunks)
                Q_EMIT w.chunksOpened(file, run->chunks);
            if (!run->isEmpty() || !run->chunks) {
                w.m_file = file;
                w.m_p.panel->selection().setRun(run);
                w.showSource();
                Q_EMIT w.topicsChanged();
            }
            if (runs->size() > 1)
                w.m_p.notes->tell({tr("%1 holds %2 clips; the last one is shown.")
                                       .arg(QFileInfo(file).fileName())
                                       .arg(runs->size()),
                                   {},
                                   {}});
        });
    });
}

void InspectWorkspace::saveSession() {
    if (m_p.panel->selection().isEmpty() && !m_chunks)
        return m_p.notes->tell(
            {tr("There is nothing to save yet: make a clip with sparse attention, or chunk by chunk."),
             {},
             {}});
    QString file = QFileDialog::getSaveFileName(m_window, tr("Save session"), QStringLiteral("clip.canopy"),
                                                tr("Recordings (*.canopy)"));
    if (file.isEmpty())
        return;
    if (QFileInfo(file).suffix().isEmpty())
        file += QStringLiteral(".canopy");
    saveSessionAs(file);
}

void InspectWorkspace::saveSessionAs(const QString& file) {
    RunTelemetry run;
    if (!m_p.panel->selection().isEmpty())
        run = *m_p.panel->selection().runPtr();
    // Attention and chunks of one clip belong together; of two, what was looked at last has the file.
    if (m_chunks && (run.isEmpty() || run.job == m_chunksJob)) {
        run.job = m_chunksJob;
        run.chunks = m_chunks;
        run.ended = true;
    }
    inBackground([run = std::move(run), file] {
        const auto saved = saveTelemetry(run, std::filesystem::path(file.toStdString()));
        return saved ? tr("The session is in %1").arg(file) : QString::fromStdString(saved.error().message);
    });
}

void InspectWorkspace::showTable() {
    if (m_p.panel->selection().isEmpty())
        return;
    auto* dialog = new AttentionTable(m_p.panel->selection(), m_window);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dresser::dress(dialog, m_theme);
    dialog->open();
}

void InspectWorkspace::chooseCalibration() {
    QString folder = QFileInfo(m_file).path();
    if (const auto& request = m_p.panel->selection().run().request; request && !request->modelPath.empty())
        folder = QString::fromStdString(request->modelPath) + QStringLiteral("/calibration");
    const QString name =
        QFileDialog::getOpenFileName(m_window, tr("Thresholds per head"), folder, tr("Thresholds (*.json)"));
    if (!name.isEmpty())
        showCalibration(name);
}

void InspectWorkspace::showCalibration(const QString& file) {
    const auto calibration = readAttentionCalibration(std::filesystem::path(file.toStdString()));
    if (!calibration)
        return m_p.notes->tell({QString::fromStdString(calibration.error().message), {}, {}});
    auto* dialog = new CalibrationTable(*calibration, m_window);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dresser::dress(dialog, m_theme);
    dialog->open();
}

void InspectWorkspace::exportMaps(bool npz) {
    if (m_p.panel->selection().isEmpty())
        return m_p.notes->tell({tr("There is nothing to export yet."), {}, {}});
    const QString ending = npz ? QStringLiteral("npz") : QStringLiteral("csv");
    QString file = QFileDialog::getSaveFileName(m_window, npz ? tr("Export maps") : tr("Export heads"),
                                                QStringLiteral("attention.") + ending,
                                                npz ? tr("Arrays (*.npz)") : tr("Tables (*.csv)"));
    if (file.isEmpty())
        return;
    if (QFileInfo(file).suffix().isEmpty())
        file += u'.' + ending;
    exportTo(file, npz);
}

void InspectWorkspace::exportTo(const QString& file, bool npz) {
    inBackground([run = m_p.panel->selection().runPtr(), file, npz] {
        const std::filesystem::path path(file.toStdString());
        Result<void> written;
        if (!npz) {
            written = writeFileAtomically(path, std::string_view(telemetryCsv(*run)));
        } else if (const auto bytes = telemetryNpz(*run); bytes) {
            written = writeFileAtomically(path, std::span<const std::uint8_t>(*bytes));
        } else {
            written = bytes.error();
        }
        return written ? tr("The export is in %1").arg(file)
                       : QString::fromStdString(written.error().message);
    });
}

void InspectWorkspace::inBackground(std::function<QString()> work) {
    QThreadPool::globalInstance()->start([self = QPointer<InspectWorkspace>(this), work = std::move(work)] {
        tell(self, {}, [sentence = work()](InspectWorkspace& w) { w.m_p.notes->tell({sentence, {}, {}}); });
    });
}

} // namespace canopy::ui
