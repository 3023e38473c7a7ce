#include "ui/panels/queue_panel.h"

#include <algorithm>

#include <QClipboard>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QLabel>
#include <QListView>
#include <QMenu>
#include <QMouseEvent>
#include <QPainter>
#include <QPushButton>
#include <QVBoxLayout>

#include "core/base/value_codec.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/icons.h"

namespace canopy::ui {
namespace {

bool isBad(JobState state) {
    return state == JobState::Failed || state == JobState::Interrupted || state == JobState::Quarantined;
}

} // namespace

QSize JobDelegate::sizeHint(const QStyleOptionViewItem&, const QModelIndex&) const {
    return {m_theme.px(200), m_theme.metric(QStringLiteral("size.jobRow"))};
}

QRect JobDelegate::linkRect(const QRect& row) const {
    const int width =
        QFontMetrics(m_theme.font(TextStyle::Label)).horizontalAdvance(tr("Retry")) + m_theme.px(4);
    return {row.right() - m_theme.px(12) - width, row.top() + m_theme.px(24), width, m_theme.px(24)};
}

void JobDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option,
                        const QModelIndex& index) const {
    painter->save();
    const QRect row = option.rect;
    const bool selected = option.state & QStyle::State_Selected;
    const bool hovered = option.state & QStyle::State_MouseOver;
    const auto state = JobState(index.data(JobListModel::StateRole).toInt());
    const bool bad = isBad(state);
    const double progress = index.data(JobListModel::ProgressRole).toDouble();
    const auto colour = [&](Role role) {
        // On the high-contrast selection every text takes the selection's own colour.
        return selected && m_theme.isHighContrast() ? m_theme.colour(Role::SelectionText)
                                                    : m_theme.colour(role);
    };
    painter->fillRect(row, m_theme.colour(selected ? Role::Selection : hovered ? Role::Hover : Role::Panel));
    painter->setPen(m_theme.colour(Role::Line));
    painter->drawLine(row.bottomLeft(), row.bottomRight());

    const int margin = m_theme.px(12);
    const QRect thumb(row.left() + margin, row.top() + m_theme.px(8), m_theme.px(64), m_theme.px(36));
    const QImage image = index.data(JobListModel::ThumbnailRole).value<QImage>();
    painter->fillRect(thumb, m_theme.colour(Role::Surround));
    if (!image.isNull()) {
        painter->setRenderHint(QPainter::SmoothPixmapTransform);
        QSizeF size = image.size();
        size.scale(thumb.size(), Qt::KeepAspectRatioByExpanding);
        const QRectF source((size.width() - thumb.width()) / 2 * image.width() / size.width(),
                            (size.height() - thumb.height()) / 2 * image.height() / size.height(),
                            thumb.width() * image.width() / size.width(),
                            thumb.height() * image.height() / size.height());
        painter->setOpacity(state == JobState::Cancelled || bad ? 0.5 : 1.0);
        painter->drawImage(QRectF(thumb), image, source);
        painter->setOpacity(1);
    }

    const int left = thumb.right() + m_theme.px(10);
    const int right = row.right() - margin;
    const bool active = progress >= 0;
    QFont titleFont = m_theme.font(active ? TextStyle::BodyStrong : TextStyle::Body);
    titleFont.setPixelSize(m_theme.px(12.5));
    painter->setFont(titleFont);
    painter->setPen(colour(Role::Text));
    const QRect titleRect(left, row.top() + m_theme.px(7), right - left, m_theme.px(18));
    painter->drawText(titleRect, Qt::AlignVCenter | Qt::TextSingleLine,
                      QFontMetrics(titleFont).elidedText(index.data(JobListModel::TitleRole).toString(),
                                                         Qt::ElideRight, titleRect.width()));

    const QRect second(left, row.top() + m_theme.px(24), right - left, m_theme.px(18));
    const QFont label = m_theme.font(TextStyle::Label);
    const QFont mono = m_theme.monoFont(TextStyle::Caption);
    int end = second.right();
    if (index.data(JobListModel::CanRetryRole).toBool() && bad) {
        const QRect link = linkRect(row);
        QFont linkFont = label;
        linkFont.setUnderline(true);
        painter->setFont(linkFont);
        painter->setPen(colour(Role::Text));
        painter->drawText(QRect(link.left(), second.top(), link.width(), second.height()),
                          Qt::AlignVCenter | Qt::AlignRight, tr("Retry"));
        end = link.left() - m_theme.px(6);
    } else {
        painter->setFont(mono);
        const QString time = index.data(JobListModel::TimeRole).toString();
        if (!time.isEmpty()) {
            painter->setPen(colour(selected ? Role::Text2 : Role::Text3));
            painter->drawText(second, Qt::AlignVCenter | Qt::AlignRight, time);
            // Room for "00:00" from the start: the percentage never moves.
            end -= QFontMetrics(mono).horizontalAdvance(
                       QStringLiteral("0:00:").left(std::max<qsizetype>(4, time.size()))) +
                   m_theme.px(6);
        }
        const QString percent = index.data(JobListModel::PercentRole).toString();
        if (!percent.isEmpty()) {
            QFont strong = mono;
            strong.setWeight(QFont::DemiBold);
            painter->setFont(strong);
            painter->setPen(colour(Role::Text));
            painter->drawText(QRect(second.left(), second.top(), end - second.left(), second.height()),
                              Qt::AlignVCenter | Qt::AlignRight, percent);
            end -= QFontMetrics(strong).horizontalAdvance(QStringLiteral("100 %")) + m_theme.px(6);
        }
    }
    int start = second.left();
    if (bad) {
        const int size = m_theme.px(13);
        painter->drawPixmap(start, second.center().y() - size / 2,
                            tintedPixmap(QStringLiteral("exclamation-triangle"), colour(Role::Error), size,
                                         painter->device()->devicePixelRatioF()));
        start += size + m_theme.px(5);
    }
    painter->setFont(label);
    painter->setPen(colour(bad ? Role::Error : Role::Text2));
    painter->drawText(QRect(start, second.top(), end - start, second.height()),
                      Qt::AlignVCenter | Qt::TextSingleLine,
                      QFontMetrics(label).elidedText(index.data(JobListModel::WordsRole).toString(),
                                                     Qt::ElideRight, end - start));

    if (active) {
        const int height = m_theme.px(4);
        const QRect track(left, row.bottom() - m_theme.px(5) - height + 1, right - left, height);
        painter->setRenderHint(QPainter::Antialiasing);
        painter->setPen(Qt::NoPen);
        painter->setBrush(m_theme.colour(m_theme.isHighContrast() ? Role::Window : Role::Line));
        painter->drawRoundedRect(track, height / 2.0, height / 2.0);
        painter->setBrush(selected && m_theme.isHighContrast() ? m_theme.colour(Role::SelectionText)
                                                               : m_theme.colour(Role::Accent));
        painter->drawRoundedRect(
            QRectF(track.left(), track.top(), track.width() * std::clamp(progress, 0.0, 1.0), height),
            height / 2.0, height / 2.0);
    }
    if (option.state & QStyle::State_HasFocus) {
        painter->setRenderHint(QPainter::Antialiasing, false);
        painter->setBrush(Qt::NoBrush);
        painter->setPen(QPen(
            m_theme.colour(selected && m_theme.isHighContrast() ? Role::FocusOnAccent : Role::Focus), 2));
        painter->drawRect(row.adjusted(1, 1, -1, -2));
    }
    painter->restore();
}

bool JobDelegate::editorEvent(QEvent* event, QAbstractItemModel* model, const QStyleOptionViewItem& option,
                              const QModelIndex& index) {
    if (event->type() == QEvent::MouseButtonRelease && index.data(JobListModel::CanRetryRole).toBool() &&
        isBad(JobState(index.data(JobListModel::StateRole).toInt())) &&
        linkRect(option.rect).contains(static_cast<QMouseEvent*>(event)->position().toPoint())) {
        Q_EMIT linkClicked(index);
        return true;
    }
    return QStyledItemDelegate::editorEvent(event, model, option, index);
}

QueuePanel::QueuePanel(QWidget* parent)
    : QWidget(parent)
    , m_model(new JobListModel(this))
    , m_delegate(new JobDelegate(this))
    , m_list(new QListView) {
    setObjectName(QStringLiteral("queuePanel"));
    setAccessibleName(tr("Queue"));
    setProperty("pane", "dock");
    setAttribute(Qt::WA_StyledBackground);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    m_done = textLabel({}, "label", QStringLiteral("queueDoneIn"));
    m_done->setTextFormat(Qt::RichText);
    layout->addWidget(paneHeader(tr("Queue"), {m_done}, QStringLiteral("queueHeader")));

    m_list->setObjectName(QStringLiteral("jobList"));
    m_list->setAccessibleName(tr("Jobs"));
    m_list->setModel(m_model);
    m_list->setItemDelegate(m_delegate);
    m_list->setUniformItemSizes(true);
    m_list->setMouseTracking(true);
    m_list->setSelectionMode(QAbstractItemView::SingleSelection);
    m_list->setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
    m_list->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_list->setContextMenuPolicy(Qt::CustomContextMenu);
    m_empty = textLabel(tr("No jobs are waiting."), "hint", QStringLiteral("queueEmpty"));
    m_empty->setContentsMargins(12, 12, 12, 4);
    m_pausedNote = textLabel({}, "warning", QStringLiteral("queuePausedNote"));
    m_pausedNote->setWordWrap(true);
    m_pausedNote->setContentsMargins(12, 8, 12, 0);
    layout->addWidget(m_empty);
    layout->addWidget(m_list);
    layout->addWidget(m_pausedNote);
    auto* buttons = new QHBoxLayout;
    dresser::setMargins(buttons, 12, 8, 12, 12, 8);
    m_pause = new QPushButton(tr("Pause queue"));
    m_pause->setObjectName(QStringLiteral("pauseQueueButton"));
    m_pause->setAccessibleName(tr("Pause queue"));
    dresser::setIcon(m_pause, QStringLiteral("pause-fill"));
    m_clear = new QPushButton(tr("Clear done"));
    m_clear->setObjectName(QStringLiteral("clearDoneButton"));
    m_clear->setAccessibleName(tr("Clear finished jobs"));
    m_clear->setToolTip(tr("Takes finished jobs off the list. The clips stay."));
    m_clear->setProperty("kind", "plain");
    buttons->addWidget(m_pause);
    buttons->addWidget(m_clear);
    buttons->addStretch(1);
    layout->addLayout(buttons);

    connect(m_pause, &QPushButton::clicked, this, [this] { Q_EMIT pauseRequested(!m_paused); });
    connect(m_clear, &QPushButton::clicked, this, &QueuePanel::clearRequested);
    connect(m_delegate, &JobDelegate::linkClicked, this, [this](const QModelIndex& index) {
        Q_EMIT retryRequested(index.data(JobListModel::IdRole).toLongLong());
    });
    connect(m_list->selectionModel(), &QItemSelectionModel::currentChanged, this,
            [this](const QModelIndex& index) {
                if (!m_selecting && index.isValid())
                    Q_EMIT jobChosen(index.data(JobListModel::IdRole).toLongLong());
            });
    connect(m_list, &QListView::clicked, this, [this](const QModelIndex& index) {
        Q_EMIT jobChosen(index.data(JobListModel::IdRole).toLongLong());
    });
    connect(m_list, &QListView::customContextMenuRequested, this, &QueuePanel::showMenu);
    fitList();
}

void QueuePanel::setJobs(const StudioSnapshot& snapshot) {
    m_selecting = true; // rows that come and go move the current index; nobody chose that
    const int before = m_model->rowCount();
    m_model->setJobs(snapshot.jobs);
    m_selecting = false;
    if (before != m_model->rowCount())
        fitList();
    m_paused = snapshot.queuePaused;
    const QString pauseText = m_paused ? tr("Resume queue") : tr("Pause queue");
    if (m_pause->text() != pauseText) {
        m_pause->setText(pauseText);
        m_pause->setAccessibleName(pauseText);
        dresser::setIcon(m_pause, m_paused ? QStringLiteral("play-fill") : QStringLiteral("pause-fill"));
        m_pause->setIcon(
            tintedIcon(m_paused ? QStringLiteral("play-fill") : QStringLiteral("pause-fill"), m_theme));
    }
    QString note = QString::fromStdString(snapshot.pauseReason);
    if (note.isEmpty())
        note = QString::fromStdString(snapshot.otherProgram);
    m_pausedNote->setText(note);
    m_pausedNote->setVisible(!note.isEmpty());
    bool anyFinished = false, anyOpen = false;
    double remaining = 0;
    bool known = true;
    for (const auto& job : snapshot.jobs) {
        anyFinished |= isFinished(job.record.state);
        if (isFinished(job.record.state))
            continue;
        anyOpen = true;
        if (job.progress && job.progress->remainingSeconds > 0)
            remaining += job.progress->remainingSeconds;
        else
            known = false;
    }
    m_clear->setEnabled(anyFinished);
    m_pause->setEnabled(anyOpen || m_paused);
    m_done->setText(
        anyOpen && known && remaining > 0
            ? tr("all done in <span style=\"font-family:'%1'\">%2</span>")
                  .arg(m_theme.monoFont(TextStyle::Label).families().value(0), clockText(remaining))
            : QString());
}

JobId QueuePanel::selected() const {
    return m_list->currentIndex().data(JobListModel::IdRole).toLongLong();
}

void QueuePanel::select(JobId id) {
    const int row = m_model->rowOf(id);
    m_selecting = true;
    if (row < 0)
        m_list->clearSelection();
    else
        m_list->setCurrentIndex(m_model->index(row));
    m_selecting = false;
}

QWidget* QueuePanel::focusTarget() const {
    return m_list;
}

void QueuePanel::fitList() {
    const int rows = m_model->rowCount();
    const int height = m_theme.px(52);
    m_empty->setVisible(rows == 0);
    m_list->setVisible(rows > 0);
    // As many rows as there are, five at most: the library below keeps its room.
    m_list->setFixedHeight(std::clamp(rows, 1, 5) * height);
}

void QueuePanel::setTheme(const Theme& theme) {
    m_theme = theme;
    m_delegate->setTheme(theme);
    m_list->doItemsLayout();
    fitList();
}

QString QueuePanel::details(const JobRow& row) {
    const auto& record = row.record;
    QString text = QString::fromStdString(row.title) + u'\n';
    if (!record.sentence.empty())
        text += QString::fromStdString(record.sentence) + u'\n';
    const auto state = jobStateName(record.state);
    text += tr("State %1, attempt %2\n")
                .arg(QString::fromUtf8(state.data(), qsizetype(state.size())))
                .arg(record.attempt);
    return text + QString::fromStdString(toJson(toValue(record.request), 2)) + u'\n';
}

void QueuePanel::showMenu(const QPoint& at) {
    const QModelIndex index = m_list->indexAt(at);
    const JobRow* row = m_model->job(index.row());
    if (!index.isValid() || !row)
        return;
    const JobId id = row->record.id;
    const QString text = details(*row);
    QMenu menu(this);
    if (row->canCancel)
        menu.addAction(tr("Cancel"), this, [this, id] { Q_EMIT cancelRequested(id); });
    if (row->canPause)
        menu.addAction(tr("Pause"), this, [this, id] { Q_EMIT pauseJobRequested(id); });
    if (row->canResume)
        menu.addAction(tr("Go on"), this, [this, id] { Q_EMIT resumeJobRequested(id); });
    if (row->canRetry)
        menu.addAction(tr("Retry"), this, [this, id] { Q_EMIT retryRequested(id); });
    menu.addAction(row->record.question() ? tr("Ask it again") : tr("Make it again"), this,
                   [this, id] { Q_EMIT duplicateRequested(id); });
    if (row->record.clip())
        menu.addAction(tr("Reload settings"), this, [this, id] { Q_EMIT reloadRequested(id); });
    const JobRow* above = m_model->job(index.row() - 1);
    if (row->record.state == JobState::Queued && above && above->record.state == JobState::Queued) {
        const JobId before = above->record.id;
        menu.addAction(tr("Move up"), this, [this, id, before] { Q_EMIT moveUpRequested(id, before); });
    }
    menu.addAction(tr("Copy details"), this, [text] { QGuiApplication::clipboard()->setText(text); });
    if (row->canRemove) {
        menu.addSeparator();
        menu.addAction(tr("Remove from the list"), this, [this, id] { Q_EMIT removeRequested(id); });
    }
    menu.exec(m_list->viewport()->mapToGlobal(at));
}

} // namespace canopy::ui
