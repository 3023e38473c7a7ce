#include <memory>

#include <QGuiApplication>
#include <QOffscreenSurface>
#include <QOpenGLContext>
#include <QPointer>
#include <QThread>

#include "core/base/log.h"
#include "ui/overlay/overlay.h"

namespace canopy::ui {

void probeOpenGl(QObject* receiver, std::function<void(bool works)> done) {
    const QString platform = QGuiApplication::platformName();
    // These platforms have no OpenGL, and asking them aborts the program.
    if (platform == QLatin1String("offscreen") || platform.startsWith(QLatin1String("minimal"))) {
        logInfo("ui", "This display has no OpenGL, so there is no profiler overlay.");
        return done(false);
    }
    auto surface = std::make_shared<QOffscreenSurface>();
    surface->create(); // belongs to the GUI thread
    auto works = std::make_shared<bool>(false);
    auto* thread = QThread::create([surface, works] {
        QOpenGLContext context;
        *works = context.create() && context.makeCurrent(surface.get());
        if (*works)
            context.doneCurrent();
    });
    // The surface lives in this lambda until here, so that it ends in the GUI thread too.
    QObject::connect(thread, &QThread::finished, receiver, [surface, works, thread, done = std::move(done)] {
        thread->deleteLater();
        if (!*works)
            logInfo("ui", "OpenGL does not work here, so there is no profiler overlay.");
        done(*works);
    });
    thread->start(QThread::LowPriority);
}

} // namespace canopy::ui
