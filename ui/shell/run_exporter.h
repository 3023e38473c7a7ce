#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include <QObject>

#include "ui/shell/note_bar.h"
#include "ui/tokens/token_layer.h"

class QMenu;

namespace canopy::ui {

class ViewerPanel;

/// Fills the Export menu and writes the files that are chosen there, off the GUI thread.
class RunExporter : public QObject {
    Q_OBJECT
public:
    RunExporter(TokenLayer* layer, ViewerPanel* viewer, NoteBar* notes, QMenu* menu, QWidget* window);
    ~RunExporter() override;

private:
    enum class Kind { Json, Csv, Png, Video };
    void choose(Kind kind);
    void write(Kind kind, const QString& file);
    void told(const QString& sentence);

    TokenLayer* m_layer;
    ViewerPanel* m_viewer;
    NoteBar* m_notes;
    QWidget* m_window;
    std::shared_ptr<std::atomic<bool>> m_stop;
};

} // namespace canopy::ui
