#pragma once

#include <filesystem>

#include <QByteArray>
#include <QString>
#include <QStringList>

#include "ui/theme/theme_manager.h"

namespace canopy::ui {

/// What the window remembers between starts. A value.
struct UiSettings {
    ThemeChoice theme = ThemeChoice::System;
    double scale = 1;
    QString clipFolder; ///< empty = the default of core/base
    int threads = 0;    ///< 0 = all
    bool expert = false;
    bool loop = true;
    bool seedLocked = false;
    QStringList prompts; ///< history, newest last
    QByteArray geometry;
    QByteArray docks;
    bool operator==(const UiSettings&) const = default;
};

/// A missing file gives defaults. A broken one is moved aside; a key of the wrong type gives its default.
/// `note` says so in one sentence, else is left alone.
UiSettings loadUiSettings(const std::filesystem::path& file, QString* note = nullptr);
Result<void> saveUiSettings(const std::filesystem::path& file, const UiSettings& settings);

} // namespace canopy::ui
