#include "ui/theme/theme_manager.h"

#include <algorithm>

#include <QApplication>
#include <QDBusConnection>
#include <QDBusMessage>
#include <QDBusPendingCallWatcher>
#include <QDBusPendingReply>
#include <QDBusVariant>
#include <QFile>
#include <QFileInfo>
#include <QFontDatabase>
#include <QStyleFactory>

#include "core/base/log.h"

// Q_INIT_RESOURCE must stand outside every namespace.
static void initResources() {
    Q_INIT_RESOURCE(canopy);
}

namespace canopy::ui {
namespace {

const QString kService = QStringLiteral("org.freedesktop.portal.Desktop");
const QString kPath = QStringLiteral("/org/freedesktop/portal/desktop");
const QString kInterface = QStringLiteral("org.freedesktop.portal.Settings");
const QString kAppearance = QStringLiteral("org.freedesktop.appearance");

bool hasSessionBus() {
    // Without this check libdbus may try to launch a bus, which blocks.
    if (!qEnvironmentVariableIsEmpty("DBUS_SESSION_BUS_ADDRESS"))
        return true;
    const QString runtime = qEnvironmentVariable("XDG_RUNTIME_DIR");
    return !runtime.isEmpty() && QFileInfo::exists(runtime + QStringLiteral("/bus"));
}

} // namespace

ThemeManager::ThemeManager(Tokens tokens, QObject* parent)
    : QObject(parent)
    , m_tokens(std::move(tokens))
    , m_startedDark(QApplication::palette().color(QPalette::Window).lightnessF() < 0.5) {
    m_theme = Theme(m_tokens, m_startedDark ? Palette::Dark : Palette::Light, 1);
}

void ThemeManager::setChoice(ThemeChoice choice) {
    m_choice = choice;
    rebuild();
}

void ThemeManager::setScale(double scale) {
    m_theme = Theme(m_tokens, m_theme.palette(), std::clamp(scale, 0.8, 3.0));
    apply();
}

void ThemeManager::rebuild() {
    const bool systemDark = m_portalDark.value_or(m_startedDark);
    Palette palette = systemDark ? Palette::Dark : Palette::Light;
    if (m_choice == ThemeChoice::Dark)
        palette = Palette::Dark;
    else if (m_choice == ThemeChoice::Light)
        palette = Palette::Light;
    else if (m_choice == ThemeChoice::HighContrast || m_portalContrast)
        palette = systemDark ? Palette::HighContrastDark : Palette::HighContrastLight;
    m_theme = Theme(m_tokens, palette, m_theme.scale());
    apply();
}

void ThemeManager::apply() {
    QFile file(QStringLiteral(":/theme/canopy.qss"));
    if (!file.open(QIODevice::ReadOnly))
        qFatal("The style sheet is not among the resources");
    auto sheet = m_theme.expand(QString::fromUtf8(file.readAll()));
    if (!sheet)
        qFatal("%s", sheet.error().message.c_str());
    QApplication::setPalette(m_theme.qtPalette());
    QApplication::setFont(m_theme.font(TextStyle::Body));
    qApp->setStyleSheet(*sheet);
    Q_EMIT changed(m_theme);
}

void ThemeManager::followDesktop() {
    if (!hasSessionBus())
        return;
    auto bus = QDBusConnection::sessionBus();
    if (!bus.isConnected()) {
        logInfo("ui", "No session bus, so the theme follows the palette and not the desktop's setting.");
        return;
    }
    bus.connect(kService, kPath, kInterface, QStringLiteral("SettingChanged"), this,
                SLOT(onPortalSetting(QString, QString, QDBusVariant)));
    ask(QStringLiteral("color-scheme"));
    ask(QStringLiteral("contrast"));
}

void ThemeManager::ask(const QString& key) {
    auto message = QDBusMessage::createMethodCall(kService, kPath, kInterface, QStringLiteral("Read"));
    message << kAppearance << key;
    auto* watcher = new QDBusPendingCallWatcher(QDBusConnection::sessionBus().asyncCall(message), this);
    connect(watcher, &QDBusPendingCallWatcher::finished, this, [this, key](QDBusPendingCallWatcher* done) {
        done->deleteLater();
        const QDBusPendingReply<QDBusVariant> reply = *done;
        // No portal, or one without this setting: the palette's brightness stays the rule.
        if (!reply.isError())
            onPortalSetting(kAppearance, key, reply.value());
    });
}

void ThemeManager::onPortalSetting(const QString& group, const QString& key, const QDBusVariant& value) {
    if (group != kAppearance)
        return;
    QVariant inner = value.variant();
    if (inner.canConvert<QDBusVariant>()) // Read wraps twice, SettingChanged once
        inner = inner.value<QDBusVariant>().variant();
    bool ok = false;
    const unsigned number = inner.toUInt(&ok);
    if (ok)
        take(key, number);
}

void ThemeManager::take(const QString& key, unsigned value) {
    if (key == QLatin1String("color-scheme")) { // 0 no preference, 1 dark, 2 light
        m_portalDark = value == 1 ? std::optional(true) : value == 2 ? std::optional(false) : std::nullopt;
        rebuild();
    } else if (key == QLatin1String("contrast")) {
        m_portalContrast = value == 1;
        rebuild();
    }
}

Result<Tokens> loadThemeResources() {
    initResources();
    QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
    for (const char* name : {"Inter-Regular.otf", "Inter-SemiBold.otf", "JetBrainsMono-Regular.ttf",
                             "JetBrainsMono-Medium.ttf", "JetBrainsMono-SemiBold.ttf"})
        if (QFontDatabase::addApplicationFont(QStringLiteral(":/fonts/%1").arg(QLatin1String(name))) < 0)
            return makeError(ErrorCode::Internal,
                             std::string("The font ") + name + " could not be loaded. Reinstall Canopy.");
    QFile file(QStringLiteral(":/theme/tokens.json"));
    if (!file.open(QIODevice::ReadOnly))
        return makeError(ErrorCode::Internal, "The theme file is not among the resources. Reinstall Canopy.");
    return tokensFromJson(file.readAll());
}

} // namespace canopy::ui
