#pragma once

#include <functional>
#include <memory>

#include <QImage>
#include <QObject>

#include "ui/overlay/profiler_data.h"
#include "ui/theme/theme.h"

class QWidget;

namespace canopy::ui {

/// The profiler over the viewer. This base does nothing and is what a machine without OpenGL gets.
class Overlay {
public:
    virtual ~Overlay() = default;
    virtual bool isAvailable() const { return false; }
    virtual void setShown(bool) {}
    virtual bool isShown() const { return false; }
    virtual void setData(const ProfilerData&) {}
    virtual void setTheme(const Theme&) {}
    /// What is drawn now, in device pixels; null while hidden.
    virtual QImage grab() { return {}; }
    virtual double devicePixelRatio() const { return 1; }
};

/// Tries to make an OpenGL context in a thread of its own, since drivers take their time; `done` is called in
/// the GUI thread.
void probeOpenGl(QObject* receiver, std::function<void(bool works)> done);

/// Dear ImGui in an OpenGL window of its own, embedded in `viewer` and made at the first setShown(true). A
/// QOpenGLWidget would have the whole main window composed by OpenGL from then on, which costs more than the
/// overlay where OpenGL is software.
std::unique_ptr<Overlay> makeImguiOverlay(QWidget* viewer);

} // namespace canopy::ui
