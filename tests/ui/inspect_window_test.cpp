#include <QFile>
#include <QLabel>
#include <QPushButton>

#include "core/base/files.h"
#include "tests/ui/made_telemetry.h"
#include "tests/ui/window_driver.h"
#include "ui/panels/inspect_panel.h"
#include "ui/shell/inspect_workspace.h"
#include "ui/shell/note_bar.h"
#include "ui/theme/theme_manager.h"

using namespace canopy;
using canopy::test::WindowDriver;

namespace {

constexpr int kPatience = 300'000; ///< deadline against hangs only

} // namespace

/// The Inspect workspace over recordings without an engine, and over a real clip as it is made.
class InspectWindowTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void aRecordingNeedsNoEngine() {
        WindowDriver d("no-such-worker");
        const auto file = d.folder() / "made.canopy";
        const auto made = ui::test::madeTelemetry(8, true);
        QVERIFY(saveTelemetry(*made, file).ok());
        d.window().activateWindow();
        QVERIFY(QTest::qWaitForWindowActive(&d.window()));
        QTest::keyClick(&d.window(), Qt::Key_3, Qt::ControlModifier);
        QCOMPARE(int(d.window().currentWorkspace()), int(ui::Workspace::Inspect));
        QVERIFY(d.window().inspectPanel().isVisible() && !d.viewer().isVisible());
        d.window().inspectWorkspace().openSession(QString::fromStdString(file.string()));
        auto& selection = d.window().inspectPanel().selection();
        QTRY_VERIFY_WITH_TIMEOUT(!selection.isEmpty(), kPatience);
        QVERIFY(d.window().inspectWorkspace().showsFile());
        QCOMPARE(selection.steps(), ui::test::kSteps);
        QCOMPARE(selection.run().masks.size(), made->masks.size());
        QCOMPARE(d.find<QLabel>("inspectSum8")->text(), QStringLiteral("0.0 s"));

        const auto copy = d.folder() / "copy.canopy";
        d.window().inspectWorkspace().saveSessionAs(QString::fromStdString(copy.string()));
        QTRY_VERIFY_WITH_TIMEOUT(std::filesystem::exists(copy), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(readTelemetry(copy).ok(), kPatience);
        for (const bool npz : {false, true}) {
            const auto to = d.folder() / (npz ? "maps.npz" : "heads.csv");
            d.window().inspectWorkspace().exportTo(QString::fromStdString(to.string()), npz);
            QTRY_VERIFY_WITH_TIMEOUT(std::filesystem::exists(to), kPatience);
        }

        // A file that is none leaves what is shown, and says so.
        const auto bad = d.folder() / "bad.canopy";
        QVERIFY(writeFileAtomically(bad, std::string_view("no recording")).ok());
        d.window().inspectWorkspace().openSession(QString::fromStdString(bad.string()));
        QTRY_VERIFY_WITH_TIMEOUT(isTold(d, QStringLiteral("no Canopy recording")), kPatience);
        QVERIFY(!selection.isEmpty());
        d.window().inspectWorkspace().showLive();
        QVERIFY(selection.isEmpty());
    }

    void aClipIsInspectedWhileItIsMade() {
        if (!QFile::exists(qEnvironmentVariable("CANOPY_BIN_DIR") + QStringLiteral("/canopy-worker")))
            QSKIP("canopy-worker is not built here (CANOPY_BUILD_ENGINE=OFF), so there is no real engine to "
                  "test.");
        WindowDriver d("canopy-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.form().model(), kPatience);
        auto request = d.form().request();
        request.prompt = "Above the sea at dusk, a big red hot air balloon rises fast";
        request.steps = 10;
        request.seed = 5;
        request.attention.method = AttentionMethod::XAttention;
        request.attention.tau = 0.6;
        request.attention.reuse = MaskReuse::Tmr;
        request.attention.warmup = 2;
        d.form().setRequest(request);
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        d.window().setWorkspace(ui::Workspace::Create);
        d.press();
        d.window().setWorkspace(ui::Workspace::Inspect);
        auto& selection = d.window().inspectPanel().selection();
        QTRY_VERIFY_WITH_TIMEOUT(!selection.isEmpty(), kPatience);
        QVERIFY(!selection.run().ended);
        QCOMPARE(selection.steps(), 10);
        QTRY_VERIFY_WITH_TIMEOUT(selection.newestStep() >= 3, kPatience);
        QVERIFY(selection.follows());
        d.window().inspectPanel().selection().setHead(3, 1);
        QTRY_VERIFY_WITH_TIMEOUT(selection.newestStep() >= 7, kPatience);
        picture(d.window(), QStringLiteral("inspect-live"));
        QTRY_VERIFY_WITH_TIMEOUT(selection.run().ended, kPatience);
        QVERIFY2(d.lastJob() && d.lastIs(JobState::Done),
                 d.lastJob() ? d.lastJob()->record.sentence.c_str() : "no job");
        QCOMPARE(selection.run().missingSteps(), 0);
        QVERIFY(selection.mask() != nullptr); // of the watched layer
        QVERIFY(selection.run().preview != nullptr);
        QCOMPARE(d.find<QLabel>("inspectSum8")->text(), QStringLiteral("0.0 s"));
        selection.setQueryBlock(selection.mask()->blocks / 2);
    }

    /// For the eye, where CANOPY_PICTURES names a folder and CANOPY_SESSION a recording.
    void pictures() {
        const QString folder = qEnvironmentVariable("CANOPY_PICTURES"),
                      session = qEnvironmentVariable("CANOPY_SESSION");
        if (folder.isEmpty() || session.isEmpty())
            QSKIP("Pictures for the eye are made where CANOPY_PICTURES and CANOPY_SESSION are set.");
        auto tokens = ui::loadThemeResources();
        const std::tuple<const char*, ui::ThemeChoice, QSize> shots[] = {
            {"inspect", ui::ThemeChoice::Dark, {1440, 900}},
            {"inspect-light", ui::ThemeChoice::Light, {1440, 900}},
            {"inspect-small", ui::ThemeChoice::Dark, {1280, 800}},
            {"inspect-contrast", ui::ThemeChoice::HighContrast, {1440, 900}}};
        for (const auto& [name, theme, size] : shots) {
            ui::ThemeManager themes(*tokens);
            themes.setChoice(theme);
            ui::StudioLink link{{}};
            ui::MainWindow window(&themes, &link, {});
            window.resize(size);
            window.show();
            window.setWorkspace(ui::Workspace::Inspect);
            window.inspectWorkspace().openSession(session);
            auto& selection = window.inspectPanel().selection();
            QTRY_VERIFY_WITH_TIMEOUT(!selection.isEmpty(), kPatience);
            selection.setHead(selection.layers() / 2, 3);
            if (const auto* mask = selection.mask())
                selection.setQueryBlock(mask->blocks / 2);
            QTest::qWait(200);
            picture(window, QLatin1String(name));
        }
    }

private:
    /// Whether the note in front says so; another one makes room for the next.
    static bool isTold(WindowDriver& d, const QString& words) {
        if (d.window().noteBar().sentence().contains(words))
            return true;
        d.window().noteBar().dismiss();
        return false;
    }
    static void picture(QWidget& window, const QString& name) {
        const QString folder = qEnvironmentVariable("CANOPY_PICTURES");
        if (!folder.isEmpty())
            window.grab().save(folder + QStringLiteral("/%1.png").arg(name));
    }
};

QTEST_MAIN(InspectWindowTest)
#include "inspect_window_test.moc"
