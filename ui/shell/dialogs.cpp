#include "ui/shell/dialogs.h"

#include <algorithm>

#include <QApplication>
#include <QDialogButtonBox>
#include <QFileDialog>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPlainTextEdit>
#include <QPointer>
#include <QPushButton>
#include <QScrollArea>
#include <QSlider>
#include <QSysInfo>
#include <QThreadPool>
#include <QVBoxLayout>

#include "core/base/files.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"
#include "ui/theme/fields.h"

namespace canopy::ui {
namespace {

constexpr std::uint64_t kMaxLicenceBytes = 1u << 20;

void addCloseButton(QDialog* dialog, QVBoxLayout* layout) {
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    buttons->button(QDialogButtonBox::Close)->setObjectName(QStringLiteral("closeButton"));
    QObject::connect(buttons, &QDialogButtonBox::rejected, dialog, &QDialog::reject);
    layout->addWidget(buttons);
}

} // namespace

PreferencesDialog::PreferencesDialog(const UiSettings& settings, const QString& defaultClipFolder,
                                     QWidget* parent)
    : QDialog(parent) {
    setObjectName(QStringLiteral("preferencesDialog"));
    setWindowTitle(tr("Preferences"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 16, 16, 16, 16, 16);
    auto* grid = new QGridLayout;
    dresser::setMargins(grid, 0, 0, 0, 0, 12);
    grid->setColumnStretch(1, 1);
    int row = 0;
    const auto addRow = [&](const QString& label, QWidget* field, QLayout* inner = nullptr) {
        auto* caption = textLabel(label, "label");
        caption->setBuddy(field);
        field->setAccessibleName(label);
        grid->addWidget(caption, row, 0);
        if (inner)
            grid->addLayout(inner, row, 1);
        else
            grid->addWidget(field, row, 1);
        ++row;
    };

    auto* theme = new ComboField;
    theme->setObjectName(QStringLiteral("themeField"));
    theme->addItems({tr("As the desktop"), tr("Dark"), tr("Light"), tr("High contrast")});
    theme->setCurrentIndex(int(settings.theme));
    connect(theme, &QComboBox::currentIndexChanged, this,
            [this](int i) { Q_EMIT themeChosen(ThemeChoice(i)); });
    addRow(tr("Theme"), theme);

    auto* scaleRow = new QHBoxLayout;
    dresser::setMargins(scaleRow, 0, 0, 0, 0, 8);
    auto* scale = new QSlider(Qt::Horizontal);
    scale->setObjectName(QStringLiteral("scaleField"));
    scale->setRange(16, 60); // steps of 5 %
    scale->setPageStep(4);
    scale->setValue(int(settings.scale * 20 + 0.5));
    auto* percent = textLabel(tr("%1 %").arg(scale->value() * 5), "figure", QStringLiteral("scaleValue"));
    dresser::setReservedText(percent, QStringLiteral("300 %"));
    scaleRow->addWidget(scale, 1);
    scaleRow->addWidget(percent);
    connect(scale, &QSlider::valueChanged, this, [this, percent, scale](int value) {
        percent->setText(tr("%1 %").arg(value * 5));
        // While the handle is dragged the window under it must not change size.
        if (!scale->isSliderDown())
            Q_EMIT scaleChosen(value / 20.0);
    });
    connect(scale, &QSlider::sliderReleased, this,
            [this, scale] { Q_EMIT scaleChosen(scale->value() / 20.0); });
    addRow(tr("Size of the interface"), scale, scaleRow);

    auto* folderRow = new QHBoxLayout;
    dresser::setMargins(folderRow, 0, 0, 0, 0, 8);
    auto* folder = new QLineEdit(settings.clipFolder);
    folder->setObjectName(QStringLiteral("clipFolderField"));
    folder->setPlaceholderText(defaultClipFolder);
    dresser::setMinimumWidth(folder, 280);
    auto* choose = new QPushButton(tr("Choose…"));
    choose->setObjectName(QStringLiteral("clipFolderChoose"));
    choose->setAccessibleName(tr("Choose the clip folder"));
    folderRow->addWidget(folder, 1);
    folderRow->addWidget(choose);
    connect(folder, &QLineEdit::editingFinished, this,
            [this, folder] { Q_EMIT clipFolderChosen(folder->text()); });
    connect(choose, &QPushButton::clicked, this, [this, folder, defaultClipFolder] {
        const QString start = folder->text().isEmpty() ? defaultClipFolder : folder->text();
        const QString chosen = QFileDialog::getExistingDirectory(this, tr("Clip folder"), start);
        if (chosen.isEmpty())
            return;
        folder->setText(chosen);
        Q_EMIT clipFolderChosen(chosen);
    });
    addRow(tr("Clip folder"), folder, folderRow);
    auto* hint = textLabel(
        tr("Another clip folder is used from the next start on. Clips stay where they are."), "hint");
    grid->addWidget(hint, row++, 1);

    auto* threads = new NumberField;
    threads->setObjectName(QStringLiteral("defaultThreadsField"));
    threads->setRange(0, 256);
    threads->setSpecialValueText(tr("all"));
    threads->setValue(settings.threads);
    connect(threads, &QSpinBox::valueChanged, this, &PreferencesDialog::threadsChosen);
    addRow(tr("CPU threads"), threads);
    layout->addLayout(grid);
    addCloseButton(this, layout);
}

ShortcutsDialog::ShortcutsDialog(QWidget* parent)
    : QDialog(parent) {
    setObjectName(QStringLiteral("shortcutsDialog"));
    setWindowTitle(tr("Keyboard shortcuts"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 16, 16, 16, 16, 16);
    struct Key {
        QString keys;
        QString what;
    };
    const std::vector<std::pair<QString, std::vector<Key>>> groups = {
        {tr("Everywhere"),
         {{tr("Ctrl+1, Ctrl+2, Ctrl+4"), tr("Create, Compare, Ask; also with Alt")},
          {tr("Ctrl+Enter"), tr("Generate; in Ask: ask")},
          {tr("Ctrl+N"), tr("New question")},
          {tr("Ctrl+Shift+Enter"), tr("Generate before all waiting jobs")},
          {tr("Ctrl+Alt+Enter"), tr("Cancel the clip being made")},
          {tr("Ctrl+Alt+P"), tr("Pause or resume the queue")},
          {tr("Alt+Up, Alt+Down"), tr("Earlier and later prompts")},
          {tr("Ctrl+E"), tr("Simple or Expert")},
          {tr("F6, Shift+F6"), tr("Next and previous pane")},
          {tr("F3"), tr("Profiler over the picture, where OpenGL works")},
          {tr("F11"), tr("Full screen")},
          {tr("F1"), tr("This list")}}},
        {tr("While the picture has focus"),
         {{tr("Space"), tr("Play or pause")},
          {tr("L, J"), tr("Play forwards, backwards; again for 2×, 4×, 8×")},
          {tr("K"), tr("Pause; held with J or L: slow motion")},
          {tr("Left, Right"), tr("One frame")},
          {tr("Shift+Left, Shift+Right"), tr("One second")},
          {tr("Home, End"), tr("First and last frame")},
          {tr("Ctrl+wheel"), tr("Zoom")}}},
        {tr("While the pictures or the strips have focus in Compare"),
         {{tr("W, X, 0, M"), tr("Wipe, blink, difference, next way")},
          {tr("[, ]"), tr("Move the wipe")},
          {tr("S"), tr("Swap A and B")},
          {tr("N"), tr("Next worst frame")}}},
        {tr("While picture, strip, forest or kept counts have focus in Ask"),
         {{tr("T, Shift+T"), tr("Tokens, links between frames")},
          {tr("Ctrl+arrows"), tr("Move over the cells of the frame")},
          {tr("Enter"), tr("Light the tree of the cell, or its similarity")},
          {tr("Escape"), tr("Let go")},
          {tr("Left, Right"), tr("Below the picture: one sampled frame")},
          {tr("Up, Down"), tr("In the forest: one tree")}}}};
    auto* grid = new QGridLayout;
    dresser::setMargins(grid, 0, 0, 0, 0, 6);
    grid->setColumnStretch(1, 1);
    int row = 0;
    for (const auto& [title, keys] : groups) {
        grid->addWidget(textLabel(title, "strong"), row++, 0, 1, 2);
        for (const auto& key : keys) {
            grid->addWidget(textLabel(key.keys, "figure"), row, 0);
            grid->addWidget(textLabel(key.what, "label"), row++, 1);
        }
        grid->setRowMinimumHeight(row++, 8);
    }
    auto* content = new QWidget;
    auto* contentLayout = new QVBoxLayout(content);
    contentLayout->setContentsMargins(0, 0, 0, 0);
    contentLayout->addLayout(grid);
    contentLayout->addStretch(1);
    auto* scroll = new QScrollArea;
    scroll->setWidgetResizable(true);
    scroll->setWidget(content);
    dresser::setMinimumWidth(scroll, 500);
    dresser::setMinimumHeight(scroll, 440);
    layout->addWidget(scroll, 1);
    addCloseButton(this, layout);
}

LicencesDialog::LicencesDialog(const std::vector<std::filesystem::path>& folders, QWidget* parent)
    : QDialog(parent) {
    setObjectName(QStringLiteral("licencesDialog"));
    setWindowTitle(tr("Licences"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 16, 16, 16, 16, 16);
    auto* row = new QHBoxLayout;
    dresser::setMargins(row, 0, 0, 0, 0, 12);
    auto* list = new QListWidget;
    list->setObjectName(QStringLiteral("licenceList"));
    list->setAccessibleName(tr("Parts"));
    dresser::setFixedWidth(list, 220);
    auto* text = new QPlainTextEdit;
    text->setObjectName(QStringLiteral("licenceText"));
    text->setAccessibleName(tr("Licence text"));
    text->setReadOnly(true);
    text->setPlainText(tr("Reading…"));
    dresser::setMinimumWidth(text, 520);
    dresser::setMinimumHeight(text, 420);
    row->addWidget(list);
    row->addWidget(text, 1);
    layout->addLayout(row, 1);
    addCloseButton(this, layout);
    connect(list, &QListWidget::currentItemChanged, text, [text](QListWidgetItem* item) {
        if (item)
            text->setPlainText(item->data(Qt::UserRole).toString());
    });
    using Texts = std::vector<std::pair<QString, QString>>;
    QPointer<LicencesDialog> self(this);
    QThreadPool::globalInstance()->start([folders, self, list] {
        Texts texts;
        for (const auto& folder : folders) {
            std::error_code error;
            for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
                const std::string name = entry.path().filename().string();
                const bool isLicence = folder.filename() == "licenses" || name.starts_with("LICENSE");
                if (!isLicence || !entry.is_regular_file(error))
                    continue;
                if (auto content = readTextFile(entry.path(), kMaxLicenceBytes))
                    texts.emplace_back(QString::fromStdString(entry.path().stem().string()),
                                       QString::fromStdString(*content));
            }
        }
        std::sort(texts.begin(), texts.end());
        QMetaObject::invokeMethod(qApp, [self, list, texts] {
            if (!self)
                return;
            for (const auto& [name, content] : texts) {
                auto* item =
                    new QListWidgetItem(QString(name).replace(QStringLiteral("LICENSE-"), QString()), list);
                item->setData(Qt::UserRole, content);
            }
            list->setCurrentRow(0);
        });
    });
}

AboutDialog::AboutDialog(const QString& version, const QString& mediaText, QWidget* parent)
    : QDialog(parent) {
    setObjectName(QStringLiteral("aboutDialog"));
    setWindowTitle(tr("About Canopy"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 24, 24, 24, 16, 8);
    layout->addWidget(textLabel(tr("Canopy %1").arg(version), "sentence"));
    layout->addWidget(textLabel(tr("Makes video clips from a sentence, on this machine alone."), "label"));
    layout->addWidget(textLabel(tr("Qt %1").arg(QString::fromLatin1(qVersion())), "label"));
    if (!mediaText.isEmpty())
        layout->addWidget(textLabel(mediaText, "label"));
    layout->addWidget(textLabel(QSysInfo::prettyProductName(), "label"));
    auto* licence = textLabel(tr("Sources under Apache-2.0; this program as linked under GPL-3."), "label");
    layout->addWidget(licence);
    layout->addSpacing(12);
    addCloseButton(this, layout);
}

} // namespace canopy::ui
