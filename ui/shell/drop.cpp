#include "ui/shell/drop.h"

#include <QFileInfo>
#include <QMimeData>
#include <QUrl>

namespace canopy::ui {

Drop classifyDrop(const QMimeData* data) {
    if (!data || !data->hasUrls())
        return {};
    for (const QUrl& url : data->urls()) {
        if (!url.isLocalFile())
            continue;
        const QString file = url.toLocalFile();
        const QFileInfo info(file);
        if (info.isDir())
            return {DropKind::Folder, file};
        const QString suffix = info.suffix().toLower();
        for (const char* s : {"mp4", "m4v", "mov", "mkv", "webm"})
            if (suffix == QLatin1String(s))
                return {DropKind::Clip, file};
        for (const char* s : {"png", "jpg", "jpeg", "webp"})
            if (suffix == QLatin1String(s))
                return {DropKind::Image, file};
        if (suffix == QLatin1String("canopy"))
            return {DropKind::Session, file};
        if (suffix == QLatin1String("txt"))
            return {DropKind::Prompt, file};
    }
    return {};
}

} // namespace canopy::ui
