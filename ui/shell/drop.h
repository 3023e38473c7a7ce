#pragma once

#include <QString>

class QMimeData;

namespace canopy::ui {

enum class DropKind { None, Clip, Image, Folder, Prompt };

/// What was dropped, by its first local file. A folder is a model folder, a text file a prompt.
struct Drop {
    DropKind kind = DropKind::None;
    QString file;
};

Drop classifyDrop(const QMimeData* data);

} // namespace canopy::ui
