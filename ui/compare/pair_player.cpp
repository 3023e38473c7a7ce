#include "ui/compare/pair_player.h"

namespace canopy::ui {
namespace {

constexpr std::size_t kBytesPerClip = std::size_t{192} << 20;

} // namespace

PairPlayer::PairPlayer(QObject* parent)
    : QObject(parent)
    , m_playback(new Playback(this)) {
    for (auto& side : m_sides) {
        side.store = new FrameStore(kBytesPerClip, this);
        connect(side.store, &FrameStore::opened, this, [this, &side](const ClipFacts& facts) {
            if (facts.file != side.file)
                return;
            side.facts = facts;
            settle();
        });
        connect(side.store, &FrameStore::failed, this,
                [this, &side](const QString& file, const QString& sentence) {
                    if (file != side.file)
                        return;
                    side.error = sentence;
                    settle();
                });
        connect(side.store, &FrameStore::framesArrived, this, [this] {
            if (m_shownFrame != m_playback->frame())
                showFrame();
        });
    }
    connect(m_playback, &Playback::frameChanged, this, &PairPlayer::showFrame);
}

void PairPlayer::open(PairSide which, const QString& file) {
    Side& side = of(which);
    if (side.file == file && side.error.isEmpty())
        return;
    side.file = file;
    side.facts.reset();
    side.error.clear();
    side.shown = {};
    side.store->open(file);
    settle();
}

bool PairPlayer::isPair() const {
    return of(PairSide::A).facts && of(PairSide::B).facts && problem().isEmpty();
}

QString PairPlayer::problem() const {
    const Side &a = of(PairSide::A), &b = of(PairSide::B);
    for (const Side* side : {&a, &b})
        if (!side->error.isEmpty())
            return tr("%1 cannot be shown: %2").arg(side == &a ? tr("A") : tr("B"), side->error);
    if (!a.facts || !b.facts)
        return {};
    if (a.facts->width != b.facts->width || a.facts->height != b.facts->height)
        return tr("A has %1×%2 pixels and B has %3×%4; only clips of the same size can be compared. Choose "
                  "another clip for A or B.")
            .arg(a.facts->width)
            .arg(a.facts->height)
            .arg(b.facts->width)
            .arg(b.facts->height);
    if (a.facts->frames != b.facts->frames)
        return tr("A has %1 frames and B has %2; only clips of the same length can be compared. Choose "
                  "another "
                  "clip for A or B.")
            .arg(a.facts->frames)
            .arg(b.facts->frames);
    return {};
}

void PairPlayer::settle() {
    const Side &a = of(PairSide::A), &b = of(PairSide::B);
    const ClipFacts* facts = a.facts ? &*a.facts : nullptr;
    const bool complete = facts && (b.file.isEmpty() || b.facts) && problem().isEmpty();
    m_shownFrame = -1;
    if (complete) {
        // The place is kept where another clip of the same length is put beside it.
        const int frame = facts->frames == m_playback->frames() ? m_playback->frame() : 0;
        const bool plays = m_playback->isPlaying();
        m_playback->setSource(facts->frames, facts->fps);
        m_playback->seek(frame);
        if (plays)
            m_playback->play();
        showFrame();
    } else if (a.file.isEmpty() || !problem().isEmpty()) {
        m_playback->setSource(0, 16);
    }
    Q_EMIT changed();
}

void PairPlayer::showFrame() {
    Side &a = of(PairSide::A), &b = of(PairSide::B);
    const bool both = !b.file.isEmpty();
    if (!a.facts || (both && !isPair()))
        return;
    const int frame = m_playback->frame(), direction = m_playback->speed() < 0 ? -1 : 1;
    a.store->want(frame, direction);
    if (both)
        b.store->want(frame, direction);
    const QImage left = a.store->frame(frame), right = both ? b.store->frame(frame) : QImage();
    if (left.isNull() || (both && right.isNull()))
        return;
    a.shown = left;
    b.shown = right;
    m_shownFrame = frame;
    Q_EMIT shown(frame);
}

} // namespace canopy::ui
