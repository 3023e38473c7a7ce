#include "ui/panels/pair_pane.h"

#include <algorithm>
#include <cmath>

#include <QFileInfo>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLocale>
#include <QMenu>
#include <QPushButton>
#include <QSignalBlocker>
#include <QToolButton>
#include <QVBoxLayout>

#include "core/job/settings_comparison.h"
#include "ui/compare/metric_strips.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/fields.h"
#include "ui/theme/icons.h"
#include "ui/viewer/video_view.h"

namespace canopy::ui {
namespace {

const QString kChooseFile = QStringLiteral("canopy:choose");

QString label(const Clip& clip) {
    const auto& r = clip.request;
    const QString what = isAccelerated(r) ? PairPane::tr("Accelerated") : PairPane::tr("Dense");
    return PairPane::tr("%1, seed %2: %3")
        .arg(what)
        .arg(r.seed)
        .arg(QString::fromStdString(r.prompt).simplified().left(60));
}

} // namespace

PairPane::PairPane(QWidget* parent)
    : QWidget(parent)
    , m_player(new PairPlayer(this))
    , m_keys(m_player->playback()) {
    setObjectName(QStringLiteral("pairPane"));
    setAccessibleName(tr("Comparison of two clips"));
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    m_view = new PairView;
    m_strips = new MetricStrips;
    layout->addWidget(buildHeader());
    layout->addWidget(m_view, 1);
    layout->addWidget(buildTransport());
    layout->addWidget(m_strips);
    for (auto* view : {&m_view->viewA(), &m_view->viewB()}) {
        view->installEventFilter(this);
        view->setContextMenuPolicy(Qt::CustomContextMenu);
        connect(view, &QWidget::customContextMenuRequested, this,
                [this, view](const QPoint& at) { showMenu(view->mapToGlobal(at)); });
    }
    auto& playback = m_player->playback();
    connect(m_player, &PairPlayer::shown, this, [this] {
        m_view->setImages(m_player->image(PairSide::A), m_player->image(PairSide::B));
        showFrame();
    });
    connect(m_player, &PairPlayer::changed, this, [this] {
        if (m_player->shownFrame() < 0 && (!m_player->problem().isEmpty() || file(PairSide::A).isEmpty()))
            m_view->setImages({}, {});
        m_worstShown = -1;
        showState();
    });
    connect(&playback, &Playback::frameChanged, this, &PairPane::showFrame);
    connect(&playback, &Playback::stateChanged, this, &PairPane::showState);
    connect(m_strips, &MetricStrips::seekRequested, this, [this](int frame) {
        m_player->playback().pause();
        m_player->playback().seek(frame);
    });
    connect(m_strips, &MetricStrips::hovered, this, &PairPane::hovered);
    connect(m_strips, &MetricStrips::keyPressed, this, [this](int key) {
        if (!letterKey(key, Qt::NoModifier))
            m_keys.take(key, Qt::NoModifier, true);
    });
    connect(m_view, &PairView::zoomChanged, this, &PairPane::showState);
    setMode(PairMode::Wipe);
    showState();
}

QWidget* PairPane::buildHeader() {
    auto* header = new QWidget;
    header->setObjectName(QStringLiteral("pairHeader"));
    header->setProperty("pane", "header");
    header->setAttribute(Qt::WA_StyledBackground);
    dresser::setFixedHeight(header, 44);
    auto* row = new QHBoxLayout(header);
    dresser::setMargins(row, 12, 0, 10, 0, 8);
    for (const PairSide side : {PairSide::A, PairSide::B}) {
        const bool isA = side == PairSide::A;
        auto* field = new ComboField;
        field->setObjectName(isA ? QStringLiteral("clipA") : QStringLiteral("clipB"));
        field->setAccessibleName(isA ? tr("Clip A, the reference") : tr("Clip B"));
        field->setToolTip(field->accessibleName());
        field->setMinimumContentsLength(5);
        field->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
        connect(field, &QComboBox::activated, this, [this, side, field](int index) {
            const QString file = field->itemData(index).toString();
            fillField(side); // what is shown follows what is opened
            if (file == kChooseFile)
                Q_EMIT fileWanted(side);
            else
                Q_EMIT clipChosen(side, file);
        });
        m_fields[std::size_t(side)] = field;
        row->addWidget(textLabel(isA ? QStringLiteral("A") : QStringLiteral("B"), "strong"));
        row->addWidget(field, 1);
        if (isA) {
            auto* swap = iconButton(QStringLiteral("arrow-left-right"), tr("Swap A and B (S)"),
                                    QStringLiteral("swapClips"));
            connect(swap, &QToolButton::clicked, this, &PairPane::swapRequested);
            row->addWidget(swap);
        }
    }
    row->addSpacing(8);
    auto* modes = new QHBoxLayout;
    modes->setSpacing(0);
    const std::tuple<QString, const char*, const char*, QString> names[] = {
        {tr("Wipe"), "modeWipe", "left", tr("A left of a line, B right of it (W)")},
        {tr("Side by side"), "modeSide", "middle", tr("Both whole, beside each other")},
        {tr("Blink"), "modeBlink", "middle", tr("A and B in turns; X changes by hand")},
        {tr("Difference ×8"), "modeDifference", "right", tr("Where they differ, eight times amplified (0)")}};
    for (std::size_t i = 0; i < m_modes.size(); ++i) {
        const auto& [text, objectName, segment, help] = names[i];
        auto* button = new QPushButton(text);
        button->setObjectName(QLatin1String(objectName));
        button->setProperty("segment", QLatin1String(segment));
        button->setAccessibleName(text);
        button->setToolTip(help + tr("; M takes the next way"));
        button->setCheckable(true);
        connect(button, &QPushButton::clicked, this, [this, i] { setMode(PairMode(i)); });
        modes->addWidget(button);
        m_modes[i] = button;
    }
    row->addLayout(modes);
    m_zoom = iconButton(QStringLiteral("arrows-fullscreen"), tr("Zoom"), QStringLiteral("pairZoom"));
    m_zoom->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    m_zoom->setPopupMode(QToolButton::InstantPopup);
    dresser::setMinimumWidth(m_zoom, 76);
    auto* menu = new QMenu(m_zoom);
    menu->addAction(tr("Fit"), this, [this] { m_view->viewA().setFit(); });
    for (const int percent : {50, 100, 200, 400})
        menu->addAction(tr("%1 %").arg(percent), this,
                        [this, percent] { m_view->viewA().setZoom(percent / 100.0); });
    m_zoom->setMenu(menu);
    row->addWidget(m_zoom);
    return header;
}

QWidget* PairPane::buildTransport() {
    auto* bar = new QWidget;
    bar->setObjectName(QStringLiteral("pairTransport"));
    bar->setAccessibleName(tr("Transport"));
    bar->setProperty("pane", "transport");
    bar->setAttribute(Qt::WA_StyledBackground);
    dresser::setFixedHeight(bar, 48);
    auto* row = new QHBoxLayout(bar);
    dresser::setMargins(row, 12, 0, 12, 0, 8);
    auto& playback = m_player->playback();
    const auto add = [&](const char* icon, const QString& name, const char* objectName, auto action) {
        auto* button = iconButton(QLatin1String(icon), name, QLatin1String(objectName));
        connect(button, &QToolButton::clicked, this, action);
        row->addWidget(button);
        m_buttons.push_back(button);
        return button;
    };
    add("skip-start-fill", tr("First frame (Home)"), "pairStart", [&playback] { playback.seek(0); });
    add("chevron-left", tr("Frame back (Left)"), "pairBack", [&playback] { playback.stepBy(-1); });
    m_play = add("play-fill", tr("Play (Space)"), "pairPlay", [&playback] { playback.toggle(); });
    m_play->setProperty("kind", QVariant());
    dresser::setFixedWidth(m_play, 40);
    add("chevron-right", tr("Frame on (Right)"), "pairForward", [&playback] { playback.stepBy(1); });
    add("skip-end-fill", tr("Last frame (End)"), "pairEnd",
        [&playback] { playback.seek(playback.frames() - 1); });
    m_time = textLabel({}, "timecode", QStringLiteral("pairTime"));
    m_total = textLabel({}, "figure2", QStringLiteral("pairDuration"));
    m_number = textLabel({}, "figure2", QStringLiteral("pairFrame"));
    m_rank = textLabel({}, "label", QStringLiteral("worstRank"));
    dresser::setReservedText(m_time, QStringLiteral("00:00.00"));
    dresser::setReservedText(m_total, QStringLiteral("/ 00:00.00"));
    dresser::setReservedText(m_number, QStringLiteral("frame 00000"));
    row->addSpacing(8);
    row->addWidget(m_time);
    row->addWidget(m_total);
    row->addWidget(m_number);
    row->addStretch(1);
    row->addWidget(m_rank);
    m_worst = new QPushButton(tr("Next worst frame"));
    m_worst->setObjectName(QStringLiteral("nextWorst"));
    m_worst->setAccessibleName(m_worst->text());
    m_worst->setToolTip(tr("The frame with the lowest PSNR, then the next one (N)"));
    connect(m_worst, &QPushButton::clicked, this, &PairPane::goToNextWorst);
    row->addWidget(m_worst);
    return bar;
}

void PairPane::setClips(const std::vector<Clip>& clips) {
    m_offers.clear();
    for (const auto& clip : clips)
        m_offers.push_back({QString::fromStdString(clip.file.string()), label(clip)});
    for (const PairSide side : {PairSide::A, PairSide::B})
        fillField(side);
}

void PairPane::fillField(PairSide side) {
    auto* field = m_fields[std::size_t(side)];
    const QSignalBlocker blocker(field);
    field->clear();
    const QString chosen = m_player->file(side);
    const auto add = [&](const QString& text, const QString& file) {
        field->addItem(text, file);
        field->setItemData(field->count() - 1, file == kChooseFile ? QString() : file, Qt::ToolTipRole);
    };
    bool known = chosen.isEmpty();
    for (const auto& offer : m_offers) {
        add(offer.label, offer.file);
        known = known || offer.file == chosen;
    }
    if (!known)
        m_extra[std::size_t(side)] = chosen;
    for (const QString& file : m_extra)
        if (!file.isEmpty() && field->findData(file) < 0)
            add(QFileInfo(file).fileName(), file);
    add(tr("Open a file…"), kChooseFile);
    field->setCurrentIndex(chosen.isEmpty() ? -1 : field->findData(chosen));
    field->setPlaceholderText(tr("Choose a clip"));
}

void PairPane::setFile(PairSide side, const QString& file) {
    m_player->open(side, file);
    fillField(side);
}

void PairPane::setNames(const QString& a, const QString& b) {
    m_view->layer().setNames(a, b);
}

void PairPane::setMode(PairMode mode) {
    for (std::size_t i = 0; i < m_modes.size(); ++i)
        m_modes[i]->setChecked(i == std::size_t(mode));
    m_view->setMode(mode);
}

void PairPane::nextMode() {
    setMode(PairMode((int(m_view->mode()) + 1) % int(m_modes.size())));
}

void PairPane::setHint(const QString& text) {
    m_view->setHint(text);
}

void PairPane::setFigures(std::shared_ptr<const media::FileComparison> figures, const QString& words) {
    m_strips->setFigures(std::move(figures), words);
    m_worstShown = -1;
    showState();
}

void PairPane::goToNextWorst() {
    const auto worst = m_strips->worstFrames();
    if (worst.empty())
        return;
    m_worstShown = (m_worstShown + 1) % int(worst.size());
    m_player->playback().pause();
    m_player->playback().seek(worst[std::size_t(m_worstShown)]);
    showFrame();
}

void PairPane::setCompact(bool compact) {
    for (QWidget* widget : std::initializer_list<QWidget*>{m_total, m_number, m_rank, m_zoom})
        widget->setVisible(!compact);
}

QWidget* PairPane::keyTarget() const {
    return m_view->keyTarget();
}

void PairPane::showFrame() {
    auto& playback = m_player->playback();
    const int frame = playback.frame();
    m_time->setText(timecode(frame, playback.fps()));
    m_number->setText(playback.frames() > 0 ? tr("frame %1").arg(frame) : QString());
    m_strips->setFrame(frame);
    const auto worst = m_strips->worstFrames();
    const bool at = m_worstShown >= 0 && std::size_t(m_worstShown) < worst.size() &&
                    worst[std::size_t(m_worstShown)] == frame;
    m_rank->setText(!at                 ? QString()
                    : m_worstShown == 0 ? tr("Worst frame of %1").arg(playback.frames())
                                        : tr("Worst but %1 of %2").arg(m_worstShown).arg(playback.frames()));
}

void PairPane::showState() {
    auto& playback = m_player->playback();
    const bool has = playback.frames() > 0;
    for (auto* button : m_buttons)
        button->setEnabled(has);
    for (auto* button : m_modes)
        button->setEnabled(m_player->isPair());
    m_zoom->setEnabled(has);
    m_zoom->setText(m_view->viewA().image().isNull()
                        ? QString()
                        : tr(" %1 %").arg(int(std::lround(m_view->viewA().zoom() * 100))));
    m_worst->setEnabled(!m_strips->worstFrames().empty());
    m_total->setText(QStringLiteral("/ ") + timecode(playback.frames(), playback.fps()));
    const bool playing = playback.isPlaying();
    const QString icon = playing ? QStringLiteral("pause-fill") : QStringLiteral("play-fill");
    m_play->setToolTip(playing ? tr("Pause (Space)") : tr("Play (Space)"));
    m_play->setAccessibleName(m_play->toolTip());
    dresser::setIcon(m_play, icon);
    if (m_hasTheme)
        m_play->setIcon(tintedIcon(icon, m_theme));
    showFrame();
}

bool PairPane::letterKey(int key, Qt::KeyboardModifiers modifiers) {
    if (modifiers != Qt::NoModifier && modifiers != Qt::KeypadModifier)
        return false;
    auto& layer = m_view->layer();
    switch (key) {
    case Qt::Key_W:
        setMode(PairMode::Wipe);
        return true;
    case Qt::Key_M:
        nextMode();
        return true;
    case Qt::Key_S:
        Q_EMIT swapRequested();
        return true;
    case Qt::Key_0:
        setMode(m_view->mode() == PairMode::Difference ? PairMode::Wipe : PairMode::Difference);
        return true;
    case Qt::Key_N:
        goToNextWorst();
        return true;
    case Qt::Key_X:
        if (m_view->mode() != PairMode::Blink)
            setMode(PairMode::Blink);
        m_view->blink();
        return true;
    case Qt::Key_BracketLeft:
        layer.setWipe(layer.wipe() - 0.02);
        return true;
    case Qt::Key_BracketRight:
        layer.setWipe(layer.wipe() + 0.02);
        return true;
    default:
        return false;
    }
}

void PairPane::showMenu(const QPoint& at) {
    QMenu menu(this);
    for (std::size_t i = 0; i < m_modes.size(); ++i) {
        auto* action = menu.addAction(m_modes[i]->text(), this, [this, i] { setMode(PairMode(i)); });
        action->setCheckable(true);
        action->setChecked(m_modes[i]->isChecked());
        action->setEnabled(m_modes[i]->isEnabled());
    }
    menu.addSeparator();
    menu.addAction(tr("Swap A and B"), this, &PairPane::swapRequested);
    menu.addAction(tr("Next worst frame"), this, &PairPane::goToNextWorst)->setEnabled(m_worst->isEnabled());
    menu.exec(at);
}

void PairPane::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    showState();
}

bool PairPane::eventFilter(QObject* watched, QEvent* event) {
    if (event->type() == QEvent::KeyPress || event->type() == QEvent::KeyRelease) {
        auto* key = static_cast<QKeyEvent*>(event);
        const bool pressed = event->type() == QEvent::KeyPress;
        const bool repeats = (key->key() >= Qt::Key_Left && key->key() <= Qt::Key_Down) ||
                             key->key() == Qt::Key_BracketLeft || key->key() == Qt::Key_BracketRight;
        if (key->isAutoRepeat() && !repeats)
            return true;
        if (pressed && letterKey(key->key(), key->modifiers()))
            return true;
        if (m_keys.take(key->key(), key->modifiers(), pressed))
            return true;
    }
    if (event->type() == QEvent::FocusOut)
        m_keys.forgetHeld();
    return QWidget::eventFilter(watched, event);
}

} // namespace canopy::ui
