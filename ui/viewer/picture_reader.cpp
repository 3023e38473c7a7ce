#include "ui/viewer/picture_reader.h"

#include <QCoreApplication>
#include <QPointer>
#include <QThreadPool>

#include "core/media/video_reader.h"

namespace canopy::ui {

PictureReader::PictureReader(QObject* parent)
    : QObject(parent) {}

PictureReader::~PictureReader() {
    cancel();
}

void PictureReader::cancel() {
    if (m_stop)
        *m_stop = true;
    m_stop.reset();
}

void PictureReader::read(const QString& file, std::vector<std::int64_t> frames, int height) {
    cancel();
    m_stop = std::make_shared<std::atomic<bool>>(false);
    QThreadPool::globalInstance()->start([self = QPointer(this), stop = m_stop, file,
                                          frames = std::move(frames), height] {
        const auto tell = [&](auto call) {
            QMetaObject::invokeMethod(qApp, [self, stop, call] {
                if (self && !*stop)
                    call();
            });
        };
        auto reader = media::VideoReader::open(file.toStdString());
        if (!reader) {
            const QString sentence = QString::fromStdString(reader.error().message);
            return tell([self, file, sentence] { Q_EMIT self->failed(file, sentence); });
        }
        std::map<int, QImage> done;
        constexpr std::size_t kPart = 8; ///< pictures that are shown before the rest is there
        for (std::size_t i = 0; i < frames.size(); ++i) {
            if (*stop)
                return;
            auto frame = (*reader)->frame(int(frames[i]));
            if (!frame) {
                const QString sentence = QString::fromStdString(frame.error().message);
                return tell([self, file, sentence] { Q_EMIT self->failed(file, sentence); });
            }
            const QImage image(frame->rgb.data(), frame->width, frame->height, qsizetype(frame->width) * 3,
                               QImage::Format_RGB888);
            done[int(i)] =
                image.scaledToHeight(height, Qt::SmoothTransformation).convertToFormat(QImage::Format_RGB32);
            if ((i + 1) % kPart == 0 || i + 1 == frames.size())
                tell([self, file, done] { Q_EMIT self->pictures(file, done); });
        }
    });
}

} // namespace canopy::ui
