#include "ui/shell/ask_workspace.h"

#include <algorithm>
#include <cmath>

#include <QDialog>
#include <QFileDialog>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPushButton>

#include "ui/panels/ask_panel.h"
#include "ui/panels/pane_parts.h"
#include "ui/panels/question_group.h"
#include "ui/panels/status_strip.h"
#include "ui/panels/tokens_panel.h"
#include "ui/panels/viewer_panel.h"
#include "ui/shell/note_bar.h"
#include "ui/shell/run_exporter.h"
#include "ui/shell/token_table.h"
#include "ui/tokens/frame_strip.h"
#include "ui/tokens/legend.h"
#include "ui/viewer/picture_reader.h"
#include "ui/viewer/video_view.h"

namespace canopy::ui {
namespace {

constexpr int kPictureHeight = 112; ///< pixels of the strip's pictures: sharp at double size
constexpr double kSparse = 2.0;     ///< seconds between sampled frames from which it is said

} // namespace

AskWorkspace::AskWorkspace(StudioLink* link, TokenLayer* layer, const Panes& panes, QWidget* window)
    : QObject(window)
    , m_link(link)
    , m_layer(layer)
    , m_p(panes)
    , m_window(window)
    , m_pictures(new PictureReader(this))
    , m_exporter(new RunExporter(layer, panes.viewer, panes.notes, panes.chat->exportMenu(), window)) {
    // The check needs no answer per key; a short wait keeps typing smooth.
    m_checkTimer.setSingleShot(true);
    m_checkTimer.setInterval(120);
    buildViewerControls();
    connectPanes();
    showLook();
    showSample();
}

void AskWorkspace::buildViewerControls() {
    m_looks = new QWidget;
    m_looks->setObjectName(QStringLiteral("tokenLooks"));
    m_looks->setAccessibleName(tr("What is drawn over the picture"));
    auto* row = new QHBoxLayout(m_looks);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(0);
    const std::tuple<QString, const char*, const char*, QString> looks[] = {
        {tr("Picture"), "lookPicture", "left", tr("The picture alone (T)")},
        {tr("Tokens"), "lookTokens", "middle", tr("Which cells the model was given (T)")},
        {tr("Links"), "lookLinks", "right", tr("How cells of different frames are linked (Shift+T)")}};
    for (int i = 0; i < 3; ++i) {
        const auto& [text, objectName, segment, help] = looks[i];
        auto* button = new QPushButton(text);
        button->setObjectName(QLatin1String(objectName));
        button->setProperty("segment", QLatin1String(segment));
        button->setAccessibleName(help);
        button->setToolTip(help);
        button->setCheckable(true);
        connect(button, &QPushButton::clicked, this, [this, i] { setLook(TokenLook(i)); });
        row->addWidget(button);
        m_look[i] = button;
    }
    m_probe = new QPushButton(tr("Similarity"));
    m_probe->setObjectName(QStringLiteral("probeButton"));
    m_probe->setAccessibleName(tr("Similarity of a cell with all others"));
    m_probe->setToolTip(
        tr("Then choose a cell: how similar every cell is to it, the window in which a forest "
           "looks for a match, and a contour at its threshold"));
    m_probe->setCheckable(true);
    m_sample = textLabel({}, "figure2", QStringLiteral("sampleNumber"));
    dresser::setReservedText(m_sample, tr("sample %1/%2").arg(88).arg(88));
    m_legend = new TokenLegend;
    m_p.viewer->addHeaderWidget(m_probe);
    m_p.viewer->addHeaderWidget(m_looks);
    m_p.viewer->addTransportWidget(m_legend);
    m_p.viewer->addTransportWidget(m_sample);
    for (QWidget* widget :
         {m_looks, static_cast<QWidget*>(m_probe), static_cast<QWidget*>(m_sample), m_legend})
        widget->hide();
    connect(m_probe, &QPushButton::toggled, this, &AskWorkspace::setProbing);
    connect(m_layer, &TokenLayer::probingChanged, m_probe, &QPushButton::setChecked);
}

void AskWorkspace::connectPanes() {
    auto& form = m_p.chat->form();
    connect(&m_checkTimer, &QTimer::timeout, this, [this] {
        m_link->checkAsk(m_p.chat->form().request());
        showVideoNote();
    });
    connect(&form, &AskForm::changed, &m_checkTimer, qOverload<>(&QTimer::start));
    connect(&form, &AskForm::keepChanged, this, &AskWorkspace::followKeep);
    connect(&form, &AskForm::changed, this, &AskWorkspace::showReadout);
    connect(&form, &AskForm::askRequested, this, &AskWorkspace::ask);
    connect(&form, &AskForm::attachRequested, this, &AskWorkspace::chooseVideo);

    connect(m_link, &StudioLink::opened, &m_checkTimer, qOverload<>(&QTimer::start));
    connect(m_link, &StudioLink::qaModelsChanged, &form, &AskForm::setModels);
    connect(m_link, &StudioLink::snapshotChanged, this, &AskWorkspace::onSnapshot);
    connect(m_link, &StudioLink::asked, this, [this](JobId id) { m_wanted = id; });
    connect(m_link, &StudioLink::askChecked, this, [this](const AskCheck& check) {
        m_check = check;
        QStringList problems;
        for (const auto& sentence : check.problems)
            problems << QString::fromStdString(sentence);
        // An empty form is no mistake yet.
        if (m_p.chat->form().video().isEmpty() || m_p.chat->form().request().question.empty())
            problems.clear();
        m_p.chat->form().showProblems(problems);
        showReadout();
        showVideoNote();
    });
    connect(m_link, &StudioLink::tokenRunRead, this,
            [this](JobId id, const std::shared_ptr<const TokenRun>& run) {
                m_runs[id] = run;
                takeAsks();
                if (m_wanted == id)
                    showTokens(id);
            });

    auto* chat = m_p.chat;
    connect(chat, &AskPanel::askRequested, this, &AskWorkspace::send);
    connect(chat, &AskPanel::seekRequested, m_p.viewer, &ViewerPanel::seekSeconds);
    connect(chat, &AskPanel::showTokensRequested, this, &AskWorkspace::showTokens);
    connect(chat, &AskPanel::differenceRequested, this, &AskWorkspace::showDifference);
    connect(chat, &AskPanel::cancelRequested, m_link, &StudioLink::cancel);
    connect(chat, &AskPanel::retryRequested, m_link, &StudioLink::retry);
    connect(chat, &AskPanel::removeRequested, m_link, &StudioLink::remove);

    connect(m_p.viewer, &ViewerPanel::frameShown, this,
            [this](int, double seconds) { m_layer->setSeconds(seconds); });
    connect(m_p.viewer, &ViewerPanel::contentChanged, this, &AskWorkspace::onViewerContent);
    auto& view = m_p.viewer->view();
    connect(m_layer, &TokenLayer::changed, &view, qOverload<>(&QWidget::update));
    connect(m_layer, &TokenLayer::sampleChanged, this, &AskWorkspace::showSample);
    connect(m_layer, &TokenLayer::lookChanged, this, &AskWorkspace::showLook);
    const auto underCursor = [this](const QString& words) {
        m_p.status->setNote(words.isEmpty() ? QString() : tr("Under cursor: %1").arg(words));
        m_p.viewer->view().setAccessibleDescription(words);
    };
    connect(m_layer, &TokenLayer::cursorMoved, this, underCursor);
    connect(m_layer, &TokenLayer::probeWanted, this, [this](int cell) {
        if (m_shown)
            m_link->probe(m_shown, cell);
    });
    connect(m_p.tokens, &TokensPanel::seekRequested, m_p.viewer, &ViewerPanel::seekSeconds);
    connect(m_p.tokens, &TokensPanel::hovered, this, underCursor);
    connect(m_p.tokens, &TokensPanel::tableRequested, this, &AskWorkspace::showTable);
    connect(m_pictures, &PictureReader::pictures, this,
            [this](const QString& file, const std::map<int, QImage>& pictures) {
                if (file == m_p.viewer->clipFile())
                    m_p.tokens->strip().setPictures(pictures);
            });
    connect(m_pictures, &PictureReader::failed, this, [this](const QString&, const QString& sentence) {
        m_p.notes->tell({sentence, {}, {}});
    });
}

void AskWorkspace::setActive(bool active) {
    if (active == m_active)
        return;
    m_active = active;
    for (QWidget* widget :
         {m_looks, static_cast<QWidget*>(m_probe), static_cast<QWidget*>(m_sample), m_legend})
        widget->setVisible(active);
    m_p.viewer->setBrief(active); // room for the legend
    m_p.viewer->view().setLayer(active ? m_layer : nullptr);
    if (active) {
        onViewerContent();
        m_checkTimer.start();
    } else {
        m_layer->setProbing(false);
        if (m_p.viewer->cardSentence() == tr("No video is attached."))
            m_p.viewer->showCard({}, {});
        m_p.status->setNote({});
    }
}

void AskWorkspace::onViewerContent() {
    if (!m_active)
        return;
    const QString file = m_p.viewer->clipFile();
    if (file.isEmpty())
        m_p.viewer->showCard(
            tr("No video is attached."),
            {{tr("Attach a video"), QStringLiteral("attachFirst"), [this] { chooseVideo(); }, true}});
    else if (m_p.viewer->cardSentence() == tr("No video is attached."))
        m_p.viewer->showCard({}, {});
    m_p.tokens->setVideoFrames(file.isEmpty() ? 0 : m_p.viewer->playback().frames());
    setVideo(file);
    if (const double seconds = m_p.viewer->shownSeconds(); seconds >= 0)
        m_layer->setSeconds(seconds);
    showVideoNote();
}

void AskWorkspace::setVideo(const QString& file) {
    if (file == m_p.chat->form().video())
        return;
    m_p.chat->setVideo(file);
    m_wanted = 0;
    m_shown = 0;
    showRun(nullptr); // tokens of another video are never drawn on this one
    takeAsks();
}

void AskWorkspace::attach(const QString& file) {
    if (file == m_p.viewer->clipFile()) {
        onViewerContent();
    } else {
        m_p.viewer->showCard({}, {});
        m_p.viewer->setHeading(QFileInfo(file).fileName(), {});
        m_p.viewer->showClip(file, false);
    }
    setVideo(file);
    m_p.chat->form().focusQuestion();
}

void AskWorkspace::chooseVideo() {
    const QString name =
        QFileDialog::getOpenFileName(m_window, tr("Attach a video"), QFileInfo(m_p.viewer->clipFile()).path(),
                                     tr("Videos (*.mp4 *.m4v *.mov *.mkv *.webm)"));
    if (!name.isEmpty())
        attach(name);
}

void AskWorkspace::ask() {
    auto& form = m_p.chat->form();
    AskRequest request = form.request();
    if (request.videoPath.empty())
        return form.showProblems(
            {tr("No video is attached. Attach one with the paper clip, or drop it here.")});
    if (request.question.empty())
        return form.showProblems({tr("There is no question yet. Write one, or choose a suggestion below.")});
    if (form.isFollowUp())
        for (const auto& group : m_p.chat->groups())
            for (auto it = group.asks.rbegin(); it != group.asks.rend(); ++it)
                if (it->answer && !group.question.empty()) {
                    request.history.push_back({group.question, it->answer->text});
                    break;
                }
    send(request);
}

void AskWorkspace::send(const AskRequest& request) {
    AskRequest sent = request;
    // Of an answered question: the worker and the studio fill these in anew.
    sent.framesFile.clear();
    sent.frameIndex.clear();
    sent.frameSeconds.clear();
    sent.kernelSet.clear();
    m_link->ask(sent);
}

void AskWorkspace::newQuestion() {
    AskRequest request = m_p.chat->form().request();
    request.question.clear();
    request.options.clear();
    m_p.chat->form().setRequest(request);
    m_p.chat->form().focusQuestion();
}

const AskView* AskWorkspace::view(JobId id) const {
    const auto found =
        std::find_if(m_asks.begin(), m_asks.end(), [id](const AskView& a) { return a.id == id; });
    return found == m_asks.end() ? nullptr : &*found;
}

void AskWorkspace::onSnapshot(const SnapshotPtr& snapshot) {
    m_snapshot = snapshot;
    m_p.chat->form().setDevices(snapshot->worker.devices);
    takeAsks();
    const auto& probe = snapshot->probe;
    if (probe.ask == m_shown && m_shown && m_layer->isProbing()) {
        const auto& now = m_layer->probe();
        if (!now || now->cell != probe.cell || now->cosine.size() != probe.cosine.size())
            m_layer->setProbe(probe);
    }
}

void AskWorkspace::takeAsks() {
    if (!m_snapshot)
        return;
    m_asks = m_snapshot->asks;
    const std::string video = m_p.chat->form().video().toStdString();
    const AskView* newest = nullptr;
    for (auto& ask : m_asks) {
        if (ask.request.videoPath != video || video.empty())
            continue;
        if (!ask.run && ask.state == JobState::Done) { // of an earlier start: in its file
            const auto [found, isNew] = m_runs.try_emplace(ask.id);
            if (isNew)
                m_link->readTokenRun(ask.id);
            ask.run = found->second;
        }
        if (ask.run && (!newest || ask.id > newest->id))
            newest = &ask;
    }
    m_p.chat->setAsks(m_asks);
    if (m_shown && !view(m_shown)) { // removed
        m_shown = 0;
        showRun(nullptr);
    }
    const AskView* wanted = m_wanted ? view(m_wanted) : nullptr;
    if (wanted && wanted->run)
        showTokens(m_wanted);
    else if (!m_shown && newest)
        showTokens(newest->id);
    else if (m_shown)
        showReadout(); // the answer of the shown run may have come
}

void AskWorkspace::showTokens(JobId id) {
    const AskView* ask = view(id);
    if (!ask)
        return;
    if (!ask->run) {
        m_wanted = id;
        return m_link->readTokenRun(id);
    }
    m_wanted = 0;
    m_shown = id;
    m_p.chat->setShown(id);
    showRun(ask->run);
    const auto& tokens = ask->request.tokens;
    m_p.chat->form().setKeep(tokens.mode == TokenMode::All ? 1 : tokens.keep);
    followKeep();
}

void AskWorkspace::showRun(std::shared_ptr<const TokenRun> run) {
    const bool sameFrames = run && !m_layer->scene().isEmpty() &&
                            run->frameIndex == m_layer->scene().run().frameIndex &&
                            !m_p.tokens->strip().pictures().empty();
    m_layer->setRun(run);
    if (!run)
        m_p.chat->setShown(0);
    if (sameFrames)
        return;
    m_p.tokens->strip().setPictures({});
    if (run && !m_p.viewer->clipFile().isEmpty())
        m_pictures->read(m_p.viewer->clipFile(), run->frameIndex, kPictureHeight);
    else
        m_pictures->cancel();
}

void AskWorkspace::showDifference(JobId a, JobId b) {
    const AskView* other = view(b);
    if (!other || !other->run)
        return;
    showTokens(a);
    m_layer->setOther(other->run);
}

void AskWorkspace::followKeep() {
    const bool follows = m_layer->scene().isEmpty() || m_layer->setKeep(m_p.chat->form().keep());
    m_p.chat->form().setSliderNote(
        follows ? QString()
                : tr("%1 chooses anew for every share: the picture stays at %2. Ask to see another.")
                      .arg(modeLabel(m_layer->scene().run().settings.mode))
                      .arg(percentText(m_layer->scene().keep())));
    showReadout();
}

void AskWorkspace::showReadout() {
    auto& form = m_p.chat->form();
    std::vector<double> stops;
    const AskView* ask = m_shown ? view(m_shown) : nullptr;
    if (ask)
        for (const auto& group : m_p.chat->groups())
            if (group.find(ask->id))
                for (const auto& run : group.asks)
                    if (run.request.tokens.mode == ask->request.tokens.mode ||
                        run.request.tokens.mode == TokenMode::All)
                        stops.push_back(run.request.tokens.mode == TokenMode::All ? 1
                                                                                  : run.request.tokens.keep);
    form.setStops(std::move(stops));
    const bool live = ask && ask->answer && !m_layer->scene().isEmpty() &&
                      std::abs(m_layer->scene().keep() - form.keep()) < 1e-9 &&
                      !tokenModeInfo(ask->request.tokens.mode).insideModel;
    if (live) {
        const auto* model = form.model();
        const bool same = model && model->id == ask->request.modelId;
        return form.setReadout(readoutOf(m_layer->scene(), *ask->answer, same ? &model->language : nullptr));
    }
    if (!m_check || m_check->unprunedTokens <= 0)
        return form.setReadoutText({});
    KeepReadout planned;
    planned.videoTokens = m_check->videoTokens;
    planned.unprunedTokens = m_check->unprunedTokens;
    planned.kvBytes = double(m_check->kvBytes);
    planned.prefillFlop = m_check->flop;
    planned.predicted = true;
    form.setReadout(planned);
}

void AskWorkspace::showSample() {
    const auto& scene = m_layer->scene();
    m_sample->setText(
        scene.isEmpty() ? QString() : tr("sample %1/%2").arg(m_layer->sample() + 1).arg(scene.run().frames));
}

void AskWorkspace::showVideoNote() {
    auto& form = m_p.chat->form();
    const int frames = m_p.viewer->playback().frames();
    const int sampled = m_check ? m_check->request.frames : 0;
    if (!m_active || form.video().isEmpty() || frames < 2 || sampled < 1 || sampled >= frames)
        return form.showWarning({});
    const double apart = m_p.viewer->seconds(frames - 1) / std::max(1, sampled - 1);
    if (apart < kSparse)
        return form.showWarning({});
    const QLocale locale;
    form.showWarning(
        tr("The model sees %1 of %2 frames, one every %3 s. What happens between them it cannot know.")
            .arg(sampled)
            .arg(locale.toString(frames), locale.toString(apart, 'f', 1)));
}

void AskWorkspace::setLook(TokenLook look) {
    m_layer->setLook(look);
    showLook();
}

void AskWorkspace::showLook() {
    for (int i = 0; i < 3; ++i)
        m_look[i]->setChecked(int(m_layer->look()) == i);
}

void AskWorkspace::setProbing(bool on) {
    if (on && m_layer->look() == TokenLook::Picture)
        m_layer->setLook(TokenLook::Tokens);
    m_layer->setProbing(on);
}

void AskWorkspace::showTable() {
    if (m_layer->scene().isEmpty())
        return m_p.notes->tell({tr("There is no run to show as a table yet. Ask something first."), {}, {}});
    auto* dialog = new TokenTableDialog(m_layer->scene(), m_window);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->open();
}

} // namespace canopy::ui
