#include "ui/shell/chunk_actions.h"

#include <algorithm>
#include <span>

#include <QMenu>
#include <QRandomGenerator>

#include "core/project/clip_takes.h"
#include "ui/cache/cache_selection.h"
#include "ui/panels/request_panel.h"
#include "ui/panels/timeline_panel.h"
#include "ui/panels/viewer_panel.h"
#include "ui/shell/cache_inspector.h"
#include "ui/shell/note_bar.h"
#include "ui/timeline/chunk_timeline_view.h"

namespace canopy::ui {

ChunkActions::ChunkActions(StudioLink* link, CacheSelection* selection, CacheInspector* inspector,
                           const Panes& panes, QObject* parent)
    : QObject(parent)
    , m_link(link)
    , m_selection(selection)
    , m_inspector(inspector)
    , m_p(panes)
    , m_takesOf(QStringLiteral("-")) {
    connect(m_link, &StudioLink::snapshotChanged, this, &ChunkActions::onSnapshot);
    connect(m_link, &StudioLink::libraryChanged, this, [this](const std::vector<Clip>& clips) {
        m_clips = clips;
        m_takesOf.clear();
        showTakes();
    });
    connect(m_link, &StudioLink::looksRead, this,
            [this](const QString& file, const std::shared_ptr<const std::vector<FrameLook>>& looks) {
                if (file != m_looksFile)
                    return;
                m_looks = looks;
                showFacts();
            });
    connect(m_p.viewer, &ViewerPanel::contentChanged, this, &ChunkActions::showContent);
    connect(m_p.viewer, &ViewerPanel::picturesArrived, this,
            [this] { m_p.timeline->view().picturesChanged(false); });
    connect(selection, &CacheSelection::sceneChanged, this, &ChunkActions::showFacts);
    connect(m_p.timeline, &TimelinePanel::menuRequested, this, &ChunkActions::showMenu);
    connect(m_p.timeline, &TimelinePanel::takeChosen, this, &ChunkActions::takeChosen);
    m_p.timeline->view().setPictures([viewer = m_p.viewer](int frame) { return viewer->picture(frame); });
    showFacts();
}

void ChunkActions::setActive(bool active) {
    m_active = active;
    showFacts();
}

void ChunkActions::onSnapshot() {
    const auto& snapshot = m_link->snapshot();
    if (!snapshot)
        return;
    const JobRow* running = snapshot->find(snapshot->running);
    const double left = running && running->progress ? running->progress->remainingSeconds : 0;
    if (snapshot->grown != m_grown || left != m_secondsLeft)
        showFacts();
    m_secondsLeft = left;
    showTakes();
}

void ChunkActions::showContent() {
    m_p.timeline->view().picturesChanged(true);
    const QString file = m_p.viewer->clipFile();
    if (!file.isEmpty() && file != m_looksFile && !m_selection->scene().isEmpty()) {
        m_looksFile = file;
        m_looks.reset();
        m_link->readLooks(file);
    }
    showTakes();
    showFacts();
}

void ChunkActions::showFacts() {
    const JobRow* job = m_inspector->job();
    const GenerationRequest* request = job ? job->record.clip() : nullptr;
    const bool chunked = request && request->chunks.mode == SamplingMode::Chunked;
    const auto& scene = m_selection->scene();
    const bool hasSomething = chunked && (!scene.isEmpty() || !isFinished(job->record.state));
    m_p.timeline->setVisible(m_active && hasSomething);
    if (!hasSomething)
        return;
    const QString file = m_p.viewer->clipFile();
    if (!file.isEmpty() && file != m_looksFile && !scene.isEmpty())
        return showContent();
    const auto& snapshot = m_link->snapshot();
    TimelineFacts facts;
    facts.fps = request->fps;
    facts.pictureSize = {request->width, request->height};
    std::vector<int> begins;
    for (const auto& chunk : scene.chunks)
        begins.push_back(chunk.firstFrame);
    m_grown = snapshot->grown;
    if (snapshot->running == job->record.id) {
        facts.secondsLeft = snapshot->chunks.job == job->record.id ? snapshot->chunks.forecast.secondsLeft
                                                                   : std::vector<double>();
        // Queue and status bar count the row under way too: the same sum here.
        const double all = snapshot->chunks.forecast.seconds;
        if (all > 0 && job->progress && job->progress->remainingSeconds > 0)
            for (double& seconds : facts.secondsLeft)
                seconds *= job->progress->remainingSeconds / all;
        if (m_grown && m_grown->job == job->record.id)
            facts.finishedFrames = int(m_grown->pictures.size());
    } else if (job->record.state == JobState::Done) {
        facts.finishedFrames = request->frames;
    }
    const bool grows = m_grown && m_grown->job == job->record.id;
    const bool read = !grows && m_looks && file == m_looksFile && !file.isEmpty();
    const std::span<const FrameLook> looks = grows  ? std::span<const FrameLook>(m_grown->looks)
                                             : read ? std::span<const FrameLook>(*m_looks)
                                                    : std::span<const FrameLook>();
    if (!begins.empty() && !looks.empty()) {
        facts.chunkDrift = chunkDrift(looks, begins);
        facts.frameDrift = frameDrift(looks, begins.size() > 1 ? begins[1] : request->frames);
    }
    if (job->record.id != m_factsJob) {
        m_factsJob = job->record.id;
        m_p.timeline->view().picturesChanged(true);
    }
    m_p.timeline->view().setFacts(std::move(facts));
}

void ChunkActions::showTakes() {
    const JobRow* job = m_inspector->job();
    const GenerationRequest* request = job ? job->record.clip() : nullptr;
    const QString file = m_p.viewer->clipFile();
    const bool making = request && file.isEmpty() && !request->chunks.basePath.empty();
    const QString wanted = QStringLiteral("%1 %2").arg(making ? job->record.id : 0).arg(file);
    if (wanted == m_takesOf)
        return; // asked with every snapshot
    m_takesOf = wanted;
    std::vector<TimelinePanel::TakeName> names;
    int current = -1;
    if (making || !file.isEmpty())
        for (const Take& take : takesOf(m_clips, making ? std::filesystem::path(request->chunks.basePath)
                                                        : std::filesystem::path(file.toStdString()))) {
            const Clip& clip = m_clips[take.clip];
            const QString path = QString::fromStdString(clip.file.string());
            if (path == file)
                current = int(names.size());
            const QString number = tr("Take %1").arg(names.size() + 1);
            names.push_back({path, take.fromChunk > 0
                                       ? tr("%1, from chunk %2").arg(number).arg(take.fromChunk + 1)
                                       : number});
        }
    if (making && !names.empty()) {
        current = int(names.size());
        names.push_back({{},
                         tr("Take %1, from chunk %2, being made")
                             .arg(names.size() + 1)
                             .arg(request->chunks.fromChunk + 1)});
    }
    m_p.timeline->setTakes(names, current);
}

std::optional<GenerationRequest> ChunkActions::from(int chunk) const {
    const JobRow* job = m_inspector->job();
    if (!job || !job->record.clip() || job->record.state != JobState::Done)
        return std::nullopt;
    GenerationRequest request = *job->record.clip();
    request.chunks.fromChunk = chunk;
    request.chunks.basePath = chunk > 0 ? job->record.resultFile.string() : std::string();
    std::erase_if(request.chunks.forced, [&](const ForcedRange& range) { return range.chunk < chunk; });
    // What stays of the clip must fit into the memory of keys beside what is made.
    const int arStep = request.chunks.arStep;
    const int inFlight = arStep > 0 ? (request.steps + arStep - 1) / arStep : 1;
    if (request.chunks.kvBudget > 0)
        request.chunks.kvBudget = std::max(request.chunks.kvBudget, chunk + inFlight);
    return request;
}

void ChunkActions::tellBudget(const GenerationRequest& request) {
    const int before = m_inspector->job()->record.clip()->chunks.kvBudget;
    if (request.chunks.kvBudget != before)
        m_p.notes->tell(
            {tr("This take remembers %1 chunks instead of %2: those before it stay in memory whole.")
                 .arg(request.chunks.kvBudget)
                 .arg(before),
             {},
             {}});
}

void ChunkActions::regenerate(int chunk) {
    auto request = from(chunk);
    if (!request)
        return;
    // The same seed would give the same frames again.
    request->seed = QRandomGenerator::global()->generate64() % 1'000'000'000;
    tellBudget(*request);
    m_link->generate(*request);
}

void ChunkActions::changePrompt(int chunk) {
    const auto request = from(chunk);
    if (!request)
        return;
    m_p.request->setRequest(*request);
    m_p.request->focusPrompt();
    m_p.notes->tell(
        {tr("Write what is to happen from chunk %1 on and press Generate; the chunks before it stay.")
             .arg(chunk + 1),
         {},
         {}});
}

void ChunkActions::forceComputing(int chunk) {
    auto request = from(chunk);
    if (!request)
        return;
    auto& forced = request->chunks.forced;
    std::erase_if(forced, [&](const ForcedRange& range) { return range.chunk == chunk; });
    forced.push_back({chunk, 0, request->steps});
    tellBudget(*request);
    m_link->generate(*request);
}

void ChunkActions::showMenu(int chunk, const QPoint& global) {
    const auto& scene = m_selection->scene();
    const bool done = from(chunk).has_value();
    auto* menu = new QMenu(m_p.timeline);
    menu->setObjectName(QStringLiteral("chunkMenu"));
    menu->setAttribute(Qt::WA_DeleteOnClose);
    menu->setToolTipsVisible(true);
    const QString wait = tr("When the clip is done, it can be made again from here.");
    const auto add = [&](const QString& text, const char* name, const QString& help, bool enabled, auto run) {
        auto* action = menu->addAction(text, this, run);
        action->setObjectName(QLatin1String(name));
        action->setEnabled(enabled);
        action->setToolTip(enabled ? help : wait);
    };
    add(tr("Regenerate from here"), "chunkRegenerate",
        tr("Makes chunk %1 and those after it again with another seed. Both takes are kept.").arg(chunk + 1),
        done, [this, chunk] { regenerate(chunk); });
    add(tr("Change prompt from here…"), "chunkPrompt",
        tr("Puts the settings into the form; write what is to happen from here on."), done,
        [this, chunk] { changePrompt(chunk); });
    const bool reuses = chunk < scene.chunkCount() && scene.stepsReused(chunk) > 0;
    add(tr("Force computing"), "chunkForce",
        tr("Makes the clip again from here with every step of chunk %1 computed.").arg(chunk + 1),
        done && reuses, [this, chunk] { forceComputing(chunk); });
    menu->addSeparator();
    add(tr("Inspect"), "chunkInspect", tr("Shows the cache map of this chunk."), true,
        [this, chunk] { Q_EMIT inspectRequested(chunk); });
    menu->popup(global);
}

} // namespace canopy::ui
