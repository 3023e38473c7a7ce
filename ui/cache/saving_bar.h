#pragma once

#include <vector>

#include <QWidget>

#include "ui/theme/dresser.h"

namespace canopy::ui {

/// Why a run was faster: the measured time solid, then each predicted saving as an outline of its own form.
/// Together as long as the time without any of them.
class SavingBar : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    enum class Form { Measured, Reuse /**< hatched */, Squeeze /**< horizontal lines */ };
    struct Part {
        Form form;
        double seconds;
        QString name;
    };

    explicit SavingBar(QWidget* parent = nullptr);
    void setParts(std::vector<Part> parts);
    void setTheme(const Theme& theme) override;
    QSize sizeHint() const override;

    /// The mark of a part beside its row in a table.
    static void paintForm(QPainter& painter, const QRectF& area, Form form, const Theme& theme);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    std::vector<Part> m_parts;
    Theme m_theme;
    bool m_hasTheme = false;
};

/// A part's mark, 14 x 14 pixels at scale 1.
class SavingMark : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit SavingMark(SavingBar::Form form, QWidget* parent = nullptr);
    void setTheme(const Theme& theme) override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    SavingBar::Form m_form;
    Theme m_theme;
    bool m_hasTheme = false;
};

} // namespace canopy::ui
