#include "app/canopy/canopy_app.h"

#include <QTimer>

#include "core/base/files.h"
#include "core/base/log.h"
#include "core/formats/model_folders.h"
#include "core/formats/qa_model.h"
#include "core/media/media_info.h"
#include "core/studio/studio.h"
#include "ui/link/studio_link.h"
#include "ui/shell/main_window.h"
#include "ui/theme/theme_manager.h"

namespace canopy {
namespace {

ui::StudioLink::Models usableModels(const ModelFolders& folders) {
    ui::StudioLink::Models models;
    for (auto& result : folders.scan()) {
        if (result.record)
            models.clips.push_back(std::move(*result.record));
        else if (result.error)
            logInfo("models", result.error->message);
    }
    for (auto& result : scanQaModels(folders))
        models.questions.push_back(std::move(result.record));
    return models;
}

std::filesystem::path orDefault(const std::filesystem::path& path, const std::filesystem::path& fallback) {
    return path.empty() ? fallback : path;
}

} // namespace

CanopyApp::CanopyApp(AppOptions options) {
    auto tokens = ui::loadThemeResources();
    if (!tokens)
        qFatal("%s", tokens.error().message.c_str());
    m_themes = std::make_unique<ui::ThemeManager>(std::move(*tokens));

    const auto config = orDefault(options.configFolder, configFolder());
    ui::WindowOptions window;
    window.settingsFile = config / "window.json";
    window.settings = ui::loadUiSettings(window.settingsFile, &window.note);
    window.defaultClipFolder = clipFolder();
    window.clipFolder = options.clipFolder;
    if (window.clipFolder.empty())
        window.clipFolder = window.settings.clipFolder.toStdString();
    if (window.clipFolder.empty())
        window.clipFolder = window.defaultClipFolder;
    const auto resources = resourceFolder();
    window.licenceFolders = {resources.parent_path() / "packaging" / "licenses", resources / "licenses",
                             resources / "fonts", resources / "icons"};
    window.version = QStringLiteral(CANOPY_VERSION);
    window.mediaText = QString::fromStdString(media::mediaLibraryText());

    const ModelFolders folders =
        options.configFolder.empty() ? ModelFolders() : ModelFolders(config / "model-folders.json");
    ui::StudioLink::Ways ways;
    ways.openStudio = [options, folders, clips = window.clipFolder] {
        StudioOptions studio;
        studio.dataFolder = options.dataFolder;
        studio.stateFolder = options.stateFolder;
        studio.clipFolder = clips;
        studio.programVersion = CANOPY_VERSION;
        studio.workerProgram = options.workerProgram;
        studio.findModel = [folders](const GenerationRequest& request) {
            auto found = findModel(request.modelId, folders);
            // A model whose folder was taken off the list still runs from where it was.
            return found || request.modelPath.empty() ? found : findModel(request.modelPath, folders);
        };
        studio.findQaModel = [folders](const AskRequest& request) {
            auto found = findQaModel(request.modelId, folders);
            return found || request.modelPath.empty() ? found : findQaModel(request.modelPath, folders);
        };
        return Studio::open(std::move(studio));
    };
    ways.scanModels = [folders] { return usableModels(folders); };
    ways.addModelFolder = [folders](const std::filesystem::path& folder) -> Result<ui::StudioLink::Models> {
        if (scanFolder(folder).empty() && scanQaFolder(folder).empty())
            return makeError(ErrorCode::NotFound,
                             "No model was found there. Expected is a text-to-video model in the layout of "
                             "diffusers, of the original releases or of ComfyUI, or a LLaVA model for "
                             "questions about videos: " +
                                 folder.string());
        if (auto added = folders.add(folder); !added)
            return added.error();
        return usableModels(folders);
    };
    m_link = std::make_unique<ui::StudioLink>(std::move(ways));
    m_themes->setScale(window.settings.scale);
    m_themes->setChoice(window.settings.theme);
    m_window = std::make_unique<ui::MainWindow>(m_themes.get(), m_link.get(), std::move(window));
}

CanopyApp::~CanopyApp() {
    // The window goes first: nothing may show a studio that is ending.
    m_window.reset();
    m_link.reset();
}

void CanopyApp::show() {
    m_window->show();
    // Behind the first picture of the window, so that it is there within a moment.
    QTimer::singleShot(0, m_window.get(), [this] { m_window->startServices(); });
}

} // namespace canopy
