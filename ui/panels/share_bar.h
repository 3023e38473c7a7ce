#pragma once

#include <QWidget>

#include "ui/theme/dresser.h"

namespace canopy::ui {

/// Kept in candidates in all, as one bar.
class ShareBar : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit ShareBar(QWidget* parent = nullptr);
    void setShares(double kept, double candidates);
    void setTheme(const Theme& theme) override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    Theme m_theme;
    bool m_hasTheme = false;
    double m_kept = 0;
    double m_candidates = 0;
};

} // namespace canopy::ui
