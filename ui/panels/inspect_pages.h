#pragma once

#include <array>

#include <QWidget>

class QPushButton;
class QStackedWidget;

namespace canopy::ui {

enum class InspectPage { Attention, Cache };

/// The two pages of Inspect behind one switch: what attention did, and what block-wise sampling reused.
/// Owns both pages.
class InspectPages : public QWidget {
    Q_OBJECT
public:
    InspectPages(QWidget* attention, QWidget* cache, QWidget* parent = nullptr);

    InspectPage page() const;
    void setPage(InspectPage page);

Q_SIGNALS:
    void pageChanged(canopy::ui::InspectPage page);

private:
    QStackedWidget* m_stack;
    std::array<QPushButton*, 2> m_buttons{};
};

} // namespace canopy::ui
