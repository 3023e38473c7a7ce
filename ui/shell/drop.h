#pragma once

#include <QString>

class QMimeData;

namespace canopy::ui {

enum class DropKind { None, Clip, Image, Folder, Session, Prompt };

/// What was dropped, by its first local file. A folder is a model folder, a text file a prompt, a
/// .canopy file a recording.
struct Drop {
    DropKind kind = DropKind::None;
    QString file;
};

Drop classifyDrop(const QMimeData* data);

} // namespace canopy::ui
