#pragma once

#include <map>
#include <optional>
#include <stop_token>

#include <QImage>
#include <QObject>
#include <QString>

namespace canopy::ui {

/// One frame of both clips.
struct FramePair {
    QImage a;
    QImage b;
};

/// Evenly spaced frames of two clips, for the strip of differences, read on the pool. The newest request
/// replaces earlier ones. Home thread: the GUI's.
class PairPictures : public QObject {
    Q_OBJECT
public:
    explicit PairPictures(QObject* parent = nullptr);
    ~PairPictures() override;
    /// `count` frames from the first to the last. A clip that cannot be read gives no pictures: the
    /// comparison says why.
    void read(const QString& a, const QString& b, int frames, int count);
    void cancel();

Q_SIGNALS:
    void pictures(const std::map<int, canopy::ui::FramePair>& pictures); ///< by frame

private:
    std::optional<std::stop_source> m_stop;
};

} // namespace canopy::ui
