#pragma once

#include <memory>
#include <optional>
#include <stop_token>

#include <QObject>
#include <QString>

#include "core/media/compare.h"

namespace canopy::ui {

/// Compares two files on the pool: FFmpeg's psnr and ssim of every frame. The newest request replaces earlier
/// ones. Home thread: the GUI's.
class PairFigures : public QObject {
    Q_OBJECT
public:
    explicit PairFigures(QObject* parent = nullptr);
    ~PairFigures() override;

    void compare(const QString& a, const QString& b);
    void cancel();
    bool isRunning() const { return m_stop.has_value(); }

Q_SIGNALS:
    void progress(int done, int frames);
    void compared(const std::shared_ptr<const canopy::media::FileComparison>& figures);
    void failed(const QString& sentence);

private:
    std::optional<std::stop_source> m_stop;
};

} // namespace canopy::ui
