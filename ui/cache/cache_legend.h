#pragma once

#include <QWidget>

#include "ui/theme/dresser.h"

namespace canopy::ui {

/// What the forms and colours of the map mean. Leaves words out from the right where room is short.
class CacheLegend : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit CacheLegend(QWidget* parent = nullptr);
    void setTheme(const Theme& theme) override;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    Theme m_theme;
    bool m_hasTheme = false;
};

} // namespace canopy::ui
