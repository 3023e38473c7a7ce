#pragma once

#include <optional>

#include <QObject>
#include <QString>

#include "ui/theme/theme.h"

class QDBusVariant;

namespace canopy::ui {

enum class ThemeChoice { System, Dark, Light, HighContrast };

/// Owns the theme in use. Lives in the GUI thread. Follows the desktop portal once followDesktop() was
/// called, else the brightness of the palette Qt started with.
class ThemeManager : public QObject {
    Q_OBJECT
public:
    explicit ThemeManager(Tokens tokens, QObject* parent = nullptr);

    const Theme& theme() const { return m_theme; }
    ThemeChoice choice() const { return m_choice; }
    double scale() const { return m_theme.scale(); }

    void setChoice(ThemeChoice choice);
    /// 0.8 to 3; outside values are clamped.
    void setScale(double scale);
    /// Asks org.freedesktop.portal.Settings without waiting and listens for changes. Does nothing without a
    /// session bus.
    void followDesktop();
    /// Sets palette, font and style sheet of the application.
    void apply();

Q_SIGNALS:
    void changed(const canopy::ui::Theme& theme);

private Q_SLOTS:
    void onPortalSetting(const QString& group, const QString& key, const QDBusVariant& value);

private:
    void rebuild();
    void ask(const QString& key);
    void take(const QString& key, unsigned value);

    Tokens m_tokens;
    Theme m_theme;
    ThemeChoice m_choice = ThemeChoice::System;
    bool m_startedDark = true;
    std::optional<bool> m_portalDark;
    bool m_portalContrast = false;
};

/// Adds the shipped fonts and makes the resource files of this library known. Call once after QApplication.
Result<Tokens> loadThemeResources();

} // namespace canopy::ui
