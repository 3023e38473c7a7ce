#pragma once

#include <QScrollArea>

namespace canopy::ui {

/// Takes the height its content wants where there is room, and scrolls where there is not.
class PaneScroll : public QScrollArea {
    Q_OBJECT
public:
    PaneScroll(QWidget* content, const char* objectName, QWidget* parent = nullptr);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;
};

} // namespace canopy::ui
