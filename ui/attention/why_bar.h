#pragma once

#include "core/studio/attention_account.h"
#include "ui/theme/dresser.h"

#include <QWidget>

namespace canopy::ui {

/// The parts of the time that dense steps would have taken.
enum class TimePart { Measured, Choosing, Skipped, Rest };

/// What was measured and what was saved, as shares of the predicted dense time. Forms first, colour second:
/// measured is solid, choosing striped, skipped dotted.
class WhyBar : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit WhyBar(QWidget* parent = nullptr);
    void setAccount(const AttentionAccount& account);
    void setTheme(const Theme& theme) override;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;
    static void paintPart(QPainter& painter, const QRectF& box, TimePart part, const Theme& theme);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    AttentionAccount m_account;
    Theme m_theme;
    bool m_hasTheme = false;
};

/// The mark of a part beside its words.
class TimeMark : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit TimeMark(TimePart part, QWidget* parent = nullptr);
    void setTheme(const Theme& theme) override;
    QSize sizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    TimePart m_part;
    Theme m_theme;
    bool m_hasTheme = false;
};

} // namespace canopy::ui
