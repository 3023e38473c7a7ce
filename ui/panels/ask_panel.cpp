#include "ui/panels/ask_panel.h"

#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QScrollArea>
#include <QScrollBar>
#include <QToolButton>
#include <QVBoxLayout>

#include "ui/panels/pane_parts.h"
#include "ui/panels/pane_scroll.h"
#include "ui/panels/question_group.h"
#include "ui/theme/fields.h"

namespace canopy::ui {
namespace {

/// Nothing that a card shows differs. Elapsed time is not shown.
bool looksTheSame(const AskView& a, const AskView& b) {
    return a.id == b.id && a.state == b.state && a.words == b.words && a.text == b.text && a.run == b.run &&
           a.answer.has_value() == b.answer.has_value() && a.request == b.request;
}

bool looksTheSame(const std::vector<AskView>& a, const std::vector<AskView>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const AskView& x, const AskView& y) { return looksTheSame(x, y); });
}

} // namespace

AskPanel::AskPanel(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("askPanel"));
    setAccessibleName(tr("Ask"));
    setProperty("pane", "dock");
    setAttribute(Qt::WA_StyledBackground);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    auto* header = new QWidget;
    header->setObjectName(QStringLiteral("askHeader"));
    header->setProperty("pane", "header");
    header->setAttribute(Qt::WA_StyledBackground);
    dresser::setFixedHeight(header, 36);
    auto* headerLayout = new QHBoxLayout(header);
    dresser::setMargins(headerLayout, 12, 0, 10, 0, 8);
    headerLayout->addWidget(textLabel(tr("Ask"), "strong"));
    m_heading = new ElidedLabel;
    m_heading->setObjectName(QStringLiteral("askHeading"));
    m_heading->setProperty("look", "label");
    headerLayout->addWidget(m_heading, 1);
    m_export = new QToolButton;
    m_export->setObjectName(QStringLiteral("exportRun"));
    m_export->setText(tr("Export"));
    m_export->setAccessibleName(tr("Export the shown run"));
    m_export->setToolTip(tr("The shown run as JSON or CSV, the picture with its tokens as PNG"));
    m_export->setProperty("kind", "plain");
    m_export->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    m_export->setPopupMode(QToolButton::InstantPopup);
    dresser::setIcon(m_export, QStringLiteral("box-arrow-up"), Role::Text2);
    dresser::setMinimumWidth(m_export, 84);
    m_exportMenu = new QMenu(m_export);
    m_export->setMenu(m_exportMenu);
    m_export->setEnabled(false);
    headerLayout->addWidget(m_export);
    layout->addWidget(header);

    m_scroll = new QScrollArea;
    m_scroll->setObjectName(QStringLiteral("askScroll"));
    m_scroll->setProperty("pane", "dock");
    m_scroll->setWidgetResizable(true);
    m_scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_scroll->setAccessibleName(tr("Questions and answers"));
    auto* body = new QWidget;
    m_list = new QVBoxLayout(body);
    dresser::setMargins(m_list, 16, 16, 16, 16, 20);
    m_empty = textLabel(tr("Attach a video or choose a clip, then ask about it."), "label",
                        QStringLiteral("askEmpty"));
    m_empty->setWordWrap(true);
    m_list->addWidget(m_empty);
    m_list->addStretch(1);
    m_scroll->setWidget(body);
    layout->addWidget(m_scroll, 1);
    layout->addWidget(rule());
    m_form = new AskForm;
    layout->addWidget(new PaneScroll(m_form, "askFormScroll"));
    connect(m_form, &AskForm::changed, this, &AskPanel::showHeading);
    auto* bar = m_scroll->verticalScrollBar();
    connect(bar, &QScrollBar::rangeChanged, this, [this, bar](int, int max) {
        if (m_stickToEnd)
            bar->setValue(max);
    });
    connect(bar, &QScrollBar::sliderMoved, this, [this] { m_stickToEnd = atEnd(); });
    m_scroll->viewport()->installEventFilter(this);
    showHeading();
}

bool AskPanel::atEnd() const {
    const auto* bar = m_scroll->verticalScrollBar();
    return bar->value() >= bar->maximum() - m_theme.px(8);
}

bool AskPanel::eventFilter(QObject* watched, QEvent* event) {
    if (watched == m_scroll->viewport() && event->type() == QEvent::Wheel)
        QMetaObject::invokeMethod(
            this, [this] { m_stickToEnd = atEnd(); }, Qt::QueuedConnection);
    return QWidget::eventFilter(watched, event);
}

void AskPanel::setVideo(const QString& file) {
    if (file == m_form->video())
        return;
    m_form->setVideo(file);
    m_shown = 0;
    m_stickToEnd = true;
    rebuild();
}

void AskPanel::setAsks(const std::vector<AskView>& asks) {
    if (looksTheSame(asks, m_asks))
        return;
    m_asks = asks;
    rebuild();
}

void AskPanel::setShown(JobId id) {
    if (id == m_shown)
        return;
    m_shown = id;
    rebuild();
}

void AskPanel::rebuild() {
    m_groups = m_form->video().isEmpty() ? std::vector<AskGroup>()
                                         : groupAsks(m_asks, m_form->video().toStdString());
    while (m_widgets.size() > m_groups.size()) {
        m_widgets.back()->deleteLater();
        m_widgets.back()->hide();
        m_list->removeWidget(m_widgets.back());
        m_widgets.pop_back();
    }
    for (std::size_t i = 0; i < m_groups.size(); ++i) {
        if (i == m_widgets.size()) {
            auto* widget = new QuestionGroup;
            connect(widget, &QuestionGroup::seekRequested, this, &AskPanel::seekRequested);
            connect(widget, &QuestionGroup::askRequested, this, &AskPanel::askRequested);
            connect(widget, &QuestionGroup::showTokensRequested, this, &AskPanel::showTokensRequested);
            connect(widget, &QuestionGroup::differenceRequested, this, &AskPanel::differenceRequested);
            connect(widget, &QuestionGroup::cancelRequested, this, &AskPanel::cancelRequested);
            connect(widget, &QuestionGroup::retryRequested, this, &AskPanel::retryRequested);
            connect(widget, &QuestionGroup::removeRequested, this, &AskPanel::removeRequested);
            m_list->insertWidget(m_list->count() - 1, widget);
            m_widgets.push_back(widget);
            widget->setGroup(m_groups[i], m_shown);
            if (m_hasTheme)
                dresser::dress(widget, m_theme);
            m_stickToEnd = true;
        } else {
            // While words stream into one answer the others are left alone.
            auto* widget = m_widgets[i];
            const bool showsIt = m_groups[i].find(m_shown) || m_groups[i].find(m_shownBefore);
            if (looksTheSame(widget->group().asks, m_groups[i].asks) &&
                !(showsIt && m_shown != m_shownBefore))
                continue;
            widget->setGroup(m_groups[i], m_shown);
            if (m_hasTheme) // icons of marks that came with this state
                dresser::dress(widget, m_theme);
        }
    }
    m_shownBefore = m_shown;
    m_empty->setVisible(m_groups.empty());
    m_empty->setText(m_form->video().isEmpty() ? tr("Attach a video or choose a clip, then ask about it.")
                                               : tr("No questions about this video yet."));
    m_export->setEnabled(m_shown != 0);
}

QuestionGroup* AskPanel::groupOf(JobId id) const {
    for (std::size_t i = 0; i < m_groups.size(); ++i)
        if (m_groups[i].find(id))
            return m_widgets[i];
    return nullptr;
}

void AskPanel::showHeading() {
    const auto* model = m_form->model();
    if (!model) {
        m_heading->setFullText(tr("no model that answers questions was found"));
        return;
    }
    const AskRequest request = m_form->request();
    m_heading->setFullText(QStringLiteral("%1, %2").arg(
        QString::fromStdString(model->defaults.label.empty() ? model->id : model->defaults.label),
        settingsWords(request.tokens)));
}

void AskPanel::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
}

} // namespace canopy::ui
