#include "ui/compare/pair_pictures.h"

#include <cstdint>

#include <QThreadPool>

#include "core/media/video_reader.h"
#include "ui/compare/tell_home.h"

namespace canopy::ui {
namespace {

QImage toImage(const media::Frame& frame) {
    return QImage(frame.rgb.data(), frame.width, frame.height, qsizetype(frame.width) * 3,
                  QImage::Format_RGB888)
        .convertToFormat(QImage::Format_RGB32);
}

} // namespace

PairPictures::PairPictures(QObject* parent)
    : QObject(parent) {}

PairPictures::~PairPictures() {
    cancel();
}

void PairPictures::cancel() {
    if (m_stop)
        m_stop->request_stop();
    m_stop.reset();
}

void PairPictures::read(const QString& a, const QString& b, int frames, int count) {
    cancel();
    m_stop.emplace();
    QThreadPool::globalInstance()->start([self = QPointer(this), stop = m_stop->get_token(),
                                          a = a.toStdString(), b = b.toStdString(), frames, count] {
        auto left = media::VideoReader::open(a), right = media::VideoReader::open(b);
        if (!left || !right)
            return;
        std::map<int, FramePair> done;
        for (int i = 0; i < count && !stop.stop_requested(); ++i) {
            const int frame = count > 1 ? int(std::int64_t{i} * (frames - 1) / (count - 1)) : 0;
            if (done.contains(frame))
                continue;
            const auto x = (*left)->frame(frame), y = (*right)->frame(frame);
            if (!x || !y)
                break;
            done[frame] = {toImage(*x), toImage(*y)};
        }
        tell(self, stop, [done](PairPictures& me) { Q_EMIT me.pictures(done); });
    });
}

} // namespace canopy::ui
