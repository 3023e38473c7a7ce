#include "ui/shell/compare_workspace.h"

#include <algorithm>

#include <QFileDialog>
#include <QFileInfo>
#include <QLocale>

#include "core/project/clip_pairs.h"
#include "ui/compare/difference_image.h"
#include "ui/compare/pair_figures.h"
#include "ui/compare/pair_pictures.h"
#include "ui/panels/fidelity_table.h"
#include "ui/panels/speed_box.h"
#include "ui/panels/status_strip.h"
#include "ui/shell/note_bar.h"

namespace canopy::ui {
namespace {

constexpr int kDifferencePictures = 9;
constexpr int kGain = 8; ///< of the difference: 32 of 255 levels fill the scale

QString pathOf(const Clip& clip) {
    return QString::fromStdString(clip.file.string());
}

QString text(std::string_view words) {
    return QString::fromUtf8(words.data(), qsizetype(words.size()));
}

} // namespace

CompareWorkspace::CompareWorkspace(StudioLink* link, const Panes& panes, QWidget* window)
    : QObject(window)
    , m_link(link)
    , m_p(panes)
    , m_window(window)
    , m_figures(new PairFigures(this))
    , m_floorFigures(new PairFigures(this))
    , m_pictures(new PairPictures(this)) {
    m_p.pair->view().layer().setGain(kGain);
    connectPanes();
    show();
}

void CompareWorkspace::connectPanes() {
    auto* pair = m_p.pair;
    auto* result = m_p.result;
    connect(m_link, &StudioLink::libraryChanged, this, &CompareWorkspace::onLibrary);
    connect(m_link, &StudioLink::snapshotChanged, this, &CompareWorkspace::onSnapshot);
    connect(m_link, &StudioLink::clipRead, this, [this](const QString& file, const Clip& clip) {
        m_outside[file] = clip;
        findFloor();
        show();
    });
    connect(m_link, &StudioLink::clipMissing, this, [this](const QString& file, const QString&) {
        m_outside[file] =
            std::nullopt; // a video of somebody else's has no settings; the pictures compare all the same
        show();
    });
    connect(m_link, &StudioLink::refused, this, [this](const QString& sentence) {
        if (!m_making || m_making->job != 0)
            return;
        m_making.reset();
        m_refusal = sentence;
        show();
    });
    connect(pair, &PairPane::clipChosen, this, [this](PairSide side, const QString& file) {
        m_chosen = true;
        setFile(side, file);
    });
    connect(pair, &PairPane::fileWanted, this, &CompareWorkspace::chooseFile);
    connect(pair, &PairPane::swapRequested, this, &CompareWorkspace::swap);
    connect(pair, &PairPane::hovered, this, [this](const QString& words) {
        if (m_active)
            m_p.status->setNote(words);
    });
    connect(&pair->player(), &PairPlayer::changed, this, [this] {
        compareFigures();
        show();
    });
    connect(&pair->player(), &PairPlayer::shown, m_p.result, &ComparisonPanel::setFrame);
    connect(m_figures, &PairFigures::progress, this, [this](int done, int frames) {
        m_comparedWords = tr("Comparing frame %1 of %2").arg(done).arg(frames);
        show();
    });
    connect(m_figures, &PairFigures::compared, this,
            [this](const std::shared_ptr<const media::FileComparison>& figures) {
                m_compared = figures;
                m_comparedWords.clear();
                show();
            });
    connect(m_figures, &PairFigures::failed, this, [this](const QString& sentence) {
        m_comparedWords = sentence;
        show();
    });
    connect(m_floorFigures, &PairFigures::compared, this,
            [this](const std::shared_ptr<const media::FileComparison>& figures) {
                m_floor = NoiseFloor{figures->identical, figures->psnr, figures->ssim};
                show();
            });
    connect(m_floorFigures, &PairFigures::failed, this, [this](const QString& sentence) {
        m_floorWords = sentence;
        show();
    });
    connect(m_pictures, &PairPictures::pictures, this, [this](const std::map<int, FramePair>& pictures) {
        std::map<int, QImage> differences;
        // Small first: the strip shows no more.
        for (const auto& [frame, two] : pictures)
            differences[frame] = differenceImage(two.a, two.b, kGain, m_p.pair->view().layer().maps())
                                     .scaledToHeight(96, Qt::SmoothTransformation);
        m_p.pair->strips().setDifferences(std::move(differences), kGain);
    });
    connect(result, &ComparisonPanel::twinRequested, this, &CompareWorkspace::makeTwin);
    connect(result, &ComparisonPanel::floorRequested, this, &CompareWorkspace::measureFloor);
    connect(result, &ComparisonPanel::keepRequested, this, [this] {
        if (const Clip* b = clip(PairSide::B); b && b->id > 0)
            m_link->setStarred(b->id, true);
    });
    connect(result, &ComparisonPanel::worstRequested, this, [this] {
        if (m_compared && m_compared->psnrWorstFrame >= 0) {
            m_p.pair->player().playback().pause();
            m_p.pair->player().playback().seek(m_compared->psnrWorstFrame);
        }
    });
    connect(result, &ComparisonPanel::tableRequested, this, &CompareWorkspace::showTable);
    connect(result, &ComparisonPanel::exportRequested, this, &CompareWorkspace::exportCsv);
}

void CompareWorkspace::setActive(bool active) {
    m_active = active;
    if (!active) {
        m_p.pair->player().playback().pause();
        return;
    }
    chooseDefault();
    show();
}

void CompareWorkspace::onLibrary(const std::vector<Clip>& clips) {
    m_libraryKnown = true;
    m_clips = clips;
    m_p.pair->setClips(m_clips);
    if (m_active)
        chooseDefault();
    findFloor();
    show();
}

void CompareWorkspace::onSnapshot(const SnapshotPtr& snapshot) {
    m_snapshot = snapshot;
    if (!m_making)
        return;
    if (m_making->job == 0)
        for (const JobRow& row : snapshot->jobs)
            if (row.record.id > m_making->after && row.record.clip() && !isAccelerated(*row.record.clip()) &&
                isSameShot(*row.record.clip(), m_making->request))
                m_making->job = row.record.id;
    if (m_making->job == 0)
        return;
    const JobRow* row = snapshot->find(m_making->job);
    if (row && !isFinished(row->record.state)) {
        if (const QString words = makingWords(); words != m_makingWords) {
            m_makingWords = words;
            show();
        }
        return;
    }
    const Making made = *std::exchange(m_making, std::nullopt);
    m_makingWords.clear();
    if (row && row->record.state == JobState::Done) {
        const QString file = QString::fromStdString(row->record.resultFile.string());
        if (made.goal == Making::Goal::Twin)
            setFile(PairSide::A, file);
        else
            findFloor();
    } else {
        m_refusal = row ? tr("The clip was not made: %1")
                              .arg(QString::fromStdString(
                                  row->record.sentence.empty() ? row->words : row->record.sentence))
                        : tr("The clip was taken off the list before it was made.");
    }
    show();
}

void CompareWorkspace::chooseDefault() {
    if (m_chosen || m_clips.empty())
        return;
    QString a, b;
    if (const auto pair = newestPair(m_clips)) {
        a = pathOf(m_clips[pair->dense]);
        b = pathOf(m_clips[pair->accelerated]);
    } else {
        const auto fast = std::find_if(m_clips.begin(), m_clips.end(),
                                       [](const Clip& c) { return isAccelerated(c.request); });
        if (fast != m_clips.end())
            a = pathOf(*fast); // alone until its twin is made
        else
            a = pathOf(m_clips.front());
    }
    if (m_p.pair->file(PairSide::A) == a && m_p.pair->file(PairSide::B) == b)
        return;
    setFile(PairSide::A, a);
    setFile(PairSide::B, b);
}

void CompareWorkspace::compare(const QString& file) {
    const auto path = std::filesystem::path(file.toStdString());
    const auto found =
        std::find_if(m_clips.begin(), m_clips.end(), [&](const Clip& c) { return c.file == path; });
    QString a = file, b;
    if (found != m_clips.end() && isAccelerated(found->request)) {
        if (const auto dense = denseTwinOf(m_clips, found->request)) {
            a = pathOf(m_clips[*dense]);
            b = file;
        }
    } else if (found != m_clips.end()) {
        const auto fast = std::find_if(m_clips.begin(), m_clips.end(), [&](const Clip& c) {
            return isAccelerated(c.request) && isSameShot(c.request, found->request);
        });
        if (fast != m_clips.end())
            b = pathOf(*fast);
    }
    setClips(a, b);
}

void CompareWorkspace::setClips(const QString& a, const QString& b) {
    m_chosen = true;
    setFile(PairSide::A, a);
    setFile(PairSide::B, b);
}

void CompareWorkspace::setFile(PairSide side, const QString& file) {
    if (side == PairSide::A && file != m_p.pair->file(PairSide::A)) {
        // The twin of a clip that stood alone takes its place; the clip goes to the other side.
        const QString before = m_p.pair->file(PairSide::A);
        if (!before.isEmpty() && m_p.pair->file(PairSide::B).isEmpty() && clip(PairSide::A) &&
            isAccelerated(clip(PairSide::A)->request))
            m_p.pair->setFile(PairSide::B, before);
    }
    m_p.pair->setFile(side, file);
    m_refusal.clear();
    if (!file.isEmpty() && !clip(side) && !m_outside.contains(file))
        m_link->readClip(file);
    findFloor();
    show();
}

void CompareWorkspace::chooseFile(PairSide side) {
    const QString file = QFileDialog::getOpenFileName(m_window, tr("Clip to compare"),
                                                      QFileInfo(m_p.pair->file(PairSide::A)).path(),
                                                      tr("Videos (*.mp4 *.m4v *.mov *.mkv *.webm)"));
    if (file.isEmpty())
        return;
    m_chosen = true;
    setFile(side, file);
}

void CompareWorkspace::swap() {
    const QString a = m_p.pair->file(PairSide::A), b = m_p.pair->file(PairSide::B);
    if (a.isEmpty() || b.isEmpty())
        return;
    m_chosen = true;
    m_p.pair->setFile(PairSide::A, b);
    m_p.pair->setFile(PairSide::B, a);
    findFloor();
    show();
}

const Clip* CompareWorkspace::clip(PairSide side) const {
    const QString file = m_p.pair->file(side);
    if (file.isEmpty())
        return nullptr;
    const auto path = std::filesystem::path(file.toStdString());
    for (const Clip& clip : m_clips)
        if (clip.file == path)
            return &clip;
    const auto outside = m_outside.find(file);
    return outside != m_outside.end() && outside->second ? &*outside->second : nullptr;
}

void CompareWorkspace::start(Making::Goal goal, const GenerationRequest& request) {
    if (m_making)
        return;
    m_refusal.clear();
    JobId newest = 0;
    if (m_snapshot)
        for (const JobRow& row : m_snapshot->jobs)
            newest = std::max(newest, row.record.id);
    m_making = Making{goal, 0, request, newest};
    m_makingWords = tr("Asking for the clip…");
    m_link->generate(request);
    show();
}

void CompareWorkspace::makeTwin() {
    const Clip* b = clip(PairSide::B);
    const Clip* fast = b && isAccelerated(b->request) ? b : clip(PairSide::A);
    if (!fast || !isAccelerated(fast->request))
        return;
    m_chosen = true;
    start(Making::Goal::Twin, denseTwin(fast->request));
}

void CompareWorkspace::measureFloor() {
    if (const Clip* a = clip(PairSide::A); a && !isAccelerated(a->request)) {
        m_chosen = true;
        start(Making::Goal::Floor, roundedTwin(a->request));
    }
}

void CompareWorkspace::compareFigures() {
    auto& player = m_p.pair->player();
    m_figures->cancel();
    m_pictures->cancel();
    m_compared.reset();
    m_comparedWords.clear();
    m_p.pair->strips().setDifferences({}, kGain);
    if (!player.isPair())
        return;
    m_comparedWords = tr("Comparing…");
    m_figures->compare(player.file(PairSide::A), player.file(PairSide::B));
    m_pictures->read(player.file(PairSide::A), player.file(PairSide::B), player.playback().frames(),
                     kDifferencePictures);
    m_p.pair->strips().setFrames(player.playback().frames(), player.playback().fps());
}

void CompareWorkspace::findFloor() {
    const Clip* a = clip(PairSide::A);
    std::optional<std::size_t> other;
    if (a && !isAccelerated(a->request))
        other = roundingOf(m_clips, a->request);
    const QString file = other ? pathOf(m_clips[*other]) : QString();
    if (!other) {
        m_floorFigures->cancel();
        m_floor.reset();
        m_floorFile.clear();
        m_floorWords = !a                          ? QString()
                       : isAccelerated(a->request) ? tr("measured between dense clips; A is accelerated")
                                                   : tr("not measured for this shot");
        return;
    }
    const auto& x = a->request;
    const auto& y = m_clips[*other].request;
    const QString key = pathOf(*a) + u'\n' + file;
    if (key == m_floorFile)
        return;
    m_floorFile = key;
    m_floor.reset();
    m_floorWords =
        x.precision != y.precision
            ? tr("%1 against %2").arg(text(precisionName(x.precision)), text(precisionName(y.precision)))
        : x.device != y.device
            ? tr("%1 against %2").arg(text(deviceName(x.device)), text(deviceName(y.device)))
        : x.kernelSet != y.kernelSet
            ? tr("kernels %1 against %2")
                  .arg(QString::fromStdString(x.kernelSet), QString::fromStdString(y.kernelSet))
            : tr("%1 threads against %2").arg(x.threads).arg(y.threads);
    m_floorFigures->compare(pathOf(*a), file);
}

QString CompareWorkspace::makingWords() const {
    if (!m_making)
        return {};
    const JobRow* row = m_snapshot && m_making->job ? m_snapshot->find(m_making->job) : nullptr;
    if (!row)
        return tr("Asking for the clip…");
    const QString what = m_making->goal == Making::Goal::Twin ? tr("Making the dense twin")
                                                              : tr("Making the dense clip once more");
    QString words = QString::fromStdString(row->words);
    if (row->progress && row->progress->remainingSeconds > 0)
        words += tr(", about %1 s left").arg(qRound(row->progress->remainingSeconds));
    return tr("%1: %2").arg(what, words);
}

QString CompareWorkspace::nameOf(const Clip* clip) const {
    if (!clip)
        return {};
    const auto& attention = clip->request.attention;
    if (!isAccelerated(clip->request))
        return tr("dense");
    const QString method = attention.method == AttentionMethod::XAttention ? tr("XAttention")
                           : attention.method == AttentionMethod::Svg2     ? tr("SVG2")
                           : attention.method == AttentionMethod::TopK     ? tr("top-k")
                                                                           : tr("window");
    return attention.reuse == MaskReuse::Off ? method : tr("%1, reused masks").arg(method);
}

QString CompareWorkspace::waitingWords() const {
    auto& player = m_p.pair->player();
    const QString a = m_p.pair->file(PairSide::A), b = m_p.pair->file(PairSide::B);
    if (a.isEmpty() && b.isEmpty())
        return m_libraryKnown && m_clips.empty()
                   ? tr("No clips yet. Make one in Create, or choose two files above.")
                   : tr("Choose two clips above.");
    if (!player.problem().isEmpty())
        return player.problem();
    if (player.isPair())
        return {};
    const Clip* only = clip(a.isEmpty() ? PairSide::B : PairSide::A);
    if (a.isEmpty() || b.isEmpty()) {
        if (only && isAccelerated(only->request))
            return tr(
                "There is no dense clip of this shot yet. Make its dense twin to see what the acceleration "
                "changed, or choose another clip.");
        if (only)
            return tr(
                "There is no accelerated clip of this shot yet. Make one with Speed in Create, or choose "
                "another clip for B.");
        return tr("Choose a clip for the other side.");
    }
    return tr("Opening the clips…");
}

void CompareWorkspace::show() {
    auto& player = m_p.pair->player();
    const Clip *a = clip(PairSide::A), *b = clip(PairSide::B);
    ComparisonResult r;
    r.waiting = waitingWords();
    r.figures = m_compared;
    r.figuresWords = m_comparedWords;
    r.floor = m_floor;
    r.floorWords = m_floorWords;
    if (a && b) {
        r.secondsA = a->makeSeconds;
        r.secondsB = b->makeSeconds;
        r.settings = compareSettings(a->request, b->request);
        if (const auto predicted = m_p.speed->predict(b->request))
            r.predictedB = ComparisonResult::Prediction{predicted->low, predicted->high};
    }
    const Clip* fast = b && isAccelerated(b->request) ? b : a && isAccelerated(a->request) ? a : nullptr;
    r.canMakeTwin = fast && !denseTwinOf(m_clips, fast->request);
    r.canMeasureFloor = a && !isAccelerated(a->request) && m_floorFile.isEmpty();
    r.canKeepB = b && b->id > 0;
    r.keptB = b && b->starred;
    r.isMaking = m_making.has_value();
    r.making = m_making ? (m_makingWords.isEmpty() ? makingWords() : m_makingWords) : m_refusal;
    r.frame = std::max(0, player.shownFrame());
    m_p.result->setResult(r);
    m_p.pair->setNames(nameOf(a), nameOf(b));
    m_p.pair->setHint(r.waiting);
    if (m_p.pair->strips().figures() != m_compared.get() || !m_compared)
        m_p.pair->setFigures(m_compared, m_comparedWords.isEmpty() ? r.waiting : m_comparedWords);
    m_p.pair->strips().setFloor(m_floor);
}

void CompareWorkspace::showTable() {
    if (!m_compared)
        return;
    auto* dialog = new FidelityTable(m_compared, m_p.pair->player().playback().fps(), m_window);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dresser::dress(dialog, m_p.pair->theme());
    dialog->open();
}

void CompareWorkspace::exportCsv() {
    if (!m_compared)
        return;
    QString file = QFileDialog::getSaveFileName(m_window, tr("Export the figures"),
                                                QStringLiteral("fidelity.csv"), tr("Tables (*.csv)"));
    if (file.isEmpty())
        return;
    if (QFileInfo(file).suffix().isEmpty())
        file += QStringLiteral(".csv");
    const auto written = exportFidelity(*m_compared, m_p.pair->player().playback().fps(),
                                        std::filesystem::path(file.toStdString()));
    m_p.notes->tell(
        {written ? tr("The figures are in %1").arg(file) : QString::fromStdString(written.error().message),
         {},
         {}});
}

} // namespace canopy::ui
