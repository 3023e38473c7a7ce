#include "ui/viewer/frame_store.h"

#include <algorithm>
#include <cstring>

#include "core/media/video_reader.h"

namespace canopy::ui {
namespace {

constexpr int kBlock = 16; ///< frames decoded per seek; backwards play costs one seek per block

QImage toImage(const media::Frame& frame) {
    QImage image(frame.width, frame.height, QImage::Format_RGB888);
    for (int y = 0; y < frame.height; ++y)
        std::memcpy(image.scanLine(y), frame.rgb.data() + std::size_t(y) * std::size_t(frame.width) * 3,
                    std::size_t(frame.width) * 3);
    // The raster engine draws this format without converting at each paint.
    return image.convertToFormat(QImage::Format_RGB32);
}

} // namespace

FrameStore::FrameStore(std::size_t byteBudget, QObject* parent)
    : QObject(parent)
    , m_byteBudget(byteBudget)
    , m_thread([this] { run(); }) {
    qRegisterMetaType<canopy::ui::ClipFacts>();
}

FrameStore::~FrameStore() {
    {
        const std::lock_guard lock(m_mutex);
        m_wish.quit = true;
    }
    m_wake.notify_all();
    m_thread.join();
}

void FrameStore::open(const QString& file) {
    {
        const std::lock_guard lock(m_mutex);
        m_wish.generation += 1;
        m_wish.file = file;
        m_wish.frame = 0;
        m_wish.direction = 1;
        m_frames.clear();
        m_total = 0;
    }
    m_wake.notify_all();
}

void FrameStore::close() {
    open(QString());
}

void FrameStore::want(int frame, int direction) {
    {
        const std::lock_guard lock(m_mutex);
        m_wish.frame = frame;
        m_wish.direction = direction;
    }
    m_wake.notify_all();
}

QImage FrameStore::frame(int index) const {
    const std::lock_guard lock(m_mutex);
    const auto found = m_frames.find(index);
    return found == m_frames.end() ? QImage() : found->second;
}

int FrameStore::distance(int frame) const {
    int d = (frame - m_wish.frame) * m_wish.direction;
    if (d < 0) // behind the playhead: needed again when the clip loops
        d += m_total;
    return d;
}

int FrameStore::nextMissingBlock(int frames) const {
    if (frames <= 0)
        return -1;
    const int blocks = (frames + kBlock - 1) / kBlock;
    const int current = m_wish.frame / kBlock;
    const std::size_t frameBytes = m_frames.empty() ? 0 : std::size_t(m_frames.begin()->second.sizeInBytes());
    // A window that evict() would throw out at once is not decoded.
    const int limit =
        frameBytes ? int(std::min<std::size_t>(std::size_t(blocks), m_byteBudget / frameBytes / kBlock))
                   : blocks;
    for (int i = 0; i < std::max(1, limit); ++i) {
        const int block = ((current + i * m_wish.direction) % blocks + blocks) % blocks;
        for (int f = block * kBlock; f < std::min(frames, (block + 1) * kBlock); ++f)
            if (!m_frames.contains(f))
                return block;
    }
    return -1;
}

void FrameStore::evict(std::size_t frameBytes) {
    const std::size_t capacity =
        std::max<std::size_t>(kBlock * 2, m_byteBudget / std::max<std::size_t>(1, frameBytes));
    while (m_frames.size() > capacity) {
        const auto farthest = std::max_element(m_frames.begin(), m_frames.end(), [this](auto& a, auto& b) {
            return distance(a.first) < distance(b.first);
        });
        m_frames.erase(farthest);
    }
}

void FrameStore::run() {
    std::unique_ptr<media::VideoReader> reader;
    std::uint64_t generation = 0;
    std::unique_lock lock(m_mutex);
    for (;;) {
        m_wake.wait(lock, [&] {
            return m_wish.quit || m_wish.generation != generation ||
                   (reader && nextMissingBlock(reader->info().frames) >= 0);
        });
        if (m_wish.quit)
            return;
        if (m_wish.generation != generation) {
            generation = m_wish.generation;
            const QString file = m_wish.file;
            reader.reset();
            if (file.isEmpty())
                continue;
            lock.unlock();
            auto reply = media::VideoReader::open(file.toStdString());
            lock.lock();
            if (m_wish.generation != generation)
                continue;
            if (!reply) {
                const QString sentence = QString::fromStdString(reply.error().message);
                QMetaObject::invokeMethod(this, [this, file, sentence] { Q_EMIT failed(file, sentence); });
                continue;
            }
            reader = std::move(*reply);
            const auto& info = reader->info();
            m_total = info.frames;
            auto times = std::make_shared<std::vector<std::int64_t>>(std::size_t(std::max(0, info.frames)));
            for (int index = 0; index < info.frames; ++index)
                (*times)[std::size_t(index)] = reader->ptsNanos(index);
            const ClipFacts facts{file,
                                  info.width,
                                  info.height,
                                  info.frames,
                                  double(info.fpsNumerator) / std::max(1, info.fpsDenominator),
                                  std::move(times),
                                  QString::fromStdString(info.damage)};
            QMetaObject::invokeMethod(this, [this, facts] { Q_EMIT opened(facts); });
            continue;
        }
        const int first = nextMissingBlock(m_total) * kBlock;
        const int last = std::min(m_total, first + kBlock);
        for (int index = first; index < last; ++index) {
            if (m_wish.quit || m_wish.generation != generation)
                break;
            if (m_frames.contains(index))
                continue;
            lock.unlock();
            auto frame = reader->frame(index);
            QImage image = frame ? toImage(*frame) : QImage();
            lock.lock();
            if (m_wish.generation != generation)
                break;
            if (!frame) {
                const QString file = m_wish.file;
                const QString sentence = QString::fromStdString(frame.error().message);
                reader.reset();
                QMetaObject::invokeMethod(this, [this, file, sentence] { Q_EMIT failed(file, sentence); });
                break;
            }
            const auto bytes = std::size_t(image.sizeInBytes());
            m_frames.emplace(index, std::move(image));
            evict(bytes);
            if (!m_announced) {
                m_announced = true;
                QMetaObject::invokeMethod(this, [this] {
                    {
                        const std::lock_guard guard(m_mutex);
                        m_announced = false;
                    }
                    Q_EMIT framesArrived();
                });
            }
        }
    }
}

} // namespace canopy::ui
