#pragma once

#include <string>
#include <vector>

#include <QWidget>

#include "ui/theme/dresser.h"

namespace canopy::ui {

/// Probabilities of the options of a multiple-choice question, as bars with figures.
class LetterBars : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit LetterBars(QWidget* parent = nullptr);
    void setValues(const std::vector<std::string>& options, const std::vector<double>& probabilities);
    void setTheme(const Theme& theme) override;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    struct Row {
        QString name;
        double probability;
    };
    Theme m_theme;
    bool m_hasTheme = false;
    std::vector<Row> m_rows; ///< likeliest first
};

} // namespace canopy::ui
