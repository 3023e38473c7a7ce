#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include <QApplication>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QTemporaryDir>
#include <QTest>

#include "app/canopy/canopy_app.h"
#include "ui/link/studio_link.h"
#include "ui/panels/library_panel.h"
#include "ui/panels/queue_panel.h"
#include "ui/panels/request_panel.h"
#include "ui/panels/viewer_panel.h"
#include "ui/shell/create_workspace.h"
#include "ui/shell/main_window.h"

namespace canopy::test {

/// The whole window over an empty folder of its own and a worker of the test's choice, driven as a person
/// would.
class WindowDriver {
public:
    explicit WindowDriver(const std::string& workerName) {
        const auto folder = std::filesystem::path(m_folder.path().toStdString());
        AppOptions options;
        options.dataFolder = folder / "data";
        options.stateFolder = folder / "state";
        options.configFolder = folder / "config";
        options.clipFolder = folder / "clips";
        options.workerProgram =
            std::filesystem::path(qEnvironmentVariable("CANOPY_BIN_DIR").toStdString()) / workerName;
        m_app = std::make_unique<CanopyApp>(std::move(options));
        m_app->window().resize(1440, 900);
        m_app->show();
    }
    ~WindowDriver() {
        if (m_app)
            m_app->window().quitAtOnce();
    }

    ui::MainWindow& window() { return m_app->window(); }
    ui::ViewerPanel& viewer() { return window().viewerPanel(); }
    ui::RequestPanel& form() { return window().requestPanel(); }
    ui::StudioLink& link() { return m_app->link(); }
    std::filesystem::path folder() const { return m_folder.path().toStdString(); }
    QString path() const { return m_folder.path(); }

    template <typename T>
    T* find(const char* name) {
        return window().findChild<T*>(QLatin1String(name));
    }

    void type(const QString& prompt) {
        auto* field = find<QPlainTextEdit>("promptField");
        field->setFocus();
        field->selectAll();
        QTest::keyClicks(field, prompt);
    }

    bool canGenerate() { return form().model() && link().snapshot() && form().generateButton()->isEnabled(); }
    void press() { QTest::mouseClick(form().generateButton(), Qt::LeftButton); }

    const JobRow* lastJob() {
        const auto& snapshot = link().snapshot();
        return snapshot && !snapshot->jobs.empty() ? &snapshot->jobs.back() : nullptr;
    }
    bool lastIs(JobState state) {
        const auto* job = lastJob();
        return job && job->record.state == state;
    }
    int clips() { return window().libraryPanel().model().rowCount(); }
    WorkerView worker() { return link().snapshot() ? link().snapshot()->worker : WorkerView{}; }

private:
    QTemporaryDir m_folder;
    std::unique_ptr<CanopyApp> m_app;
};

} // namespace canopy::test
