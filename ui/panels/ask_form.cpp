#include "ui/panels/ask_form.h"

#include <QGridLayout>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QStandardItemModel>
#include <QToolButton>
#include <QVBoxLayout>

#include "ui/panels/ask_expert.h"
#include "ui/panels/ask_groups.h"
#include "ui/panels/flow_layout.h"
#include "ui/panels/keep_slider.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/fields.h"

namespace canopy::ui {
namespace {

QString text(std::string_view words) {
    return QString::fromUtf8(words.data(), qsizetype(words.size()));
}

QWidget* labelled(const QString& label, QWidget* field, const QString& help) {
    auto* box = new QWidget;
    auto* layout = new QVBoxLayout(box);
    dresser::setMargins(layout, 0, 0, 0, 0, 2);
    auto* caption = textLabel(label, "caption");
    caption->setBuddy(field);
    layout->addWidget(caption);
    layout->addWidget(field);
    field->setAccessibleName(label);
    field->setToolTip(help);
    return box;
}

/// "red; blue; green" as options; spaces around each are dropped.
std::vector<std::string> optionsOf(const QString& line) {
    std::vector<std::string> options;
    for (const auto& part : line.split(u';', Qt::SkipEmptyParts))
        if (const QString option = part.trimmed(); !option.isEmpty())
            options.push_back(option.toStdString());
    return options;
}

} // namespace

AskForm::AskForm(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("askForm"));
    setAccessibleName(tr("Question"));
    m_loading = true;
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 16, 10, 16, 12, 8);
    layout->addWidget(buildChoices());
    layout->addWidget(buildKeep());
    layout->addWidget(buildQuestion());
    fillModes();
    m_loading = false;
    fitQuestion();
    showModeHelp();
    setExpert(false);
}

QWidget* AskForm::buildChoices() {
    auto* box = new QWidget;
    auto* layout = new QVBoxLayout(box);
    dresser::setMargins(layout, 0, 0, 0, 0, 6);
    auto* row = new QHBoxLayout;
    dresser::setMargins(row, 0, 0, 0, 0, 8);
    m_model = new ComboField;
    m_model->setObjectName(QStringLiteral("qaModelField"));
    m_mode = new ComboField;
    m_mode->setObjectName(QStringLiteral("tokenModeField"));
    m_frames = new NumberField;
    m_frames->setObjectName(QStringLiteral("askFrames"));
    m_frames->setRange(0, 512);
    m_frames->setSpecialValueText(tr("Model's"));
    m_device = new ComboField;
    m_device->setObjectName(QStringLiteral("askDevice"));
    m_device->addItem(tr("CPU"), int(DeviceKind::Cpu));
    row->addWidget(labelled(tr("Model"), m_model, tr("Which model looks at the video.")), 4);
    row->addWidget(labelled(tr("Tokens chosen by"), m_mode, tr("Used below 100 %.")), 5);
    row->addWidget(labelled(tr("Frames"), m_frames,
                            tr("How many frames are sampled, evenly from the first to the last.")),
                   2);
    m_deviceBox = labelled(tr("Device"), m_device, tr("Where the model runs."));
    m_deviceBox->hide();
    row->addWidget(m_deviceBox, 2);
    layout->addLayout(row);
    auto* helpRow = new QHBoxLayout;
    dresser::setMargins(helpRow, 0, 0, 0, 0, 8);
    m_modeHelp = textLabel({}, "hint", QStringLiteral("tokenModeHelp"));
    m_modeHelp->setWordWrap(true);
    m_more = new QToolButton;
    m_more->setObjectName(QStringLiteral("askMore"));
    m_more->setText(tr("More"));
    m_more->setAccessibleName(tr("Show thresholds, policies and arithmetic"));
    m_more->setCheckable(true);
    m_more->setProperty("kind", "plain");
    m_more->setToolButtonStyle(Qt::ToolButtonTextOnly);
    dresser::setMinimumWidth(m_more, 48);
    helpRow->addWidget(m_modeHelp, 1);
    helpRow->addWidget(m_more, 0, Qt::AlignTop);
    layout->addLayout(helpRow);
    m_expertFields = new AskExpert;
    auto* scroll = new QScrollArea;
    scroll->setObjectName(QStringLiteral("askExpertScroll"));
    scroll->setProperty("pane", "dock");
    scroll->setWidgetResizable(true);
    scroll->setFocusPolicy(Qt::NoFocus);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setWidget(m_expertFields);
    dresser::setFixedHeight(scroll, 168);
    m_expertArea = scroll;
    m_expertArea->hide();
    layout->addWidget(m_expertArea);
    connect(m_more, &QToolButton::toggled, this,
            [this](bool shown) { m_expertArea->setVisible(shown && m_expert); });
    connect(m_expertFields, &AskExpert::changed, this, &AskForm::edited);
    connect(m_model, &QComboBox::activated, this, [this] {
        showSuggestions();
        edited();
    });
    connect(m_mode, &QComboBox::currentIndexChanged, this, [this] {
        showModeHelp();
        edited();
    });
    connect(m_frames, &QSpinBox::valueChanged, this, &AskForm::edited);
    connect(m_device, &QComboBox::currentIndexChanged, this, &AskForm::edited);
    return box;
}

QWidget* AskForm::buildKeep() {
    auto* box = new QWidget;
    auto* layout = new QVBoxLayout(box);
    dresser::setMargins(layout, 0, 0, 0, 0, 2);
    auto* row = new QHBoxLayout;
    dresser::setMargins(row, 0, 0, 0, 0, 12);
    auto* name = textLabel(tr("Tokens kept"), "strong");
    m_keepText = textLabel(percentText(1), "readout", QStringLiteral("keepValue"));
    m_readout = textLabel({}, "figure", QStringLiteral("keepReadout"));
    m_readout->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    m_readout->setWordWrap(true); // two lines where the pane is narrow
    row->addWidget(name);
    row->addWidget(m_keepText);
    row->addWidget(m_readout, 1);
    layout->addLayout(row);
    m_slider = new KeepSlider;
    name->setBuddy(m_slider);
    layout->addWidget(m_slider);
    m_sliderNote = textLabel({}, "hint", QStringLiteral("sliderNote"));
    m_sliderNote->setWordWrap(true);
    m_sliderNote->hide();
    layout->addWidget(m_sliderNote);
    connect(m_slider, &QSlider::valueChanged, this, [this] {
        m_keepText->setText(percentText(keep()));
        Q_EMIT keepChanged(keep());
        edited();
    });
    return box;
}

QWidget* AskForm::buildQuestion() {
    auto* box = new QWidget;
    auto* layout = new QVBoxLayout(box);
    dresser::setMargins(layout, 0, 0, 0, 0, 8);
    m_problems = textLabel({}, "error", QStringLiteral("askProblems"));
    m_problems->setWordWrap(true);
    m_problems->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_problems->hide();
    m_warning = textLabel({}, "warning", QStringLiteral("askWarning"));
    m_warning->setWordWrap(true);
    m_warning->hide();
    layout->addWidget(m_warning);
    layout->addWidget(m_problems);
    auto* row = new QHBoxLayout;
    dresser::setMargins(row, 0, 0, 0, 0, 8);
    m_attach =
        iconButton(QStringLiteral("paperclip"), tr("Attach a video"), QStringLiteral("attachVideo"), false);
    m_attach->setProperty("kind", "primaryMenu");
    m_question = new QPlainTextEdit;
    m_question->setObjectName(QStringLiteral("questionField"));
    m_question->setAccessibleName(tr("Question"));
    m_question->setPlaceholderText(tr("Ask about this video…"));
    m_question->setTabChangesFocus(true);
    m_question->installEventFilter(this);
    m_question->setAcceptDrops(false); // a dropped video is the window's to attach
    m_question->setVerticalScrollBarPolicy(Qt::ScrollBarAsNeeded);
    m_ask = new PrimaryButton(tr("Ask"), {});
    m_ask->setObjectName(QStringLiteral("askButton"));
    m_ask->setAccessibleName(tr("Ask"));
    m_ask->setToolTip(tr("Ctrl+Enter"));
    m_ask->setProperty("kind", "primary");
    dresser::setMinimumWidth(m_ask, 60);
    row->addWidget(m_attach, 0, Qt::AlignTop);
    row->addWidget(m_question, 1);
    row->addWidget(m_ask, 0, Qt::AlignTop);
    layout->addLayout(row);
    m_options = new QLineEdit;
    m_options->setObjectName(QStringLiteral("optionsField"));
    m_options->setAccessibleName(tr("Options to choose from"));
    m_options->setPlaceholderText(tr("Options, separated by semicolons: one; two; three"));
    m_options->hide();
    layout->addWidget(m_options);
    m_chips = new QWidget;
    m_chips->setAccessibleName(tr("Suggested questions"));
    m_chipsLayout = new FlowLayout(m_chips);
    dresser::setMargins(m_chipsLayout, 0, 0, 0, 0, 6);
    m_choicesButton = new QToolButton;
    m_choicesButton->setObjectName(QStringLiteral("choicesButton"));
    m_choicesButton->setText(tr("Options"));
    m_choicesButton->setAccessibleName(tr("Give options to choose from"));
    m_choicesButton->setToolTip(
        tr("Multiple choice: the answer is one of your options, each with its probability."));
    m_choicesButton->setCheckable(true);
    m_choicesButton->setProperty("kind", "plain");
    m_choicesButton->setToolButtonStyle(Qt::ToolButtonTextOnly);
    dresser::setMinimumWidth(m_choicesButton, 60);
    auto* chipsRow = new QHBoxLayout;
    dresser::setMargins(chipsRow, 0, 0, 0, 0, 8);
    chipsRow->addWidget(m_chips, 1);
    chipsRow->addWidget(m_choicesButton, 0, Qt::AlignTop);
    layout->addLayout(chipsRow);
    connect(m_attach, &QToolButton::clicked, this, &AskForm::attachRequested);
    connect(m_ask, &QPushButton::clicked, this, &AskForm::askRequested);
    connect(m_question, &QPlainTextEdit::textChanged, this, [this] {
        fitQuestion();
        edited();
    });
    connect(m_options, &QLineEdit::textChanged, this, &AskForm::edited);
    connect(m_choicesButton, &QToolButton::toggled, m_options, &QWidget::setVisible);
    connect(m_choicesButton, &QToolButton::toggled, this, &AskForm::edited);
    return box;
}

void AskForm::fillModes() {
    // Grouped by what they are, each group under its name.
    auto* model = qobject_cast<QStandardItemModel*>(m_mode->model());
    const std::pair<TokenModeKind, QString> groups[] = {{TokenModeKind::Forest, tr("Token forests")},
                                                        {TokenModeKind::Rival, tr("Other methods")},
                                                        {TokenModeKind::Control, tr("Controls")}};
    for (const auto& [kind, name] : groups) {
        m_mode->addItem(name);
        model->item(m_mode->count() - 1)->setFlags(Qt::NoItemFlags);
        for (const auto& info : tokenModes()) {
            if (info.kind != kind)
                continue;
            m_mode->addItem(QStringLiteral("  ") + text(info.label), int(info.mode));
            m_mode->setItemData(m_mode->count() - 1, text(info.help), Qt::ToolTipRole);
        }
    }
    m_mode->setCurrentIndex(m_mode->findData(int(TokenMode::ForestBalanced)));
}

TokenMode AskForm::mode() const {
    return TokenMode(m_mode->currentData().toInt());
}

void AskForm::showModeHelp() {
    const auto& info = tokenModeInfo(mode());
    m_modeHelp->setText(text(info.help) +
                        (info.insideModel ? tr(" Shortens the sequence inside the model.") : QString()));
    m_expertFields->setMode(mode());
}

void AskForm::setModels(const std::vector<QaModelRecord>& models) {
    const QString before = m_model->currentData().toString();
    m_models = models;
    m_loading = true;
    m_model->clear();
    for (const auto& model : models) {
        QString label = model.defaults.label.empty() ? QString::fromStdString(model.id)
                                                     : QString::fromStdString(model.defaults.label);
        if (!model.missing.empty())
            label += tr(" (incomplete)");
        m_model->addItem(label, QString::fromStdString(model.id));
        QStringList missing;
        for (const auto& sentence : model.missing)
            missing << QString::fromStdString(sentence);
        m_model->setItemData(m_model->count() - 1, missing.join(u'\n'), Qt::ToolTipRole);
    }
    if (const int at = m_model->findData(before); at >= 0)
        m_model->setCurrentIndex(at);
    m_model->setEnabled(!models.empty());
    m_loading = false;
    showSuggestions();
    edited();
}

const QaModelRecord* AskForm::model() const {
    const int at = m_model->currentIndex();
    return at >= 0 && std::size_t(at) < m_models.size() ? &m_models[std::size_t(at)] : nullptr;
}

void AskForm::setDevices(const std::vector<std::string>& devices) {
    const bool cuda = std::any_of(devices.begin(), devices.end(),
                                  [](const std::string& name) { return name.starts_with("cuda"); });
    if (cuda == (m_device->count() > 1))
        return;
    if (cuda)
        m_device->addItem(tr("GPU"), int(DeviceKind::Cuda));
    else
        m_device->removeItem(1);
    m_deviceBox->setVisible(cuda);
}

void AskForm::setDefaultThreads(int threads) {
    AskRequest request = this->request();
    request.threads = threads;
    m_expertFields->setRequest(request);
}

void AskForm::setExpert(bool expert) {
    m_expert = expert;
    m_more->setVisible(expert);
    m_expertArea->setVisible(expert && m_more->isChecked());
}

void AskForm::setVideo(const QString& file) {
    m_video = file;
    showSuggestions();
    edited();
}

void AskForm::showSuggestions() {
    while (auto* item = m_chipsLayout->takeAt(0)) {
        if (item->widget())
            item->widget()->deleteLater();
        delete item;
    }
    const QaModelRecord* model = this->model();
    int index = 0;
    for (const auto& question : model ? model->defaults.questions : std::vector<std::string>()) {
        const QString words = QString::fromStdString(question);
        auto* chip = new QPushButton(words);
        chip->setObjectName(QStringLiteral("suggestion%1").arg(index++));
        chip->setAccessibleName(words);
        chip->setProperty("kind", "chip");
        connect(chip, &QPushButton::clicked, this, [this, words] {
            m_question->setPlainText(words);
            focusQuestion();
        });
        m_chipsLayout->addWidget(chip);
        if (m_hasTheme)
            dresser::dress(chip, m_theme);
        chip->show();
    }
    m_chips->updateGeometry();
}

AskRequest AskForm::request() const {
    AskRequest request;
    request.videoPath = m_video.toStdString();
    request.question = m_question->toPlainText().trimmed().toStdString();
    request.options =
        m_choicesButton->isChecked() ? optionsOf(m_options->text()) : std::vector<std::string>();
    if (const QaModelRecord* chosen = model()) {
        request.modelId = chosen->id;
        request.modelPath = chosen->root.string();
    }
    request.frames = m_frames->value();
    request.device = DeviceKind(m_device->currentData().toInt());
    m_expertFields->apply(request);
    request.tokens.mode = keep() >= 1 ? TokenMode::All : mode();
    request.tokens.keep = keep();
    return request;
}

bool AskForm::isFollowUp() const {
    return m_expertFields->isFollowUp();
}

void AskForm::setRequest(const AskRequest& request) {
    m_loading = true;
    m_question->setPlainText(QString::fromStdString(request.question));
    QStringList options;
    for (const auto& option : request.options)
        options << QString::fromStdString(option);
    m_choicesButton->setChecked(!options.isEmpty());
    m_options->setText(options.join(QStringLiteral("; ")));
    if (const int at = m_model->findData(QString::fromStdString(request.modelId)); at >= 0)
        m_model->setCurrentIndex(at);
    m_frames->setValue(request.frames);
    if (const int at = m_device->findData(int(request.device)); at >= 0)
        m_device->setCurrentIndex(at);
    if (request.tokens.mode != TokenMode::All)
        m_mode->setCurrentIndex(m_mode->findData(int(request.tokens.mode)));
    m_slider->setKeep(request.tokens.mode == TokenMode::All ? 1 : request.tokens.keep);
    m_expertFields->setRequest(request);
    m_loading = false;
    showModeHelp();
    edited();
}

double AskForm::keep() const {
    return m_slider->keep();
}

void AskForm::setKeep(double keep) {
    m_slider->setKeep(keep);
}

void AskForm::setReadout(const KeepReadout& readout) {
    setReadoutText(readout.text());
}

void AskForm::setReadoutText(const QString& text) {
    m_readout->setText(text);
    m_readout->setToolTip(text);
    m_slider->setAccessibleDescription(text);
}

QString AskForm::readoutText() const {
    return m_readout->text();
}

void AskForm::setStops(std::vector<double> stops) {
    m_slider->setStops(std::move(stops));
}

void AskForm::setSliderNote(const QString& text) {
    m_sliderNote->setText(text);
    m_sliderNote->setVisible(!text.isEmpty());
}

void AskForm::showProblems(const QStringList& sentences) {
    m_problems->setText(sentences.join(u'\n'));
    m_problems->setVisible(!sentences.isEmpty());
    m_ask->setEnabled(sentences.isEmpty());
}

void AskForm::showWarning(const QString& sentence) {
    m_warning->setText(sentence);
    m_warning->setVisible(!sentence.isEmpty());
}

void AskForm::focusQuestion() {
    m_question->setFocus(Qt::OtherFocusReason);
    m_question->moveCursor(QTextCursor::End);
}

QWidget* AskForm::focusTarget() const {
    return m_question;
}

void AskForm::edited() {
    if (!m_loading)
        Q_EMIT changed();
}

void AskForm::fitQuestion() {
    // One line at rest, up to four while a longer question is written.
    const int lines = std::clamp(int(m_question->document()->size().height()), 1, 4);
    const int line = QFontMetrics(m_question->font()).lineSpacing();
    m_question->setFixedHeight(std::max(m_theme.px(44), line * lines + m_theme.px(20)));
}

void AskForm::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    m_question->ensurePolished();
    fitQuestion();
}

bool AskForm::eventFilter(QObject* watched, QEvent* event) {
    if (watched == m_question && event->type() == QEvent::KeyPress) {
        auto* key = static_cast<QKeyEvent*>(event);
        const bool enter = key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter;
        if (enter && key->modifiers() & Qt::ControlModifier) {
            if (m_ask->isEnabled())
                Q_EMIT askRequested();
            return true;
        }
    }
    return QWidget::eventFilter(watched, event);
}

} // namespace canopy::ui
