#include "ui/panels/inspect_pages.h"

#include <QHBoxLayout>
#include <QPushButton>
#include <QScrollArea>
#include <QStackedWidget>

namespace canopy::ui {
namespace {

/// All of a page is reachable in a small window, too.
QScrollArea* scrolled(QWidget* page, const char* objectName) {
    auto* scroll = new QScrollArea;
    scroll->setObjectName(QLatin1String(objectName));
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setFocusPolicy(Qt::NoFocus);
    scroll->setWidget(page);
    return scroll;
}

} // namespace

InspectPages::InspectPages(QWidget* attention, QWidget* cache, QWidget* parent)
    : QWidget(parent)
    , m_stack(new QStackedWidget) {
    setObjectName(QStringLiteral("inspectPages"));
    auto* bar = new QWidget;
    bar->setObjectName(QStringLiteral("inspectPageSwitch"));
    auto* row = new QHBoxLayout(bar);
    row->setContentsMargins(12, 6, 12, 6);
    row->setSpacing(0);
    const struct {
        QString text;
        const char* objectName;
        const char* segment;
        QString help;
    } entries[] = {{tr("Attention"), "inspectAttention", "left",
                    tr("Which heads kept which blocks, and which masks were reused")},
                   {tr("Cache"), "inspectCache", "right",
                    tr("Which steps of which chunk were computed, and which reused")}};
    for (std::size_t i = 0; i < m_buttons.size(); ++i) {
        auto* button = new QPushButton(entries[i].text);
        button->setObjectName(QLatin1String(entries[i].objectName));
        button->setProperty("segment", QLatin1String(entries[i].segment));
        button->setToolTip(entries[i].help);
        button->setCheckable(true);
        button->setAccessibleName(tr("Inspect page %1").arg(button->text()));
        connect(button, &QPushButton::clicked, this, [this, i] { setPage(InspectPage(i)); });
        row->addWidget(button);
        m_buttons[i] = button;
    }
    row->addStretch(1);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(bar);
    layout->addWidget(m_stack, 1);
    m_stack->addWidget(scrolled(attention, "inspectScroll"));
    m_stack->addWidget(scrolled(cache, "cachePageScroll"));
    m_buttons[0]->setChecked(true);
}

InspectPage InspectPages::page() const {
    return InspectPage(m_stack->currentIndex());
}

void InspectPages::setPage(InspectPage page) {
    for (std::size_t i = 0; i < m_buttons.size(); ++i)
        m_buttons[i]->setChecked(i == std::size_t(page));
    if (page == this->page())
        return;
    m_stack->setCurrentIndex(int(page));
    Q_EMIT pageChanged(page);
}

} // namespace canopy::ui
