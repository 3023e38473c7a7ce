#pragma once

#include <QWidget>

#include "ui/theme/dresser.h"

namespace canopy::ui {

/// What colours and marks of the maps mean.
class AttentionLegend : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    enum class Map { Heads, Reuse };
    explicit AttentionLegend(Map map, QWidget* parent = nullptr);
    void setTheme(const Theme& theme) override;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    void paintHeads(QPainter& painter) const;
    void paintReuse(QPainter& painter) const;

    Map m_map;
    Theme m_theme;
    bool m_hasTheme = false;
};

} // namespace canopy::ui
