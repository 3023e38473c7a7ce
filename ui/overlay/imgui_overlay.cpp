#include <array>
#include <cmath>
#include <vector>

#include <QElapsedTimer>
#include <QFile>
#include <QMouseEvent>
#include <QOpenGLContext>
#include <QOpenGLFunctions>
#include <QOpenGLWindow>
#include <QPointer>
#include <QTimer>
#include <QWheelEvent>
#include <QWidget>

#include <imgui.h>
#include <imgui_impl_opengl3.h>

#include "core/base/log.h"
#include "ui/overlay/overlay.h"

namespace canopy::ui {
namespace {

ImVec4 toImGui(const QColor& c, float alpha = 1) {
    return {float(c.redF()), float(c.greenF()), float(c.blueF()), alpha};
}

std::string bytesText(std::uint64_t bytes) {
    std::array<char, 32> text{};
    const double value = double(bytes);
    if (value >= 1e9)
        std::snprintf(text.data(), text.size(), "%.2f GB", value / 1e9);
    else
        std::snprintf(text.data(), text.size(), "%.1f MB", value / 1e6);
    return text.data();
}

/// ImGui works in device pixels here: every position and size is multiplied by the device pixel ratio.
class ImguiWindow : public QOpenGLWindow {
public:
    ImguiWindow() {
        setObjectName(QStringLiteral("profilerOverlay"));
        setFlag(Qt::WindowDoesNotAcceptFocus); // keys stay with the viewer
        m_timer.setInterval(100);
        QObject::connect(&m_timer, &QTimer::timeout, this, [this] { update(); });
    }

    ~ImguiWindow() override {
        if (!m_context)
            return;
        makeCurrent();
        ImGui::SetCurrentContext(m_context);
        ImGui_ImplOpenGL3_Shutdown();
        ImGui::DestroyContext(m_context);
        doneCurrent();
    }

    void setData(const ProfilerData& newest) { m_data = newest; }
    void setTheme(const Theme& theme) {
        m_theme = theme;
        m_builtFor = 0; // fonts and colours are made again with the next frame
    }

protected:
    void initializeGL() override {
        m_context = ImGui::CreateContext();
        ImGui::SetCurrentContext(m_context);
        ImGui::GetIO().IniFilename = nullptr;
        ImGui_ImplOpenGL3_Init("#version 130");
    }

    void paintGL() override {
        QElapsedTimer cost;
        cost.start();
        ImGui::SetCurrentContext(m_context);
        auto& io = ImGui::GetIO();
        const float ratio = float(devicePixelRatio());
        if (m_builtFor != ratio)
            rebuild(ratio);
        io.DisplaySize = {float(width()) * ratio, float(height()) * ratio};
        io.DisplayFramebufferScale = {1, 1};
        io.DeltaTime = m_sinceFrame.isValid() ? std::max(1e-4f, float(m_sinceFrame.restart()) / 1000) : 0.1f;
        if (!m_sinceFrame.isValid())
            m_sinceFrame.start();
        io.MousePos = m_mouse.x() < 0 ? ImVec2(-FLT_MAX, -FLT_MAX)
                                      : ImVec2(float(m_mouse.x()) * ratio, float(m_mouse.y()) * ratio);
        io.MouseDown[0] = m_pressed;
        io.MouseWheel = std::exchange(m_wheel, 0.0f);
        ImGui_ImplOpenGL3_NewFrame();
        ImGui::NewFrame();
        draw(ratio);
        ImGui::Render();
        // Qt has bound the window's framebuffer already; nothing here may bind another.
        auto* gl = context()->functions();
        const QColor back = m_theme.colour(Role::Panel);
        gl->glClearColor(float(back.redF()), float(back.greenF()), float(back.blueF()), 1);
        gl->glClear(GL_COLOR_BUFFER_BIT);
        ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
        const float millis = float(cost.nsecsElapsed()) / 1e6f;
        m_cost = m_cost == 0 ? millis : m_cost * 0.9f + millis * 0.1f;
    }

    void exposeEvent(QExposeEvent* event) override {
        QOpenGLWindow::exposeEvent(event);
        isExposed() ? m_timer.start() : m_timer.stop();
    }
    void mouseMoveEvent(QMouseEvent* event) override {
        m_mouse = event->position();
        update();
    }
    void mousePressEvent(QMouseEvent* event) override {
        m_pressed = event->button() == Qt::LeftButton;
        update();
    }
    void mouseReleaseEvent(QMouseEvent*) override {
        m_pressed = false;
        update();
    }
    bool event(QEvent* event) override {
        if (event->type() == QEvent::Leave) {
            m_mouse = {-1, -1};
            update();
        }
        return QOpenGLWindow::event(event);
    }
    void wheelEvent(QWheelEvent* event) override {
        m_wheel += float(event->angleDelta().y()) / 120;
        event->accept();
        update();
    }

private:
    void rebuild(float ratio) {
        m_builtFor = ratio;
        auto& io = ImGui::GetIO();
        io.Fonts->Clear();
        QFile file(QStringLiteral(":/fonts/JetBrainsMono-Regular.ttf"));
        // ImGui counts ascent and descent in: 1.32 em of this font.
        const float size = std::round(float(m_theme.px(12)) * 1.32f * ratio);
        if (file.open(QIODevice::ReadOnly)) {
            m_font = file.readAll();
            ImFontConfig config;
            config.FontDataOwnedByAtlas = false;
            io.Fonts->AddFontFromMemoryTTF(m_font.data(), int(m_font.size()), size, &config);
        }
        ImGui_ImplOpenGL3_DestroyFontsTexture();
        ImGui_ImplOpenGL3_CreateFontsTexture();
        auto& style = ImGui::GetStyle();
        style = ImGuiStyle();
        style.ScaleAllSizes(ratio * float(m_theme.scale()));
        style.WindowRounding = 0;
        style.WindowBorderSize = 1;
        style.Colors[ImGuiCol_WindowBg] = toImGui(m_theme.colour(Role::Panel));
        style.Colors[ImGuiCol_Border] = toImGui(m_theme.colour(Role::Outline));
        style.Colors[ImGuiCol_Text] = toImGui(m_theme.colour(Role::Text));
        style.Colors[ImGuiCol_TextDisabled] = toImGui(m_theme.colour(Role::Text2));
        style.Colors[ImGuiCol_FrameBg] = toImGui(m_theme.colour(Role::Surround));
        style.Colors[ImGuiCol_PlotHistogram] = toImGui(m_theme.colour(Role::Accent));
        style.Colors[ImGuiCol_PlotHistogramHovered] = toImGui(m_theme.colour(Role::Warning));
        style.Colors[ImGuiCol_PlotLines] = toImGui(m_theme.colour(Role::Accent));
        style.Colors[ImGuiCol_Separator] = toImGui(m_theme.colour(Role::Line));
    }

    void draw(float ratio) {
        const auto& io = ImGui::GetIO();
        ImGui::SetNextWindowPos({0, 0});
        ImGui::SetNextWindowSize(io.DisplaySize);
        ImGui::Begin("Profiler", nullptr,
                     ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove |
                         ImGuiWindowFlags_NoSavedSettings);
        const ImVec2 plot(ImGui::GetContentRegionAvail().x, float(m_theme.px(56)) * ratio);
        ImGui::TextUnformatted("Profiler");
        ImGui::SameLine();
        ImGui::TextDisabled("measured; F3 closes");
        ImGui::Separator();
        if (m_data.stages().empty())
            ImGui::TextDisabled("No stage times yet. They come with the next job.");
        for (const auto& stage : m_data.stages())
            ImGui::Text("%-12s %9.1f ms", stage.name.c_str(), stage.seconds * 1e3);
        if (!m_data.stepMillis().empty()) {
            const std::vector<float> steps(m_data.stepMillis().begin(), m_data.stepMillis().end());
            ImGui::TextDisabled("Steps, last %d", int(steps.size()));
            ImGui::PlotHistogram("##steps", steps.data(), int(steps.size()), 0, nullptr, 0, FLT_MAX, plot);
        }
        if (!m_data.blockMillis().empty()) {
            ImGui::TextDisabled("Blocks of the last step, ms");
            ImGui::PlotHistogram("##blocks", m_data.blockMillis().data(), int(m_data.blockMillis().size()), 0,
                                 nullptr, 0, FLT_MAX, plot);
            float sum = 0, highest = 0;
            for (const float b : m_data.blockMillis()) {
                sum += b;
                highest = std::max(highest, b);
            }
            ImGui::Text("%d blocks, sum %.1f ms, slowest %.1f ms", int(m_data.blockMillis().size()), sum,
                        highest);
        }
        if (m_data.blockMillis().empty() && !m_data.stepMillis().empty())
            ImGui::TextDisabled("Block times come with the next job.");
        ImGui::Separator();
        const auto& worker = m_data.worker();
        ImGui::Text("Memory   now %s  peak %s", bytesText(worker.residentBytes).c_str(),
                    bytesText(m_data.peakBytes()).c_str());
        if (worker.deviceBytes)
            ImGui::Text("GPU      now %s", bytesText(worker.deviceBytes).c_str());
        if (m_data.plannedBytes())
            ImGui::Text("Plan     %s predicted", bytesText(m_data.plannedBytes()).c_str());
        const auto& traffic = m_data.traffic();
        ImGui::Text("Channel  in %s, %llu messages", bytesText(traffic.bytesIn).c_str(),
                    static_cast<unsigned long long>(traffic.messagesIn));
        ImGui::Text("         out %s, %llu messages", bytesText(traffic.bytesOut).c_str(),
                    static_cast<unsigned long long>(traffic.messagesOut));
        ImGui::Text("Dropped  %llu previews unseen, %llu left out by the worker",
                    static_cast<unsigned long long>(traffic.previewsUnseen),
                    static_cast<unsigned long long>(traffic.droppedInWorker));
        ImGui::Text("Overlay  %.2f ms a frame, 10 frames a second", m_cost);
        ImGui::End();
    }

    ImGuiContext* m_context = nullptr;
    ProfilerData m_data;
    Theme m_theme;
    QByteArray m_font; ///< ImGui reads it for as long as the atlas lives
    QTimer m_timer;
    QElapsedTimer m_sinceFrame;
    QPointF m_mouse = {-1, -1};
    bool m_pressed = false;
    float m_wheel = 0;
    float m_builtFor = 0; ///< device pixel ratio of fonts and style; 0 = not built
    float m_cost = 0;
};

class ImguiOverlay final : public Overlay {
public:
    explicit ImguiOverlay(QWidget* viewer)
        : m_viewer(viewer) {}

    bool isAvailable() const override { return true; }

    void setShown(bool shown) override {
        if (shown && !m_container) {
            m_window = new ImguiWindow;
            m_window->setTheme(m_theme);
            m_window->setData(m_data);
            m_container =
                QWidget::createWindowContainer(m_window, m_viewer); // owns the window, owned by the viewer
            m_container->setObjectName(QStringLiteral("profilerContainer"));
            m_container->setAccessibleName(QObject::tr("Profiler"));
            m_container->setFocusPolicy(Qt::NoFocus);
            place();
        }
        if (m_container) {
            m_container->setVisible(shown);
            m_container->raise();
        }
    }

    bool isShown() const override { return m_container && !m_container->isHidden(); }

    void setData(const ProfilerData& data) override {
        m_data = data;
        if (m_container)
            m_window->setData(data);
    }

    void setTheme(const Theme& theme) override {
        m_theme = theme;
        if (m_container) {
            m_window->setTheme(theme);
            place();
        }
    }

    QImage grab() override { return isShown() ? m_window->grabFramebuffer() : QImage(); }
    double devicePixelRatio() const override { return m_container ? m_window->devicePixelRatio() : 1; }

private:
    void place() {
        m_container->setGeometry(m_theme.px(12), m_theme.px(12), m_theme.px(440), m_theme.px(460));
    }

    QWidget* m_viewer;
    QPointer<QWidget> m_container;
    ImguiWindow* m_window = nullptr;
    ProfilerData m_data;
    Theme m_theme;
};

} // namespace

std::unique_ptr<Overlay> makeImguiOverlay(QWidget* viewer) {
    return std::make_unique<ImguiOverlay>(viewer);
}

} // namespace canopy::ui
