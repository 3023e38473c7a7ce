#include <csignal>
#include <cstdio>
#include <unistd.h>

#include <QApplication>
#include <QSocketNotifier>
#include <QThreadPool>
#include <QTimer>

#include "app/canopy/canopy_app.h"
#include "app/canopy/single_instance.h"
#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "ui/shell/main_window.h"

namespace {

int g_signalPipe[2] = {-1, -1};

void onSignal(int) {
    const char byte = 1;
    // Nothing can be done about a full pipe, and one byte is enough.
    [[maybe_unused]] const auto written = write(g_signalPipe[1], &byte, 1);
}

} // namespace

int main(int argc, char** argv) {
    const double started = canopy::steadySeconds();
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--version") {
            std::puts("canopy " CANOPY_VERSION);
            return 0;
        }
        if (argument == "--help") {
            std::puts("canopy: the window of Canopy.\n"
                      "  --version  print the version\n"
                      "  --help     print this text\n"
                      "Clips are made on the command line with canopy-cli.");
            return 0;
        }
    }
    QApplication app(argc, argv);
    QApplication::setApplicationName(QStringLiteral("canopy"));
    QApplication::setApplicationDisplayName(QStringLiteral("Canopy"));
    QApplication::setApplicationVersion(QStringLiteral(CANOPY_VERSION));
    QApplication::setDesktopFileName(QStringLiteral("canopy"));

    canopy::SingleInstance instance(QString::fromStdString(canopy::dataFolder().string()));
    if (!instance.claim()) {
        std::fputs("Canopy is open already; its window was brought to the front.\n", stderr);
        return 0;
    }
    canopy::openLogFiles(canopy::stateFolder() / "logs", "canopy", canopy::LogLevel::Debug);
    canopy::logInfo("ui", "Canopy " CANOPY_VERSION " starts.");

    canopy::AppOptions options;
    if (const char* worker = std::getenv("CANOPY_WORKER"))
        options.workerProgram = worker;
    canopy::CanopyApp canopyApp(std::move(options));
    QObject::connect(&instance, &canopy::SingleInstance::raiseRequested, &canopyApp.window(),
                     &canopy::ui::MainWindow::raiseToFront);

    // SIGTERM and log-out end the window as quietly as its own close button, without questions.
    if (pipe(g_signalPipe) == 0) {
        auto* notifier = new QSocketNotifier(g_signalPipe[0], QSocketNotifier::Read, &app);
        QObject::connect(notifier, &QSocketNotifier::activated, &canopyApp.window(),
                         &canopy::ui::MainWindow::quitAtOnce);
        std::signal(SIGTERM, onSignal);
        std::signal(SIGINT, onSignal);
        std::signal(SIGHUP, onSignal);
    }
    QObject::connect(&app, &QGuiApplication::commitDataRequest, &canopyApp.window(),
                     &canopy::ui::MainWindow::quitAtOnce, Qt::DirectConnection);

    canopyApp.show();
    QTimer::singleShot(0, &app, [started] {
        canopy::logInfo("ui", "The window was shown after " +
                                  std::to_string(int((canopy::steadySeconds() - started) * 1000)) + " ms.");
    });
    const int code = QApplication::exec();
    QThreadPool::globalInstance()->waitForDone();
    return code;
}
