#pragma once

#include <map>
#include <memory>
#include <optional>

#include <QImage>
#include <QWidget>

#include "core/media/compare.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {

/// How far two dense clips of the same shot lie apart that were only rounded in another way.
struct NoiseFloor {
    bool identical = false;
    double psnr = 0; ///< dB, mean over the clip
    double ssim = 0;
};

/// Figures of a comparison over the frames: pictures of the difference, PSNR with the noise floor, SSIM, and
/// the time cursor through all of them. Frames stand at the same x in every row. Click or arrows seek.
class MetricStrips : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit MetricStrips(QWidget* parent = nullptr);

    /// Null: nothing is known (yet); `words` then say why.
    void setFigures(std::shared_ptr<const media::FileComparison> figures, const QString& words);
    const media::FileComparison* figures() const { return m_figures.get(); }
    void setFloor(const std::optional<NoiseFloor>& floor);
    void setFrames(int frames, double fps);
    void setFrame(int frame);
    void setDifferences(std::map<int, QImage> pictures, int gain); ///< by frame
    /// Frames from the worst PSNR upwards, no two nearer to each other than a tenth of the clip.
    std::vector<int> worstFrames() const;
    /// The frame's figures in words.
    QString wordsAt(int frame) const;

    void setTheme(const Theme& theme) override;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

Q_SIGNALS:
    void seekRequested(int frame);
    void hovered(const QString& words);
    void keyPressed(int key); ///< not used here: belongs to the picture

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;

private:
    struct Range {
        double low = 0;
        double high = 1;
    };
    struct Rows {
        QRectF pictures, floor, psnr, ssim, axis;
    };
    Rows rows() const;
    double left() const;
    double right() const;
    double xOf(double frame) const;
    int frameAt(double x) const;
    void paintPictures(QPainter& painter, const QRectF& row) const;
    void paintFloor(QPainter& painter, const Rows& rows) const;
    void paintCurve(QPainter& painter, const QRectF& row, const std::vector<double>& values,
                    const Range& range, const QString& name, int decimals) const;
    void paintAxis(QPainter& painter, const QRectF& row) const;
    void paintCursor(QPainter& painter, const Rows& rows) const;
    void describe();

    Theme m_theme;
    bool m_hasTheme = false;
    bool m_keyboardFocus = false;
    std::shared_ptr<const media::FileComparison> m_figures;
    QString m_words;
    std::optional<NoiseFloor> m_floor;
    std::map<int, QImage> m_differences;
    int m_gain = 8;
    int m_frames = 0;
    double m_fps = 16;
    int m_frame = 0;
};

} // namespace canopy::ui
