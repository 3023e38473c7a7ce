#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include <QImage>
#include <QObject>
#include <QString>

namespace canopy::ui {

/// Small pictures of single frames of a video, read on the pool. The newest request replaces earlier ones.
/// Home thread: the GUI's.
class PictureReader : public QObject {
    Q_OBJECT
public:
    explicit PictureReader(QObject* parent = nullptr);
    ~PictureReader() override;

    /// `frames`: positions in the video. Answered by pictures(), in parts while a long video is read, or
    /// failed().
    void read(const QString& file, std::vector<std::int64_t> frames, int height);
    void cancel();

Q_SIGNALS:
    /// By position in the request.
    void pictures(const QString& file, const std::map<int, QImage>& pictures);
    void failed(const QString& file, const QString& sentence);

private:
    std::shared_ptr<std::atomic<bool>> m_stop;
};

} // namespace canopy::ui
