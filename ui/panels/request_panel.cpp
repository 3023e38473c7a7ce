#include "ui/panels/request_panel.h"

#include <algorithm>

#include <QFileDialog>
#include <QFileInfo>
#include <QFrame>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QRandomGenerator>
#include <QRegularExpression>
#include <QRegularExpressionValidator>
#include <QScrollArea>
#include <QSignalBlocker>
#include <QToolButton>
#include <QVBoxLayout>

#include "core/job/chunk_layout.h"
#include "ui/panels/blocks_box.h"
#include "ui/panels/pane_parts.h"
#include "ui/panels/request_expert.h"
#include "ui/panels/setting_parts.h"
#include "ui/panels/speed_box.h"
#include "ui/theme/dresser.h"
#include "ui/theme/fields.h"
#include "ui/theme/icons.h"

namespace canopy::ui {
namespace {

constexpr std::uint64_t kMaxSeed = (std::uint64_t{1} << 63) - 1;

QString sizeText(int width, int height) {
    return QStringLiteral("%1×%2").arg(width).arg(height);
}

/// {0, 0} when the text is no size.
QSize sizeFromText(const QString& text) {
    static const QRegularExpression pattern(QStringLiteral("^\\s*(\\d{1,5})\\s*[x×X*]\\s*(\\d{1,5})\\s*$"));
    const auto match = pattern.match(text);
    return match.hasMatch() ? QSize(match.captured(1).toInt(), match.captured(2).toInt()) : QSize(0, 0);
}

QString gigabytes(std::uint64_t bytes) {
    return QLocale().toString(double(bytes) / 1e9, 'f', 1);
}

} // namespace

RequestPanel::RequestPanel(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("requestPanel"));
    setAccessibleName(tr("Prompt"));
    build();
    setSeed(QRandomGenerator::global()->bounded(10000u));
    updateVisibility();
    m_loading = false;
}

void RequestPanel::build() {
    m_loading = true;
    auto* outer = new QVBoxLayout(this);
    outer->setContentsMargins(0, 0, 0, 0);
    outer->setSpacing(0);

    m_historyButton = iconButton(QStringLiteral("clock-history"), tr("Earlier prompts (Alt+Up, Alt+Down)"),
                                 QStringLiteral("promptHistoryButton"));
    connect(m_historyButton, &QToolButton::clicked, this, &RequestPanel::showHistoryMenu);
    outer->addWidget(paneHeader(tr("Prompt"), {m_historyButton}, QStringLiteral("promptHeader")));

    auto* scroll = new QScrollArea;
    scroll->setObjectName(QStringLiteral("requestScroll"));
    scroll->setProperty("pane", "dock");
    scroll->setWidgetResizable(true);
    scroll->setFocusPolicy(Qt::NoFocus);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    auto* body = new QWidget;
    m_form = new QVBoxLayout(body);
    dresser::setMargins(m_form, 12, 12, 12, 12, 12);
    scroll->setWidget(body);
    outer->addWidget(scroll, 1);

    m_prompt = new QPlainTextEdit;
    m_prompt->setObjectName(QStringLiteral("promptField"));
    m_prompt->setAccessibleName(tr("Prompt"));
    m_prompt->setPlaceholderText(tr("What should the clip show?"));
    m_prompt->setTabChangesFocus(true);
    m_prompt->installEventFilter(this);
    dresser::setFixedHeight(m_prompt, 92);
    m_form->addWidget(m_prompt);

    auto* extras = new QHBoxLayout;
    dresser::setMargins(extras, 0, 0, 0, 0, 8);
    m_imageButton = new QPushButton;
    m_imageButton->setObjectName(QStringLiteral("firstImageButton"));
    m_imageButton->setAccessibleName(tr("First image"));
    dresser::setIcon(m_imageButton, QStringLiteral("image"));
    m_imageButton->setToolTip(QString());
    connect(m_imageButton, &QPushButton::clicked, this, &RequestPanel::chooseStart);
    m_imageClear =
        iconButton(QStringLiteral("x-lg"), tr("Remove the first image"), QStringLiteral("firstImageClear"));
    connect(m_imageClear, &QToolButton::clicked, this, [this] { setImage({}); });
    m_negativeButton = new QPushButton(tr("Negative prompt"));
    m_negativeButton->setObjectName(QStringLiteral("negativePromptButton"));
    m_negativeButton->setAccessibleName(tr("Show the negative prompt"));
    m_negativeButton->setProperty("kind", "plain");
    m_negativeButton->setCheckable(true);
    connect(m_negativeButton, &QPushButton::toggled, this, [this] { updateVisibility(); });
    extras->addWidget(m_imageButton);
    extras->addWidget(m_imageClear);
    extras->addWidget(m_negativeButton);
    extras->addStretch(1);
    m_form->addLayout(extras);
    m_startNote = textLabel({}, "hint", QStringLiteral("startNote"));
    m_startNote->setWordWrap(true);
    m_form->addWidget(m_startNote);

    m_negative = new QPlainTextEdit;
    m_negative->setObjectName(QStringLiteral("negativePromptField"));
    m_negative->setAccessibleName(tr("Negative prompt"));
    m_negative->setPlaceholderText(tr("What it should not show"));
    m_negative->setTabChangesFocus(true);
    dresser::setFixedHeight(m_negative, 56);
    m_form->addWidget(m_negative);

    auto* pair = new QHBoxLayout;
    dresser::setMargins(pair, 0, 0, 0, 0, 12);
    m_length = new LengthField;
    m_length->setObjectName(QStringLiteral("lengthField"));
    m_size = new ComboField;
    m_size->setObjectName(QStringLiteral("sizeField"));
    m_size->setProperty("figures", true);
    pair->addWidget(labelledSetting(tr("Length"), m_length, "frames"), 1);
    pair->addWidget(labelledSetting(tr("Size"), m_size, "width"), 1);
    m_length->setToolTip(
        tr("Seconds, or frames when you type \"33 f\". The model works in steps of four frames."));
    m_form->addLayout(pair);

    auto* seedBox = new QWidget;
    auto* seedRow = new QHBoxLayout(seedBox);
    dresser::setMargins(seedRow, 0, 0, 0, 0, 4);
    m_seed = new QLineEdit;
    m_seed->setObjectName(QStringLiteral("seedField"));
    m_seed->setProperty("figures", true);
    m_seed->setValidator(
        new QRegularExpressionValidator(QRegularExpression(QStringLiteral("\\d{1,19}")), m_seed));
    m_dice =
        iconButton(QStringLiteral("dice-5"), tr("Another seed by chance"), QStringLiteral("seedDice"), false);
    m_lock = iconButton(QStringLiteral("unlock"), tr("Keep this seed for the next clips"),
                        QStringLiteral("seedLock"), false);
    m_lock->setCheckable(true);
    m_increment = new QToolButton;
    m_increment->setText(tr("+1"));
    m_increment->setObjectName(QStringLiteral("seedIncrement"));
    m_increment->setAccessibleName(tr("Next seed"));
    m_increment->setToolTip(tr("The next seed"));
    connect(m_dice, &QToolButton::clicked, this,
            [this] { setSeed(QRandomGenerator::global()->generate64() % 1'000'000'000); });
    connect(m_lock, &QToolButton::toggled, this, &RequestPanel::showLock);
    connect(m_increment, &QToolButton::clicked, this, [this] { setSeed(request().seed + 1); });
    seedRow->addWidget(m_seed, 1);
    for (auto* button : {m_dice, m_lock, m_increment})
        seedRow->addWidget(button);
    auto* seedField = labelledSetting(tr("Seed"), seedBox, "seed");
    m_seed->setAccessibleName(tr("Seed"));
    m_form->addWidget(seedField);

    m_model = new ComboField;
    m_model->setObjectName(QStringLiteral("modelField"));
    m_form->addWidget(labelledSetting(tr("Model"), m_model, "model"));
    m_modelNote = new QLabel;
    m_modelNote->setObjectName(QStringLiteral("modelNote"));
    m_modelNote->setProperty("look", "hint");
    m_modelNote->setWordWrap(true);
    m_form->addWidget(m_modelNote);
    m_form->addWidget(rule());
    m_blocks = new BlocksBox;
    connect(m_blocks, &BlocksBox::changed, this, [this] {
        updateVisibility();
        edited();
    });
    m_form->addWidget(m_blocks);
    m_speed = new SpeedBox;
    connect(m_speed, &SpeedBox::changed, this, &RequestPanel::edited);
    m_form->addWidget(m_speed);
    m_expertFields = new RequestExpert;
    connect(m_expertFields, &RequestExpert::changed, this, &RequestPanel::edited);
    m_form->addWidget(m_expertFields);

    m_plan = new QLabel;
    m_plan->setObjectName(QStringLiteral("memoryPlan"));
    m_plan->setProperty("look", "label");
    m_plan->setTextFormat(Qt::RichText);
    m_plan->setWordWrap(true);
    m_problems = new QLabel;
    m_problems->setObjectName(QStringLiteral("problems"));
    m_problems->setProperty("look", "error");
    m_problems->setWordWrap(true);
    m_problems->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_form->addWidget(rule());
    m_form->addWidget(m_plan);
    m_form->addWidget(m_problems);
    m_form->addStretch(1);

    auto* foot = new QWidget;
    foot->setProperty("pane", "dock");
    auto* footLayout = new QVBoxLayout(foot);
    dresser::setMargins(footLayout, 12, 8, 12, 12, 8);
    auto* buttons = new QHBoxLayout;
    dresser::setMargins(buttons, 0, 0, 0, 0, 8);
    m_generate = new PrimaryButton(tr("Generate"), tr("Ctrl+Enter"));
    m_generate->setObjectName(QStringLiteral("generateButton"));
    m_generate->setAccessibleName(tr("Generate"));
    m_generate->setProperty("kind", "primary");
    connect(m_generate, &QPushButton::clicked, this, &RequestPanel::generateRequested);
    m_generateMenu = iconButton(QStringLiteral("chevron-down"), tr("More ways to generate"),
                                QStringLiteral("generateMenuButton"), false);
    m_generateMenu->setProperty("kind", "primaryMenu");
    m_generateMenu->setPopupMode(QToolButton::InstantPopup);
    buttons->addWidget(m_generate, 1);
    buttons->addWidget(m_generateMenu);
    m_waiting = new QLabel;
    m_waiting->setObjectName(QStringLiteral("waitingLine"));
    m_waiting->setProperty("look", "caption");
    m_waiting->setAlignment(Qt::AlignHCenter);
    m_waiting->setTextFormat(Qt::RichText);
    footLayout->addLayout(buttons);
    footLayout->addWidget(m_waiting);
    outer->addWidget(foot);

    connect(m_prompt, &QPlainTextEdit::textChanged, this, &RequestPanel::edited);
    connect(m_negative, &QPlainTextEdit::textChanged, this, &RequestPanel::edited);
    connect(m_length, &QSpinBox::valueChanged, this, &RequestPanel::edited);
    connect(m_size, &QComboBox::currentTextChanged, this, &RequestPanel::edited);
    connect(m_seed, &QLineEdit::textChanged, this, &RequestPanel::edited);
    connect(m_model, &QComboBox::activated, this, [this] {
        m_unknownModel.clear();
        applyModel(false);
        edited();
    });
}

void RequestPanel::edited() {
    if (m_loading)
        return;
    Q_EMIT changed();
}

const ModelRecord* RequestPanel::model() const {
    const int index = m_model->currentIndex();
    return index >= 0 && index < int(m_models.size()) ? &m_models[size_t(index)] : nullptr;
}

bool RequestPanel::takesVideo() const {
    return takesImage() && model()->defaults.blockLatentFrames > 0;
}

bool RequestPanel::takesImage() const {
    return model() && model()->family == ModelFamily::SkyReelsDf;
}

void RequestPanel::setModels(const std::vector<ModelRecord>& models) {
    const QString wanted =
        m_unknownModel.isEmpty() && model() ? QString::fromStdString(model()->id) : m_unknownModel;
    const bool first = m_models.empty();
    m_loading = true;
    m_models = models;
    m_model->clear();
    int chosen = m_models.empty() ? -1 : 0;
    for (int i = 0; i < int(m_models.size()); ++i) {
        const auto& record = m_models[size_t(i)];
        const QString id = QString::fromStdString(record.id);
        const QString label =
            record.defaults.label.empty() ? id : QString::fromStdString(record.defaults.label);
        m_model->addItem(label, id);
        m_model->setItemData(i, id, Qt::ToolTipRole);
        if (id == wanted)
            chosen = i;
    }
    m_model->setCurrentIndex(chosen);
    if (chosen >= 0 && QString::fromStdString(m_models[size_t(chosen)].id) == m_unknownModel)
        m_unknownModel.clear();
    m_loading = false;
    applyModel(!first);
    Q_EMIT changed();
}

void RequestPanel::applyModel(bool keepValues) {
    const bool wasLoading = std::exchange(m_loading, true);
    const auto* record = model();
    if (record) {
        const auto& defaults = record->defaults;
        const QString size = m_size->currentText();
        m_size->clear();
        for (const auto& [width, height] : defaults.sizes)
            m_size->addItem(sizeText(width, height), QSize(width, height));
        m_blocks->setModel(defaults);
        m_length->setFps(defaults.fps);
        if (keepValues && sizeFromText(size).isValid() && sizeFromText(size).width() > 0) {
            if (m_size->findText(size) < 0)
                m_size->addItem(size, sizeFromText(size));
            m_size->setCurrentText(size);
        }
        if (!keepValues) {
            m_base = GenerationRequest{};
            m_blocks->forget();
            m_base.fps = defaults.fps;
            m_length->setValue(defaults.framesDefault);
            m_expertFields->setDefaults(defaults);
            m_negative->setPlainText(QString::fromStdString(defaults.negativePrompt));
        }
        m_model->setToolTip(QString::fromStdString(record->root.string()));
    }
    m_loading = wasLoading;
    updateVisibility();
}

void RequestPanel::setDevices(const std::vector<std::string>& devices) {
    m_expertFields->setDevices(devices);
    updateVisibility();
}

void RequestPanel::setExpert(bool expert) {
    m_expert = expert;
    m_blocks->setExpert(expert);
    updateVisibility();
}

void RequestPanel::setDefaultThreads(int threads) {
    m_expertFields->setThreads(threads);
}

void RequestPanel::updateVisibility() {
    const bool wasLoading = std::exchange(m_loading, true);
    m_imageButton->setVisible(takesImage());
    m_imageClear->setVisible(takesImage() && !m_image.isEmpty());
    const QString name =
        fontMetrics().elidedText(QFileInfo(m_image).fileName(), Qt::ElideMiddle, width() / 3);
    m_imageButton->setText(u' ' + (m_image.isEmpty() ? tr("First image") : name));
    const QString begins = takesVideo()
                               ? tr("A picture that the clip begins with, or a video that it goes on "
                                    "from. Drop one on the window or choose a file.")
                               : tr("A picture that the clip begins with. Drop one on the window or "
                                    "choose a file.");
    m_imageButton->setToolTip(m_image.isEmpty() ? begins : m_image);
    m_startNote->setText(tr("Goes on from the last %1 s of this video.")
                             .arg(QLocale().toString(
                                 pixelFrames(m_givenFrames) / double(std::max(1, m_length->fps())), 'f', 2)));
    m_startNote->setVisible(takesVideo() && m_givenFrames > 0 && !m_image.isEmpty());
    m_negative->setVisible(m_negativeButton->isChecked());
    m_expertFields->setVisible(m_expert);
    const auto* chosen = model();
    // Without a block that it was trained for a model makes clips as a whole.
    const bool hasBlocks = m_blocks->blockFrames() > 0;
    m_blocks->setVisible(hasBlocks);
    const bool chunked = hasBlocks && m_blocks->isOn();
    m_speed->setVisible(!chunked); // sparse attention is for clips made at once
    const int step = chosen ? std::max(1, chosen->defaults.framesStep) : 4;
    const int block = chunked ? m_blocks->blockFrames() : 1;
    m_length->setGrid(chunked ? pixelFrames(block) : 1, chunked ? 4 * block : step);
    if (m_size->isEditable() != m_expert) {
        const QString text = m_size->currentText();
        m_size->setEditable(m_expert);
        m_size->setCurrentText(text);
    }
    QString note;
    if (const auto* record = model()) {
        if (record->defaults.starter)
            note = tr("A small starter model: it knows only its own drawn world.");
        if (!record->missing.empty())
            note = QString::fromStdString(record->missing.front());
    }
    m_modelNote->setText(note);
    m_modelNote->setVisible(!note.isEmpty());
    m_loading = wasLoading;
}

GenerationRequest RequestPanel::request() const {
    GenerationRequest r = m_base;
    r.prompt = m_prompt->toPlainText().toStdString();
    r.negativePrompt = m_negative->toPlainText().toStdString();
    if (const auto* record = model()) {
        r.modelId = record->id;
        r.modelPath = record->root.string();
        if (r.fps <= 0)
            r.fps = record->defaults.fps;
    }
    if (!m_unknownModel.isEmpty()) {
        r.modelId = m_unknownModel.toStdString();
        r.modelPath.clear();
    }
    r.imagePath = takesImage() ? m_image.toStdString() : std::string();
    const QSize size = sizeFromText(m_size->currentText());
    r.width = size.width();
    r.height = size.height();
    r.frames = m_length->value();
    r.seed = std::min<std::uint64_t>(m_seed->text().toULongLong(), kMaxSeed);
    m_expertFields->apply(r);
    if (m_blocks->blockFrames() > 0)
        m_blocks->apply(r.chunks);
    else
        r.chunks = {};
    const bool chunked = r.chunks.mode == SamplingMode::Chunked;
    r.attention = chunked ? AttentionSettings{} : m_speed->attention(r.steps);
    r.chunks.givenFrames = r.imagePath.empty() ? 0 : m_givenFrames;
    return r;
}

bool RequestPanel::setRequest(const GenerationRequest& request) {
    m_loading = true;
    const QString id = QString::fromStdString(request.modelId);
    const int index = m_model->findData(id);
    m_unknownModel = index < 0 ? id : QString();
    if (index >= 0) {
        m_model->setCurrentIndex(index);
        applyModel(true);
        m_loading = true;
    }
    m_base = request;
    m_prompt->setPlainText(QString::fromStdString(request.prompt));
    m_negative->setPlainText(QString::fromStdString(request.negativePrompt));
    m_negativeButton->setChecked(!request.negativePrompt.empty());
    m_image = QString::fromStdString(request.imagePath);
    m_givenFrames = request.chunks.givenFrames;
    if (request.fps > 0)
        m_length->setFps(request.fps);
    m_blocks->setSettings(request.chunks);
    updateVisibility(); // which lengths there are depends on the way it is made
    m_loading = true;
    m_length->setValue(request.frames);
    const QString size = sizeText(request.width, request.height);
    if (m_size->findText(size) < 0)
        m_size->addItem(size, QSize(request.width, request.height));
    m_size->setCurrentText(size);
    m_seed->setText(QString::number(request.seed));
    m_expertFields->setRequest(request);
    m_speed->setAttention(request.attention, request.steps);
    setSeedLocked(true); // the clip is to be repeated, so its seed stays until the person unlocks it
    m_loading = false;
    updateVisibility();
    Q_EMIT changed();
    return index >= 0;
}

void RequestPanel::setImage(const QString& file) {
    m_image = file;
    m_givenFrames = 0;
    updateVisibility();
    edited();
}

void RequestPanel::setVideo(const QString& file, int latentFrames) {
    const auto* record = model();
    const int block = record ? record->defaults.blockLatentFrames : 0;
    if (block <= 0)
        return;
    m_blocks->setOn(true);
    // At most half of the clip, in whole chunks where the video is as long as one.
    const int most = std::max(1, canopy::latentFrames(m_length->value()) / block / 2);
    m_image = file;
    m_givenFrames = latentFrames < block ? latentFrames : std::min(latentFrames / block, most) * block;
    updateVisibility();
    edited();
}

void RequestPanel::chooseStart() {
    const QString file = QFileDialog::getOpenFileName(
        this, tr("How the clip begins"), QFileInfo(m_image).path(),
        takesVideo() ? tr("Pictures and videos (*.png *.jpg *.jpeg *.webp *.mp4 *.m4v *.mov *.mkv *.webm)")
                     : tr("Pictures (*.png *.jpg *.jpeg *.webp)"));
    if (file.isEmpty())
        return;
    static const QStringList kPictures = {QStringLiteral("png"), QStringLiteral("jpg"),
                                          QStringLiteral("jpeg"), QStringLiteral("webp")};
    if (kPictures.contains(QFileInfo(file).suffix().toLower()))
        setImage(file);
    else
        Q_EMIT videoChosen(file);
}

void RequestPanel::setPrompt(const QString& prompt) {
    m_prompt->setPlainText(prompt);
}

void RequestPanel::setSeed(std::uint64_t seed) {
    m_seed->setText(QString::number(std::min(seed, kMaxSeed)));
}

void RequestPanel::showLock() {
    const QString icon = m_lock->isChecked() ? QStringLiteral("lock") : QStringLiteral("unlock");
    dresser::setIcon(m_lock, icon);
    if (m_hasTheme)
        m_lock->setIcon(tintedIcon(icon, m_theme));
}

void RequestPanel::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    showLock();
}

bool RequestPanel::seedLocked() const {
    return m_lock->isChecked();
}

void RequestPanel::setSeedLocked(bool locked) {
    m_lock->setChecked(locked);
}

void RequestPanel::showCheck(const StartCheck& check) {
    m_speed->setRequest(check.request);
    m_blocks->showCheck(check);
    QStringList sentences;
    for (const auto& problem : check.problems)
        sentences << QString::fromStdString(problem);
    m_problems->setText(sentences.join(u'\n'));
    m_problems->setVisible(!sentences.isEmpty());
    const auto peak = check.plan.peakBytes(check.request.device);
    if (peak == 0) {
        m_plan->setText(QString());
    } else {
        const auto figure = [this](const QString& text) {
            return QStringLiteral("<span style=\"font-family:'%1'\">%2</span>")
                .arg(m_theme.monoFont(TextStyle::Label).families().value(0), text);
        };
        const QString text = check.budgetBytes > 0
                                 ? tr("Memory  %1 of %2 GB predicted")
                                       .arg(figure(gigabytes(peak)), figure(gigabytes(check.budgetBytes)))
                                 : tr("Memory  %1 GB predicted").arg(figure(gigabytes(peak)));
        m_plan->setText(text);
        QStringList stages;
        for (const auto& stage : check.plan.stages)
            stages << tr("%1 %2 GB")
                          .arg(QString::fromStdString(stage.name),
                               gigabytes(stage.bytes(check.request.device)));
        m_plan->setToolTip(stages.join(u'\n'));
    }
    m_plan->setVisible(peak > 0);
    m_model->setRightText(peak == 0 ? QString()
                          : check.budgetBytes == 0 || peak <= check.budgetBytes
                              ? tr("fits, %1 GB").arg(gigabytes(peak))
                              : tr("needs %1 GB").arg(gigabytes(peak)));
    m_generate->setEnabled(sentences.isEmpty());
}

void RequestPanel::showRefusal(const QString& sentence) {
    m_problems->setText(sentence);
    m_problems->setVisible(true);
}

void RequestPanel::setWaitingText(const QString& text) {
    m_waiting->setText(text);
}

void RequestPanel::acknowledge(const GenerationRequest& request) {
    m_history.add(QString::fromStdString(request.prompt));
    if (!seedLocked())
        setSeed(QRandomGenerator::global()->generate64() % 1'000'000'000);
}

void RequestPanel::setHistory(const QStringList& prompts) {
    m_history = PromptHistory(prompts);
}

void RequestPanel::walkHistory(int direction) {
    m_prompt->setPlainText(m_history.walk(direction, m_prompt->toPlainText()));
    m_prompt->moveCursor(QTextCursor::End);
}

void RequestPanel::showHistoryMenu() {
    QMenu menu(this);
    const auto& prompts = m_history.prompts();
    for (qsizetype i = prompts.size(); i-- > std::max<qsizetype>(0, prompts.size() - 15);) {
        const QString prompt = prompts[i];
        menu.addAction(fontMetrics()
                           .elidedText(prompt.simplified(), Qt::ElideRight, 420)
                           .replace(u'&', QStringLiteral("&&")),
                       this, [this, prompt] { setPrompt(prompt); });
    }
    if (prompts.isEmpty())
        menu.addAction(tr("No earlier prompts"))->setEnabled(false);
    menu.exec(m_historyButton->mapToGlobal(QPoint(0, m_historyButton->height())));
}

void RequestPanel::focusPrompt() {
    m_prompt->setFocus(Qt::OtherFocusReason);
}

bool RequestPanel::eventFilter(QObject* watched, QEvent* event) {
    if (watched == m_prompt && event->type() == QEvent::KeyPress) {
        auto* key = static_cast<QKeyEvent*>(event);
        if (key->modifiers() == Qt::AltModifier && (key->key() == Qt::Key_Up || key->key() == Qt::Key_Down)) {
            walkHistory(key->key() == Qt::Key_Up ? -1 : 1);
            return true;
        }
    }
    return QWidget::eventFilter(watched, event);
}

} // namespace canopy::ui
