#pragma once

#include <filesystem>
#include <vector>

#include <QDialog>

#include "ui/shell/ui_settings.h"

class QComboBox;
class QLineEdit;
class QSlider;
class QSpinBox;

namespace canopy::ui {

/// Theme and scale act at once; folder and threads are told when they change.
class PreferencesDialog : public QDialog {
    Q_OBJECT
public:
    PreferencesDialog(const UiSettings& settings, const QString& defaultClipFolder, QWidget* parent);

Q_SIGNALS:
    void themeChosen(canopy::ui::ThemeChoice choice);
    void scaleChosen(double scale);
    void clipFolderChosen(const QString& folder); ///< empty = the default
    void threadsChosen(int threads);
};

/// Every key of the window, from one table.
class ShortcutsDialog : public QDialog {
    Q_OBJECT
public:
    explicit ShortcutsDialog(QWidget* parent);
};

/// The texts in these folders, one at a time; read off the GUI thread.
class LicencesDialog : public QDialog {
    Q_OBJECT
public:
    LicencesDialog(const std::vector<std::filesystem::path>& folders, QWidget* parent);
};

class AboutDialog : public QDialog {
    Q_OBJECT
public:
    AboutDialog(const QString& version, const QString& mediaText, QWidget* parent);
};

} // namespace canopy::ui
