#include "ui/panels/library_panel.h"

#include <QAction>
#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QListView>
#include <QMenu>
#include <QPainter>
#include <QTimer>
#include <QToolButton>
#include <QVBoxLayout>

#include "ui/panels/pane_parts.h"
#include "ui/theme/icons.h"

namespace canopy::ui {

QSize ClipDelegate::sizeHint(const QStyleOptionViewItem&, const QModelIndex&) const {
    return m_cell;
}

void ClipDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option,
                         const QModelIndex& index) const {
    painter->save();
    const int gap = m_theme.px(8);
    const int textHeight = m_theme.px(20);
    const QRect cell(option.rect.topLeft() + QPoint(gap, 0), m_cell - QSize(gap, gap));
    const QRect picture(cell.left(), cell.top(), cell.width(), cell.height() - textHeight);
    painter->fillRect(option.rect, m_theme.colour(Role::Panel));
    painter->fillRect(picture, m_theme.colour(Role::Surround));
    const QImage image = index.data(ClipListModel::ThumbnailRole).value<QImage>();
    if (!image.isNull()) {
        painter->setRenderHint(QPainter::SmoothPixmapTransform);
        QSizeF size = image.size();
        size.scale(picture.size(), Qt::KeepAspectRatioByExpanding);
        const double w = picture.width() * image.width() / size.width();
        const double h = picture.height() * image.height() / size.height();
        painter->drawImage(QRectF(picture), image,
                           QRectF((image.width() - w) / 2, (image.height() - h) / 2, w, h));
    }
    const bool selected = option.state & QStyle::State_Selected;
    if (selected || (option.state & QStyle::State_HasFocus)) {
        painter->setPen(QPen(m_theme.colour(Role::Accent), 2));
        painter->drawRect(picture.adjusted(1, 1, -1, -1));
    } else if (option.state & QStyle::State_MouseOver) {
        painter->setPen(QPen(m_theme.colour(Role::Outline), 1));
        painter->drawRect(picture.adjusted(0, 0, -1, -1));
    }
    const QRect line(cell.left(), picture.bottom() + m_theme.px(3), cell.width(), textHeight - m_theme.px(3));
    const QFont mono = m_theme.monoFont(TextStyle::Caption);
    const QString seconds = index.data(ClipListModel::SecondsRole).toString();
    painter->setFont(mono);
    painter->setPen(m_theme.colour(Role::Text2));
    painter->drawText(line, Qt::AlignRight | Qt::AlignVCenter, seconds);
    int end = line.right() - QFontMetrics(mono).horizontalAdvance(seconds) - m_theme.px(6);
    if (index.data(ClipListModel::StarredRole).toBool()) {
        const int size = m_theme.px(11);
        painter->drawPixmap(end - size, line.center().y() - size / 2,
                            tintedPixmap(QStringLiteral("star-fill"), m_theme.colour(Role::Warning), size,
                                         painter->device()->devicePixelRatioF()));
        end -= size + m_theme.px(4);
    }
    const QFont caption = m_theme.font(TextStyle::Caption);
    painter->setFont(caption);
    painter->setPen(m_theme.colour(Role::Text));
    painter->drawText(QRect(line.left(), line.top(), end - line.left(), line.height()),
                      Qt::AlignVCenter | Qt::TextSingleLine,
                      QFontMetrics(caption).elidedText(index.data(ClipListModel::TitleRole).toString(),
                                                       Qt::ElideRight, end - line.left()));
    painter->restore();
}

LibraryPanel::LibraryPanel(QWidget* parent)
    : QWidget(parent)
    , m_model(new ClipListModel(this))
    , m_delegate(new ClipDelegate(this))
    , m_list(new QListView)
    , m_search(new QLineEdit)
    , m_searchTimer(new QTimer(this)) {
    setObjectName(QStringLiteral("libraryPanel"));
    setAccessibleName(tr("Library"));
    setProperty("pane", "dock");
    setAttribute(Qt::WA_StyledBackground);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    m_count = textLabel({}, "figure2", QStringLiteral("clipCount"));
    layout->addWidget(rule());
    layout->addWidget(paneHeader(tr("Library"), {m_count}, QStringLiteral("libraryHeader")));

    auto* row = new QHBoxLayout;
    dresser::setMargins(row, 12, 12, 12, 4, 6);
    m_search->setObjectName(QStringLiteral("librarySearch"));
    m_search->setAccessibleName(tr("Search prompts"));
    m_search->setPlaceholderText(tr("Search prompts"));
    m_search->setClearButtonEnabled(true);
    auto* glass = new QAction(m_search);
    dresser::setIcon(glass, QStringLiteral("search"));
    m_search->addAction(glass, QLineEdit::LeadingPosition);
    m_starred =
        iconButton(QStringLiteral("star"), tr("Starred clips only"), QStringLiteral("starredOnly"), false);
    m_starred->setCheckable(true);
    row->addWidget(m_search, 1);
    m_ask =
        iconButton(QStringLiteral("chat"), tr("Ask about this clip"), QStringLiteral("askAboutClip"), false);
    m_ask->setEnabled(false);
    row->addWidget(m_starred);
    row->addWidget(m_ask);
    layout->addLayout(row);

    m_empty = textLabel(tr("No clips yet."), "hint", QStringLiteral("libraryEmpty"));
    m_empty->setContentsMargins(12, 8, 12, 0);
    layout->addWidget(m_empty);
    m_list->setObjectName(QStringLiteral("clipList"));
    m_list->setAccessibleName(tr("Clips"));
    m_list->setModel(m_model);
    m_list->setItemDelegate(m_delegate);
    m_list->setViewMode(QListView::IconMode);
    m_list->setMovement(QListView::Static);
    m_list->setResizeMode(QListView::Adjust);
    m_list->setUniformItemSizes(true);
    m_list->setMouseTracking(true);
    m_list->setDragEnabled(true);
    m_list->setDragDropMode(QAbstractItemView::DragOnly);
    m_list->setSelectionMode(QAbstractItemView::SingleSelection);
    m_list->setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
    m_list->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_list->setContextMenuPolicy(Qt::CustomContextMenu);
    m_list->viewport()->installEventFilter(this);
    auto* listRow = new QHBoxLayout;
    dresser::setMargins(listRow, 4, 4, 0, 4, 0); // each cell begins with its gap of 8
    listRow->addWidget(m_list);
    layout->addLayout(listRow, 1);

    // The query runs elsewhere; a short wait spares one for every key.
    m_searchTimer->setSingleShot(true);
    m_searchTimer->setInterval(150);
    connect(m_search, &QLineEdit::textChanged, m_searchTimer, qOverload<>(&QTimer::start));
    connect(m_searchTimer, &QTimer::timeout, this,
            [this] { Q_EMIT searchChanged(m_search->text(), m_starred->isChecked()); });
    connect(m_starred, &QToolButton::toggled, this,
            [this] { Q_EMIT searchChanged(m_search->text(), m_starred->isChecked()); });
    const auto choose = [this](const QModelIndex& index) {
        if (index.isValid())
            Q_EMIT clipChosen(index.data(ClipListModel::FileRole).toString());
    };
    connect(m_ask, &QToolButton::clicked, this,
            [this] { Q_EMIT askRequested(m_list->currentIndex().data(ClipListModel::FileRole).toString()); });
    connect(m_list->selectionModel(), &QItemSelectionModel::selectionChanged, this,
            [this] { m_ask->setEnabled(m_list->selectionModel()->hasSelection()); });
    connect(m_list, &QListView::clicked, this, choose);
    connect(m_list, &QListView::activated, this, choose);
    connect(m_list, &QListView::customContextMenuRequested, this, &LibraryPanel::showMenu);
    setClips({});
}

void LibraryPanel::setClips(const std::vector<Clip>& clips) {
    const QString current = m_list->currentIndex().data(ClipListModel::FileRole).toString();
    m_model->setClips(clips);
    if (!current.isEmpty())
        selectFile(current);
    const bool searching = !m_search->text().isEmpty() || m_starred->isChecked();
    m_count->setText(clips.empty()       ? QString()
                     : clips.size() == 1 ? tr("1 clip")
                                         : tr("%1 clips").arg(clips.size()));
    m_empty->setText(searching ? tr("No clip matches.") : tr("No clips yet."));
    m_empty->setVisible(clips.empty());
}

void LibraryPanel::selectFile(const QString& file) {
    const int row = m_model->rowOf(file);
    if (row < 0)
        m_list->clearSelection();
    else
        m_list->setCurrentIndex(m_model->index(row));
}

QWidget* LibraryPanel::focusTarget() const {
    return m_list;
}

void LibraryPanel::fitCells() {
    // The right margin of 12 holds the scroll bar, whether it shows or not, so that cells never change with
    // it.
    const int available = m_list->width() - m_theme.px(12);
    const int columns = std::max(1, available / m_theme.px(110));
    const int cellWidth = available / columns;
    const int pictureHeight = (cellWidth - m_theme.px(8)) * 3 / 5;
    const QSize cell(cellWidth, pictureHeight + m_theme.px(28));
    if (m_list->gridSize() == cell)
        return;
    m_delegate->setCell(cell);
    m_list->setGridSize(cell);
}

void LibraryPanel::setTheme(const Theme& theme) {
    m_theme = theme;
    m_delegate->setTheme(theme);
    fitCells();
    m_list->viewport()->update();
}

bool LibraryPanel::eventFilter(QObject* watched, QEvent* event) {
    if (watched == m_list->viewport() && event->type() == QEvent::Resize)
        fitCells();
    return QWidget::eventFilter(watched, event);
}

void LibraryPanel::showMenu(const QPoint& at) {
    const QModelIndex index = m_list->indexAt(at);
    if (!index.isValid())
        return;
    const QString file = index.data(ClipListModel::FileRole).toString();
    const auto id = std::int64_t(index.data(ClipListModel::IdRole).toLongLong());
    const bool starred = index.data(ClipListModel::StarredRole).toBool();
    QMenu menu(this);
    menu.addAction(tr("Open in viewer"), this, [this, file] { Q_EMIT clipChosen(file); });
    menu.addAction(tr("Ask about this clip"), this, [this, file] { Q_EMIT askRequested(file); });
    menu.addAction(tr("Compare with its dense twin"), this, [this, file] { Q_EMIT compareRequested(file); });
    menu.addAction(tr("Reload settings"), this, [this, file] { Q_EMIT reloadRequested(file); });
    menu.addAction(starred ? tr("Remove the star") : tr("Star"), this,
                   [this, id, starred] { Q_EMIT starRequested(id, !starred); });
    menu.addAction(tr("Show in folder"), this, [this, file] { Q_EMIT folderRequested(file); });
    menu.addSeparator();
    menu.addAction(tr("Take out of the library"), this, [this, id] { Q_EMIT forgetRequested(id); })
        ->setToolTip(tr("The file stays."));
    menu.exec(m_list->viewport()->mapToGlobal(at));
}

} // namespace canopy::ui
