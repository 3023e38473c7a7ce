#include "ui/panels/viewer_panel.h"

#include <algorithm>
#include <cmath>

#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLocale>
#include <QMenu>
#include <QPushButton>
#include <QToolButton>
#include <QVBoxLayout>

#include "core/job/chunk_layout.h"
#include "ui/models/job_list_model.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/fields.h"
#include "ui/theme/icons.h"
#include "ui/viewer/video_view.h"

namespace canopy::ui {

ViewerPanel::ViewerPanel(QWidget* parent)
    : QWidget(parent)
    , m_playback(new Playback(this))
    , m_keys(*m_playback)
    , m_store(new FrameStore(std::size_t{384} << 20, this)) {
    setObjectName(QStringLiteral("viewerPanel"));
    setAccessibleName(tr("Viewer"));
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    m_view = new VideoView;
    layout->addWidget(buildHeader());
    layout->addWidget(m_view, 1);
    layout->addWidget(buildTransport());
    m_view->installEventFilter(this);

    m_card = new QFrame(m_view);
    m_card->setObjectName(QStringLiteral("viewerCard"));
    m_card->setProperty("card", "plate");
    auto* cardLayout = new QVBoxLayout(m_card);
    dresser::setMargins(cardLayout, 24, 16, 24, 16, 12);
    m_cardText = textLabel({}, "sentence", QStringLiteral("viewerCardSentence"));
    m_cardText->setWordWrap(true);
    m_cardText->setAlignment(Qt::AlignCenter);
    m_cardText->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_cardButtons = new QHBoxLayout;
    dresser::setMargins(m_cardButtons, 0, 0, 0, 0, 8);
    cardLayout->addWidget(m_cardText);
    cardLayout->addLayout(m_cardButtons);
    m_card->hide();
    m_card->installEventFilter(this);

    connect(m_playback, &Playback::frameChanged, this, &ViewerPanel::showFrame);
    connect(m_playback, &Playback::stateChanged, this, &ViewerPanel::showState);
    connect(m_view, &VideoView::zoomChanged, this, &ViewerPanel::showZoom);
    connect(m_store, &FrameStore::framesArrived, this, [this] {
        if (!m_playback->isPlaying() || m_view->image().isNull())
            showFrame();
        Q_EMIT picturesArrived();
    });
    connect(m_store, &FrameStore::opened, this, [this](const ClipFacts& facts) {
        if (facts.file != m_clipFile)
            return;
        m_clipOpen = true;
        m_pictureSize = {facts.width, facts.height};
        m_pictureFps = facts.fps;
        m_ptsNanos = facts.ptsNanos;
        m_shownFrame = -1;
        m_playback->setSource(facts.frames, facts.fps);
        if (!facts.damage.isEmpty())
            showCard(facts.damage, {}, true);
        if (m_playWhenOpen)
            m_playback->play();
        showState();
        Q_EMIT contentChanged();
    });
    connect(m_store, &FrameStore::failed, this, [this](const QString& file, const QString& sentence) {
        if (file != m_clipFile)
            return;
        m_clipError = sentence;
        showCard(sentence, {}, true);
    });
    showNothing();
}

QWidget* ViewerPanel::buildHeader() {
    auto* header = new QWidget;
    header->setObjectName(QStringLiteral("viewerHeader"));
    header->setProperty("pane", "header");
    header->setAttribute(Qt::WA_StyledBackground);
    dresser::setFixedHeight(header, 36);
    auto* layout = new QHBoxLayout(header);
    dresser::setMargins(layout, 12, 0, 10, 0, 8);
    m_title = new ElidedLabel;
    m_title->setObjectName(QStringLiteral("viewerTitle"));
    m_title->setProperty("look", "strong");
    m_title->setSizePolicy(QSizePolicy::Maximum, QSizePolicy::Preferred);
    m_words = new ElidedLabel; // a failure's sentence must not widen the window
    m_words->setObjectName(QStringLiteral("viewerWords"));
    m_words->setProperty("look", "label");
    m_format = textLabel({}, "figure2", QStringLiteral("viewerFormat"));
    m_rate = textLabel({}, "label", QStringLiteral("viewerRate"));
    m_zoomButton = iconButton(QStringLiteral("arrows-fullscreen"), tr("Zoom"), QStringLiteral("zoomButton"));
    m_zoomButton->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    m_zoomButton->setPopupMode(QToolButton::InstantPopup);
    dresser::setMinimumWidth(m_zoomButton, 76);
    auto* menu = new QMenu(m_zoomButton);
    menu->addAction(tr("Fit"), this, [this] { m_view->setFit(); });
    for (int percent : {50, 100, 200, 400})
        menu->addAction(tr("%1 %").arg(percent), this, [this, percent] { m_view->setZoom(percent / 100.0); });
    m_zoomButton->setMenu(menu);
    layout->addWidget(m_title);
    layout->addWidget(m_words, 1);
    layout->addWidget(m_format);
    layout->addWidget(m_rate);
    layout->addWidget(m_zoomButton);
    return header;
}

QWidget* ViewerPanel::buildTransport() {
    auto* bar = new QWidget;
    bar->setObjectName(QStringLiteral("transport"));
    bar->setAccessibleName(tr("Transport"));
    bar->setProperty("pane", "transport");
    bar->setAttribute(Qt::WA_StyledBackground);
    dresser::setFixedHeight(bar, 48);
    auto* layout = new QHBoxLayout(bar);
    dresser::setMargins(layout, 12, 0, 12, 0, 8);
    const auto add = [&](const char* icon, const QString& name, const char* objectName, auto action) {
        auto* button = iconButton(QLatin1String(icon), name, QLatin1String(objectName));
        connect(button, &QToolButton::clicked, this, action);
        layout->addWidget(button);
        m_transportButtons.push_back(button);
        return button;
    };
    add("skip-start-fill", tr("First frame (Home)"), "transportStart", [this] { m_playback->seek(0); });
    add("chevron-left", tr("Frame back (Left)"), "transportBack", [this] { m_playback->stepBy(-1); });
    m_play = add("play-fill", tr("Play (Space)"), "transportPlay", [this] { m_playback->toggle(); });
    m_play->setProperty("kind", QVariant());
    dresser::setFixedWidth(m_play, 40);
    add("chevron-right", tr("Frame on (Right)"), "transportForward", [this] { m_playback->stepBy(1); });
    add("skip-end-fill", tr("Last frame (End)"), "transportEnd",
        [this] { m_playback->seek(m_playback->frames() - 1); });
    m_loop = add("repeat", tr("Play again and again"), "transportLoop",
                 [this] { m_playback->setLoop(!m_playback->loops()); });
    m_time = textLabel({}, "timecode", QStringLiteral("timecode"));
    m_total = textLabel({}, "figure2", QStringLiteral("duration"));
    m_frameLabel = textLabel({}, "figure2", QStringLiteral("frameNumber"));
    dresser::setReservedText(m_time, QStringLiteral("00:00.00"));
    dresser::setReservedText(m_total, QStringLiteral("/ 00:00.00"));
    dresser::setReservedText(m_frameLabel, QStringLiteral("frame 00000"));
    layout->addSpacing(8);
    layout->addWidget(m_time);
    layout->addWidget(m_total);
    layout->addSpacing(8);
    layout->addWidget(m_frameLabel);
    layout->addStretch(1);
    m_ready = textLabel({}, "label", QStringLiteral("readyIn"));
    m_ready->setTextFormat(Qt::RichText);
    m_ready->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    m_cancel = new QPushButton(tr("Cancel"));
    m_cancel->setObjectName(QStringLiteral("cancelButton"));
    m_cancel->setAccessibleName(tr("Cancel the clip being made"));
    m_cancel->setToolTip(tr("Ctrl+Alt+Enter"));
    dresser::setIcon(m_cancel, QStringLiteral("stop"));
    connect(m_cancel, &QPushButton::clicked, this, &ViewerPanel::requestCancel);
    m_pause = new QPushButton(tr("Pause"));
    m_pause->setObjectName(QStringLiteral("pauseClipButton"));
    m_pause->setAccessibleName(tr("Pause the clip being made"));
    connect(m_pause, &QPushButton::clicked, this, [this] {
        m_pause->setEnabled(false); // until the studio says what came of it
        if (m_isPaused)
            Q_EMIT resumeRequested(m_running);
        else
            Q_EMIT pauseRequested(m_running);
    });
    layout->addWidget(m_ready);
    layout->addWidget(m_pause);
    layout->addWidget(m_cancel);
    return bar;
}

void ViewerPanel::addHeaderWidget(QWidget* widget) {
    auto* layout = static_cast<QHBoxLayout*>(m_zoomButton->parentWidget()->layout());
    layout->insertWidget(layout->indexOf(m_zoomButton), widget);
}

void ViewerPanel::addTransportWidget(QWidget* widget) {
    auto* layout = static_cast<QHBoxLayout*>(m_frameLabel->parentWidget()->layout());
    layout->insertWidget(layout->indexOf(m_frameLabel) + 1, widget);
}

double ViewerPanel::shownSeconds() const {
    return m_clipOpen && m_shownFrame >= 0 ? seconds(m_shownFrame) : -1;
}

double ViewerPanel::seconds(int frame) const {
    if (!m_ptsNanos || frame < 0 || std::size_t(frame) >= m_ptsNanos->size())
        return m_playback->fps() > 0 ? frame / m_playback->fps() : 0;
    return double((*m_ptsNanos)[std::size_t(frame)] - m_ptsNanos->front()) * 1e-9;
}

void ViewerPanel::seekSeconds(double seconds) {
    if (!m_clipOpen || !m_ptsNanos || m_ptsNanos->empty())
        return;
    // Times travel as double seconds: half a microsecond is far below any frame's length.
    const auto nanos = m_ptsNanos->front() + std::int64_t(std::llround(seconds * 1e9)) + 500;
    const auto after = std::upper_bound(m_ptsNanos->begin(), m_ptsNanos->end(), nanos);
    m_playback->pause();
    m_playback->seek(std::max(0, int(after - m_ptsNanos->begin()) - 1));
}

QWidget* ViewerPanel::keyTarget() const {
    return m_view;
}

void ViewerPanel::showNothing() {
    m_preview.reset();
    m_grown.reset();
    m_growing = false;
    leaveClip();
    m_view->setImage({});
    m_pictureSize = {};
    m_playback->setSource(0, 16);
    setHeading({}, {});
    showState();
    Q_EMIT contentChanged();
}

void ViewerPanel::leaveClip() {
    if (m_clipFile.isEmpty() && !m_clipOpen)
        return;
    m_clipFile.clear();
    m_clipOpen = false;
    m_shownFrame = -1;
    m_store->close();
}

void ViewerPanel::showGrowing(JobId job, std::shared_ptr<const GrownFrames> grown,
                              std::shared_ptr<const PreviewImage> preview, const GenerationRequest& request) {
    if ((!grown || grown == m_grown) && (!preview || preview == m_preview))
        return;
    const bool isNew = previewJob() != job || !m_growing;
    leaveClip();
    if (isNew)
        m_grown.reset(), m_preview.reset();
    if (grown)
        m_grown = std::move(grown);
    if (preview)
        m_preview = std::move(preview);
    m_growing = true;
    m_clipFrames = request.frames;
    m_pictureSize = {request.width, request.height};
    m_pictureFps = request.fps;
    const int previewed = m_preview ? std::min(request.frames, pixelFrames(m_preview->frames)) : 0;
    const int frames = std::max(m_grown ? int(m_grown->pictures.size()) : 0, previewed);
    if (isNew) {
        m_playback->setSource(frames, request.fps);
        m_playback->play();
    } else {
        m_playback->replaceFrames(frames, request.fps);
        if (!m_playback->isPlaying() && m_playback->frame() == 0 && frames > 1 && m_view->image().isNull())
            m_playback->play();
    }
    showFrame();
    showState();
    if (isNew)
        Q_EMIT contentChanged();
    Q_EMIT picturesArrived();
}

void ViewerPanel::showPreview(std::shared_ptr<const PreviewImage> preview, const GenerationRequest& request) {
    if (!preview || preview->frames < 1 || preview == m_preview)
        return;
    const bool isNew = !m_preview || m_preview->job != preview->job;
    const double seconds = request.fps > 0 ? double(request.frames) / request.fps : 1;
    const double fps = preview->frames / std::max(0.05, seconds);
    leaveClip();
    m_grown.reset();
    m_growing = false;
    m_clipFrames = request.frames;
    m_preview = std::move(preview);
    m_pictureSize = {request.width, request.height};
    m_pictureFps = request.fps;
    if (isNew) {
        m_playback->setSource(m_preview->frames, fps);
        m_playback->play();
    } else {
        m_playback->replaceFrames(m_preview->frames, fps);
    }
    showFrame();
    showState();
    Q_EMIT contentChanged();
}

void ViewerPanel::showClip(const QString& file, bool play) {
    if (file == m_clipFile && m_clipError.isEmpty())
        return;
    m_preview.reset();
    m_grown.reset();
    m_growing = false;
    m_clipFile = file;
    m_clipError.clear();
    m_clipOpen = false;
    m_shownFrame = -1;
    m_playWhenOpen = play;
    // The last picture stays until the first frame of the clip is there: no flash.
    m_store->open(file);
}

void ViewerPanel::setHeading(const QString& title, const QString& words) {
    m_title->setFullText(title);
    m_words->setFullText(words);
}

void ViewerPanel::showCard(const QString& sentence, std::vector<Action> actions, bool isError) {
    // A button that goes would pass the focus on as by Tab; the picture and its keys are what comes next.
    if (m_card->isAncestorOf(focusWidget()))
        m_view->setFocus(Qt::OtherFocusReason);
    m_card->setVisible(!sentence.isEmpty());
    m_cardText->setText(sentence);
    m_cardText->setProperty("look", isError ? "error" : "sentence");
    m_cardText->style()->unpolish(m_cardText);
    m_cardText->style()->polish(m_cardText);
    m_card->setAccessibleName(sentence);
    while (auto* item = m_cardButtons->takeAt(0)) {
        if (item->widget())
            item->widget()->deleteLater();
        delete item;
    }
    m_cardButtons->addStretch(1);
    for (auto& action : actions) {
        auto* button = new QPushButton(action.text);
        button->setObjectName(action.objectName);
        button->setAccessibleName(action.text);
        if (action.primary)
            button->setProperty("kind", "primarySmall");
        connect(button, &QPushButton::clicked, this, action.run);
        m_cardButtons->addWidget(button);
    }
    m_cardButtons->addStretch(1);
    placeCard();
}

QString ViewerPanel::cardSentence() const {
    return m_card->isHidden() ? QString() : m_cardText->text();
}

void ViewerPanel::placeCard() {
    if (m_card->isHidden())
        return;
    const int width = std::min(m_view->width() - m_theme.px(24), m_theme.px(460));
    m_card->setFixedWidth(std::max(width, m_theme.px(160)));
    m_card->layout()->invalidate();
    const int height = m_card->layout()->hasHeightForWidth()
                           ? m_card->layout()->totalHeightForWidth(m_card->width())
                           : m_card->sizeHint().height();
    m_card->resize(m_card->width(), height);
    // Over a picture the card goes below the middle, so that the picture stays in sight.
    const int y = m_view->image().isNull() ? (m_view->height() - height) / 2
                                           : m_view->height() - height - m_theme.px(24);
    m_card->move((m_view->width() - m_card->width()) / 2, std::max(0, y));
    m_card->raise();
}

void ViewerPanel::requestCancel() {
    if (!m_running)
        return;
    // The reaction shows at once, before the studio has heard of it.
    m_stopping = m_running;
    m_cancel->setEnabled(false);
    m_ready->setText(tr("Stopping…"));
    Q_EMIT cancelRequested();
}

void ViewerPanel::showPause(const JobRow* job) {
    m_pause->setVisible(job && (job->canResume || job->record.clip()));
    if (!job)
        return;
    m_isPaused = job->canResume;
    m_pause->setText(m_isPaused ? tr("Go on") : tr("Pause"));
    m_pause->setAccessibleName(m_isPaused ? tr("Go on with this clip") : tr("Pause the clip being made"));
    m_pause->setToolTip(m_isPaused
                            ? tr("It goes on where it stopped and ends as if it had not been paused.")
                            : tr("Stops it within a moment and frees the device for something else; what "
                                 "is made so far is kept, also over a restart."));
    const bool stopping = m_stopping == m_running || (job->progress && job->progress->stopping);
    m_pause->setEnabled(!stopping && (job->canResume || job->canPause));
    const QString icon = m_isPaused ? QStringLiteral("play-fill") : QStringLiteral("pause-fill");
    if (m_pause->property("shownIcon").toString() != icon) {
        m_pause->setProperty("shownIcon", icon);
        dresser::setIcon(m_pause, icon);
        if (m_hasTheme)
            m_pause->setIcon(tintedIcon(icon, m_theme));
    }
}

void ViewerPanel::setRunning(const JobRow* job) {
    m_running = job ? job->record.id : 0;
    m_cancel->setVisible(job != nullptr);
    showPause(job);
    if (!job) {
        m_stopping = 0;
        m_ready->setText(QString());
        return;
    }
    const bool stopping = m_stopping == m_running || (job->progress && job->progress->stopping);
    m_cancel->setEnabled(!stopping && job->canCancel);
    if (stopping || !job->progress || job->progress->pausing) {
        m_ready->setText(stopping         ? tr("Stopping…")
                         : job->canResume ? tr("Paused")
                         : job->progress  ? tr("Pausing…")
                                          : QString());
        return;
    }
    const auto& progress = *job->progress;
    QString text;
    if (progress.remainingSeconds > 0) {
        const QString mono = m_theme.monoFont(TextStyle::Label).families().value(0);
        text = tr("Ready in <b style=\"font-family:'%1'\">%2</b>")
                   .arg(mono, clockText(progress.remainingSeconds));
        if (progress.remainingSpread >= 0.5)
            text += tr(" <span style=\"font-family:'%1'\">±%2 s</span>")
                        .arg(mono)
                        .arg(int(std::lround(progress.remainingSpread)));
    }
    if (m_ready->text() != text)
        m_ready->setText(text);
}

QImage ViewerPanel::previewPicture(int index) const {
    const std::size_t bytes = std::size_t(m_preview->width) * std::size_t(m_preview->height) * 3;
    if (index < 0 || m_preview->rgb.size() < bytes * std::size_t(index + 1))
        return {};
    auto* keep = new std::shared_ptr<const PreviewImage>(m_preview);
    return QImage(
        m_preview->rgb.data() + bytes * std::size_t(index), m_preview->width, m_preview->height,
        qsizetype(m_preview->width) * 3, QImage::Format_RGB888,
        [](void* p) { delete static_cast<std::shared_ptr<const PreviewImage>*>(p); }, keep);
}

QImage ViewerPanel::picture(int frame) const {
    if (frame < 0)
        return {};
    if (m_grown && std::size_t(frame) < m_grown->pictures.size()) {
        auto* keep = new GrownFrames::Picture(m_grown->pictures[std::size_t(frame)]);
        return QImage((*keep)->data(), m_grown->width, m_grown->height, qsizetype(m_grown->width) * 3,
                      QImage::Format_RGB888, [](void* p) { delete static_cast<GrownFrames::Picture*>(p); },
                      keep);
    }
    if (m_preview && m_growing) // the first latent frame is one frame of the clip, later ones are four
        return previewPicture(frame == 0 ? 0 : (frame + 3) / 4);
    if (m_preview)
        return m_clipFrames > 0 ? previewPicture(int(std::int64_t{frame} * m_preview->frames / m_clipFrames))
                                : QImage();
    return m_clipOpen ? m_store->frame(frame) : QImage();
}

int ViewerPanel::clipFrame() const {
    const int frame = m_playback->frame(), frames = m_playback->frames();
    if (frames < 1)
        return -1;
    // A preview of the whole clip has fewer frames and lasts as long.
    return m_preview && !m_growing ? int(std::int64_t{frame} * m_clipFrames / frames) : frame;
}

void ViewerPanel::seekClipFrame(int frame) {
    const int frames = m_playback->frames();
    if (m_preview && !m_growing && m_clipFrames > 0) // the first that stands for this one or a later one
        frame = int((std::int64_t{frame} * frames + m_clipFrames - 1) / m_clipFrames);
    m_playback->seek(frame);
}

void ViewerPanel::showFrame() {
    const int frame = m_playback->frame();
    if (m_preview || m_grown) {
        if (const QImage image = m_growing ? picture(frame) : previewPicture(frame); !image.isNull())
            m_view->setImage(image, m_pictureSize);
    } else if (m_clipOpen) {
        m_store->want(frame, m_playback->speed() < 0 ? -1 : 1);
        if (const QImage image = m_store->frame(frame); !image.isNull()) {
            m_view->setImage(image);
            m_shownFrame = frame;
            Q_EMIT frameShown(frame, seconds(frame));
        }
    }
    m_time->setText(timecode(frame, m_playback->fps()));
    m_frameLabel->setText(m_playback->frames() > 0 ? tr("frame %1").arg(frame) : QString());
}

void ViewerPanel::showState() {
    const bool has = m_playback->frames() > 0;
    for (auto* button : m_transportButtons)
        button->setEnabled(has);
    m_total->setText(QStringLiteral("/ ") +
                     timecode(m_growing ? m_clipFrames : m_playback->frames(), m_playback->fps()));
    m_time->setText(timecode(m_playback->frame(), m_playback->fps()));
    m_frameLabel->setText(has ? tr("frame %1").arg(m_playback->frame()) : QString());
    m_format->setText(has ? tr("%1×%2  %3 fps")
                                .arg(m_pictureSize.width())
                                .arg(m_pictureSize.height())
                                .arg(QLocale().toString(m_pictureFps, 'g', 4))
                          : QString());
    QString rate;
    if (has && m_playback->isPlaying())
        rate = m_playback->speed() == 1 ? tr("real time")
                                        : tr("%1×").arg(QLocale().toString(m_playback->speed()));
    m_rate->setText(rate);
    m_zoomButton->setEnabled(has);
    setPlayIcon();
}

void ViewerPanel::setPlayIcon() {
    const bool playing = m_playback->isPlaying();
    const QString icon = playing ? QStringLiteral("pause-fill") : QStringLiteral("play-fill");
    m_play->setToolTip(playing ? tr("Pause (Space)") : tr("Play (Space)"));
    m_play->setAccessibleName(m_play->toolTip());
    const Role loopRole = m_playback->loops() ? Role::Accent : Role::Text2;
    dresser::setIcon(m_play, icon);
    dresser::setIcon(m_loop, QStringLiteral("repeat"), loopRole);
    m_loop->setAccessibleName(m_playback->loops() ? tr("Loop is on") : tr("Loop is off"));
    m_loop->setToolTip(m_loop->accessibleName());
    if (m_hasTheme) {
        m_play->setIcon(tintedIcon(icon, m_theme));
        m_loop->setIcon(tintedIcon(QStringLiteral("repeat"), m_theme, loopRole));
    }
}

void ViewerPanel::showZoom() {
    m_zoomButton->setText(m_view->image().isNull() ? QString()
                                                   : tr(" %1 %").arg(int(std::lround(m_view->zoom() * 100))));
}

void ViewerPanel::setCompact(bool compact) {
    m_compact = compact;
    for (QWidget* widget :
         std::initializer_list<QWidget*>{m_total, m_frameLabel, m_words, m_format, m_rate, m_ready})
        widget->setVisible(!compact);
    setBrief(m_brief);
}

void ViewerPanel::setBrief(bool brief) {
    m_brief = brief;
    for (auto* button : m_transportButtons)
        if (button == m_loop || button->objectName() == QLatin1String("transportStart") ||
            button->objectName() == QLatin1String("transportEnd"))
            button->setVisible(!m_compact && !m_brief);
}

void ViewerPanel::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    setPlayIcon();
    placeCard();
}

bool ViewerPanel::eventFilter(QObject* watched, QEvent* event) {
    if (watched == m_card && event->type() == QEvent::LayoutRequest)
        placeCard();
    if (watched == m_view) {
        if (event->type() == QEvent::Resize)
            placeCard();
        if (event->type() == QEvent::KeyPress || event->type() == QEvent::KeyRelease) {
            auto* key = static_cast<QKeyEvent*>(event);
            const bool pressed = event->type() == QEvent::KeyPress;
            const bool arrow = key->key() >= Qt::Key_Left && key->key() <= Qt::Key_Down;
            if (key->isAutoRepeat() && !arrow)
                return true;
            if (pressed && m_view->layer() && m_view->layer()->key(key->key(), key->modifiers()))
                return true;
            if (m_keys.take(key->key(), key->modifiers(), pressed))
                return true;
        }
        if (event->type() == QEvent::FocusOut)
            m_keys.forgetHeld();
    }
    return QWidget::eventFilter(watched, event);
}

} // namespace canopy::ui
