#include "ui/theme/icons.h"

#include <QFile>
#include <QPainter>
#include <QSvgRenderer>

namespace canopy::ui {

QPixmap tintedPixmap(const QString& name, const QColor& colour, int logicalSize, double devicePixelRatio) {
    QPixmap pixmap(QSize(logicalSize, logicalSize) * devicePixelRatio);
    pixmap.fill(Qt::transparent);
    QFile file(QStringLiteral(":/icons/%1.svg").arg(name));
    if (!file.open(QIODevice::ReadOnly))
        qFatal("Icon '%s' is not among the resources", qPrintable(name));
    QSvgRenderer renderer(file.readAll().replace("currentColor", colour.name().toLatin1()));
    QPainter painter(&pixmap);
    renderer.render(&painter);
    painter.end();
    pixmap.setDevicePixelRatio(devicePixelRatio);
    return pixmap;
}

QIcon tintedIcon(const QString& name, const Theme& theme, Role role) {
    QIcon icon;
    const int size = theme.metric(QStringLiteral("size.icon"));
    for (double ratio : {1.0, 2.0}) {
        icon.addPixmap(tintedPixmap(name, theme.colour(role), size, ratio), QIcon::Normal);
        icon.addPixmap(tintedPixmap(name, theme.colour(Role::Text3), size, ratio), QIcon::Disabled);
    }
    return icon;
}

} // namespace canopy::ui
