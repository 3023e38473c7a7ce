#pragma once

#include <filesystem>
#include <memory>

#include <QObject>

namespace canopy {

namespace ui {
class MainWindow;
class StudioLink;
class ThemeManager;
} // namespace ui

/// Where a window's data lies. Empty = as core/base says for this user.
struct AppOptions {
    std::filesystem::path dataFolder;
    std::filesystem::path stateFolder;
    std::filesystem::path configFolder;
    std::filesystem::path clipFolder;    ///< wins over the person's setting
    std::filesystem::path workerProgram; ///< empty = `canopy-worker` beside the executable
};

/// Composition root of the window: the only place that knows studio, models, theme and window at once. GUI
/// thread.
class CanopyApp : public QObject {
    Q_OBJECT
public:
    explicit CanopyApp(AppOptions options = {});
    ~CanopyApp() override;

    /// Shows the window; what may take time starts behind it.
    void show();
    ui::MainWindow& window() { return *m_window; }
    ui::StudioLink& link() { return *m_link; }
    ui::ThemeManager& themes() { return *m_themes; }

private:
    std::unique_ptr<ui::ThemeManager> m_themes;
    std::unique_ptr<ui::StudioLink> m_link;
    std::unique_ptr<ui::MainWindow> m_window;
};

} // namespace canopy
