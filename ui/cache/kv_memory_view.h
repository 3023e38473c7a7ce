#pragma once

#include "ui/cache/cache_view.h"

namespace canopy::ui {

/// Keys and values in memory over the rows of the schedule: finished chunks, chunks in flight, and the room
/// there is; a tick where finished chunks were squeezed.
class KvMemoryView : public CacheView {
    Q_OBJECT
public:
    explicit KvMemoryView(CacheSelection* selection, QWidget* parent = nullptr);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;

private:
    QRectF area() const;
    int rows() const; ///< of the whole schedule as far as known
    int rowAt(double x) const;
    QString wordsOf(const KvRow& row) const;
};

/// "9.4 GB", "512 MB", "77.4 MB": powers of ten, as in the form and the status bar.
QString bytesText(std::uint64_t bytes);

} // namespace canopy::ui
