#include <cmath>

#include <QAbstractButton>
#include <QComboBox>
#include <QDir>
#include <QFile>
#include <QLabel>
#include <QPushButton>

#include "core/job/settings_comparison.h"
#include "core/media/compare.h"
#include "core/studio/read_clip.h"
#include "tests/ui/window_driver.h"
#include "ui/compare/metric_strips.h"
#include "ui/panels/comparison_panel.h"
#include "ui/panels/fidelity_table.h"
#include "ui/panels/pair_pane.h"
#include "ui/shell/compare_workspace.h"
#include "ui/theme/theme_manager.h"
#include "ui/viewer/video_view.h"

using namespace canopy;
using canopy::test::WindowDriver;

namespace {

constexpr int kPatience = 300'000; ///< deadline against hangs only

} // namespace

/// The Compare workspace over real files and real jobs.
class CompareWindowTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() { qputenv("CANOPY_FAKE_BLOCK_MS", "2"); }

    void withoutClipsASentence() {
        WindowDriver d("canopy-fake-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot() != nullptr, kPatience);
        QTest::keyClick(&d.window(), Qt::Key_2, Qt::ControlModifier);
        QCOMPARE(int(d.window().currentWorkspace()), int(ui::Workspace::Compare));
        QVERIFY(d.window().pairPane().isVisible() && d.window().comparisonPanel().isVisible());
        QVERIFY(!d.viewer().isVisible() && !d.find<QWidget>("promptDock")->isVisible());
        QTRY_VERIFY_WITH_TIMEOUT(waiting(d).contains(QStringLiteral("No clips yet")), kPatience);
        QTest::keyClick(&d.window(), Qt::Key_1, Qt::ControlModifier);
        QVERIFY(d.viewer().isVisible() && !d.window().pairPane().isVisible());
    }

    void theTwinIsMadeAndFound() {
        WindowDriver d("canopy-fake-worker");
        makeAccelerated(d);
        d.window().setWorkspace(ui::Workspace::Compare);
        QTRY_VERIFY_WITH_TIMEOUT(d.find<QPushButton>("makeDenseTwin")->isVisible(), kPatience);
        QVERIFY(waiting(d).contains(QStringLiteral("no dense clip of this shot")));
        d.find<QPushButton>("makeDenseTwin")->click();
        QVERIFY(!d.find<QLabel>("comparisonMaking")->text().isEmpty());
        QTRY_VERIFY_WITH_TIMEOUT(figures(d) != nullptr, kPatience);
        QCOMPARE(int(d.link().snapshot()->jobs.size()), 2);
        QVERIFY(!isAccelerated(*d.lastJob()->record.clip()));
        QCOMPARE(d.window().pairPane().file(ui::PairSide::A),
                 QString::fromStdString(d.lastJob()->record.resultFile.string()));
        QVERIFY(!d.find<QPushButton>("makeDenseTwin")->isVisible());
        // The scripted engine draws by the seed alone: nothing differs, and that is said.
        QVERIFY(figures(d)->identical);
        QCOMPARE(d.find<QLabel>("sameShot")->text(), QStringLiteral("Identical"));
        const auto& settings = d.window().comparisonPanel().result().settings;
        QVERIFY(settings.has_value());
        QCOMPARE(QString::fromStdString(settings->differences.front().label), QStringLiteral("Attention"));
        QVERIFY(d.find<QPushButton>("measureFloor")->isVisible());
        d.find<QPushButton>("keepB")->click();
        QTRY_VERIFY_WITH_TIMEOUT(!d.find<QPushButton>("keepB")->isEnabled(), kPatience);
    }

    void aTwinThatIsCancelledIsSaid() {
        qputenv("CANOPY_FAKE_BLOCK_MS", "40");
        WindowDriver d("canopy-fake-worker");
        makeAccelerated(d);
        d.window().setWorkspace(ui::Workspace::Compare);
        QTRY_VERIFY_WITH_TIMEOUT(d.find<QPushButton>("makeDenseTwin")->isVisible(), kPatience);
        d.find<QPushButton>("makeDenseTwin")->click();
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot()->running != 0, kPatience);
        d.link().cancel(d.link().snapshot()->running);
        QTRY_VERIFY_WITH_TIMEOUT(
            d.find<QLabel>("comparisonMaking")->text().contains(QStringLiteral("not made")), kPatience);
        QVERIFY(d.find<QPushButton>("makeDenseTwin")->isEnabled());
    }

    void filesAreComparedFrameByFrame() {
        WindowDriver d("canopy-fake-worker");
        const QString a = sample("fish-under-the-sea.mp4"), b = coarse(d, a);
        auto& pane = d.window().pairPane();
        d.window().compareWorkspace().setClips(a, b);
        d.window().setWorkspace(ui::Workspace::Compare);
        QTRY_VERIFY_WITH_TIMEOUT(figures(d) != nullptr, kPatience);
        // Journey 5: the strips are FFmpeg's own figures of the same planes.
        const auto offline = media::compareFiles(a.toStdString(), b.toStdString());
        QVERIFY(offline.ok());
        for (std::size_t i = 0; i < offline->psnrFrames.size(); ++i) {
            QVERIFY(std::abs(offline->psnrFrames[i] - figures(d)->psnrFrames[i]) < 0.05);
            QVERIFY(std::abs(offline->ssimFrames[i] - figures(d)->ssimFrames[i]) < 0.001);
        }
        d.find<QPushButton>("nextWorst")->click();
        QCOMPARE(pane.player().playback().frame(), offline->psnrWorstFrame);
        QTRY_COMPARE_WITH_TIMEOUT(pane.player().shownFrame(), offline->psnrWorstFrame, kPatience);
        // Both pictures are of one frame at every speed.
        int shown = 0;
        connect(&pane.player(), &ui::PairPlayer::shown, this, [&](int frame) {
            ++shown;
            QVERIFY(!pane.player().image(ui::PairSide::A).isNull());
            QCOMPARE(pane.player().image(ui::PairSide::A).size(),
                     pane.player().image(ui::PairSide::B).size());
            QCOMPARE(pane.player().shownFrame(), frame);
        });
        for (const double speed : {1.0, 8.0, -2.0}) {
            shown = 0;
            pane.player().playback().play(speed);
            QTRY_VERIFY_WITH_TIMEOUT(shown > 5, kPatience);
        }
        pane.player().playback().pause();
        disconnect(&pane.player(), nullptr, this, nullptr);

        // Files without settings: said, and no twin can be made.
        QVERIFY(!d.find<QPushButton>("makeDenseTwin")->isVisible());
        const auto csv = d.folder() / "figures.csv";
        QVERIFY(ui::exportFidelity(*figures(d), 16, csv).ok());
        QFile file(QString::fromStdString(csv.string()));
        QVERIFY(file.open(QIODevice::ReadOnly));
        QCOMPARE(int(file.readAll().trimmed().count('\n')), offline->frames);
    }

    void keysChangeTheView() {
        WindowDriver d("canopy-fake-worker");
        const QString a = sample("fish-under-the-sea.mp4"), b = coarse(d, a);
        d.window().compareWorkspace().setClips(a, b);
        d.window().setWorkspace(ui::Workspace::Compare);
        QTRY_VERIFY_WITH_TIMEOUT(figures(d) != nullptr, kPatience);
        auto& pane = d.window().pairPane();
        auto& view = pane.view();
        QVERIFY(pane.keyTarget()->hasFocus());
        const auto press = [&](int key) { QTest::keyClick(pane.keyTarget(), Qt::Key(key)); };
        press(Qt::Key_M);
        QCOMPARE(int(view.mode()), int(ui::PairMode::SideBySide));
        QVERIFY(view.viewB().isVisible());
        view.viewA().setZoom(2); // zoom is one for both
        QCOMPARE(view.viewB().zoom(), 2.0);
        press(Qt::Key_M);
        QCOMPARE(int(view.mode()), int(ui::PairMode::Blink));
        press(Qt::Key_X);
        QVERIFY(view.layer().showsB());
        press(Qt::Key_0);
        QCOMPARE(int(view.mode()), int(ui::PairMode::Difference));
        press(Qt::Key_W);
        QCOMPARE(int(view.mode()), int(ui::PairMode::Wipe));
        view.viewA().setFit();
        const double wipe = view.layer().wipe();
        press(Qt::Key_BracketRight);
        QVERIFY(view.layer().wipe() > wipe);
        // A drag on the line moves it and not the picture.
        const QRectF picture = view.viewA().pictureRect();
        const QPoint on(int(picture.left() + picture.width() * view.layer().wipe()),
                        int(picture.center().y()));
        QTest::mousePress(&view.viewA(), Qt::LeftButton, {}, on);
        QTest::mouseMove(&view.viewA(), QPoint(int(picture.left() + picture.width() / 4), on.y()));
        QTest::mouseRelease(&view.viewA(), Qt::LeftButton, {}, QPoint(int(picture.left()), on.y()));
        QVERIFY(std::abs(view.layer().wipe() - 0.25) < 0.02);
        press(Qt::Key_S);
        QCOMPARE(pane.file(ui::PairSide::A), b);
        press(Qt::Key_N);
        QVERIFY(QTest::qWaitFor([&] { return figures(d) != nullptr; }, kPatience));
        auto& strips = pane.strips();
        QTest::keyClick(&strips, Qt::Key_End);
        QCOMPARE(pane.player().playback().frame(), pane.player().playback().frames() - 1);
        QTest::keyClick(&strips, Qt::Key_Left);
        QCOMPARE(pane.player().playback().frame(), pane.player().playback().frames() - 2);
        QVERIFY(strips.accessibleDescription().contains(QStringLiteral("PSNR mean")));
    }

    void whatDoesNotFitIsASentence() {
        WindowDriver d("canopy-fake-worker");
        const QString a = sample("fish-under-the-sea.mp4"), broken = QDir(d.path()).filePath("broken.mp4");
        QFile file(broken);
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write("no video at all");
        file.close();
        auto& workspace = d.window().compareWorkspace();
        d.window().setWorkspace(ui::Workspace::Compare);
        workspace.setClips(a, broken);
        QTRY_VERIFY_WITH_TIMEOUT(waiting(d).contains(QStringLiteral("B cannot be shown")), kPatience);
        QVERIFY(!d.find<QPushButton>("modeBlink")->isEnabled());
        const QString shorter = QDir(d.path()).filePath("shorter.mp4");
        QCOMPARE(
            system(qPrintable(QStringLiteral("ffmpeg -v error -y -i '%1' -frames:v 9 '%2'").arg(a, shorter))),
            0);
        workspace.setClips(a, shorter);
        QTRY_VERIFY_WITH_TIMEOUT(waiting(d).contains(QStringLiteral("same length")), kPatience);
        const QString smaller = QDir(d.path()).filePath("smaller.mp4");
        QCOMPARE(system(qPrintable(
                     QStringLiteral("ffmpeg -v error -y -i '%1' -vf scale=160:96 '%2'").arg(a, smaller))),
                 0);
        workspace.setClips(a, smaller);
        QTRY_VERIFY_WITH_TIMEOUT(waiting(d).contains(QStringLiteral("same size")), kPatience);
        workspace.setClips(a, coarse(d, a)); // and from there on again
        QTRY_VERIFY_WITH_TIMEOUT(figures(d) != nullptr, kPatience);
    }

    void realEngineAgainstItsTwin() {
        if (!QFile::exists(qEnvironmentVariable("CANOPY_BIN_DIR") + QStringLiteral("/canopy-worker")))
            QSKIP("canopy-worker is not built here (CANOPY_BUILD_ENGINE=OFF), so there is no real engine to "
                  "test.");
        WindowDriver d("canopy-worker");
        makeAccelerated(d);
        d.window().setWorkspace(ui::Workspace::Compare);
        QTRY_VERIFY_WITH_TIMEOUT(d.find<QPushButton>("makeDenseTwin")->isVisible(), kPatience);
        d.find<QPushButton>("makeDenseTwin")->click();
        QTRY_VERIFY_WITH_TIMEOUT(figures(d) != nullptr, kPatience);
        QVERIFY(!figures(d)->identical);
        QVERIFY(d.window().comparisonPanel().result().secondsA > 0);
        d.find<QPushButton>("measureFloor")->click();
        QTRY_VERIFY_WITH_TIMEOUT(d.window().comparisonPanel().result().floor.has_value(), kPatience);
        QVERIFY(d.find<QLabel>("noiseFloor")->text().contains(QStringLiteral("dense against dense")));
        picture(d.window(), "compare-made");
    }

    /// For the eye, where CANOPY_PICTURES names a folder and CANOPY_CLIPS one with clips of one shot.
    void pictures() {
        const QString folder = qEnvironmentVariable("CANOPY_PICTURES"),
                      clips = qEnvironmentVariable("CANOPY_CLIPS");
        if (folder.isEmpty() || clips.isEmpty())
            QSKIP("Pictures for the eye are made where CANOPY_PICTURES and CANOPY_CLIPS name folders.");
        auto tokens = ui::loadThemeResources();
        const std::tuple<const char*, ui::ThemeChoice, QSize, ui::PairMode> shots[] = {
            {"compare", ui::ThemeChoice::Dark, {1440, 900}, ui::PairMode::Wipe},
            {"compare-light", ui::ThemeChoice::Light, {1440, 900}, ui::PairMode::SideBySide},
            {"compare-small", ui::ThemeChoice::Dark, {1280, 800}, ui::PairMode::Difference}};
        for (const auto& [name, theme, size, mode] : shots) {
            ui::ThemeManager themes(*tokens);
            themes.setChoice(theme);
            ui::StudioLink link{{}};
            ui::MainWindow window(&themes, &link, {});
            window.resize(size);
            window.show();
            window.setWorkspace(ui::Workspace::Compare);
            std::vector<Clip> library;
            for (const QString& file :
                 QDir(clips).entryList({QStringLiteral("*.mp4")}, QDir::Files, QDir::Name))
                if (auto clip = readClip(QDir(clips).filePath(file).toStdString()))
                    library.push_back(std::move(*clip));
            QVERIFY(!library.empty());
            Q_EMIT link.libraryChanged(library);
            QTRY_VERIFY_WITH_TIMEOUT(window.comparisonPanel().result().figures != nullptr, kPatience);
            window.pairPane().setMode(mode);
            window.pairPane().goToNextWorst();
            QTest::qWait(800);
            picture(window, name);
        }
    }

private:
    static QString sample(const char* name) {
        return qEnvironmentVariable("CANOPY_SOURCE_DIR") + QStringLiteral("/resources/samples/") +
               QLatin1String(name);
    }
    /// The same pictures, coarsely encoded.
    static QString coarse(WindowDriver& d, const QString& from) {
        const QString to = QDir(d.path()).filePath("coarse.mp4");
        if (!QFile::exists(to) &&
            system(qPrintable(
                QStringLiteral("ffmpeg -v error -y -i '%1' -c:v libx264 -crf 42 '%2'").arg(from, to))) != 0)
            qFatal("ffmpeg could not encode %s", qPrintable(to));
        return to;
    }
    static const media::FileComparison* figures(WindowDriver& d) {
        return d.window().comparisonPanel().result().figures.get();
    }
    static QString waiting(WindowDriver& d) { return d.find<QLabel>("comparisonWaiting")->text(); }
    static void makeAccelerated(WindowDriver& d) {
        QTRY_VERIFY_WITH_TIMEOUT(d.form().model(), kPatience);
        auto request = d.form().request();
        request.prompt = "A red balloon rises slowly over the sea at dusk.";
        request.frames = 9;
        request.steps = 4;
        request.seed = 5;
        request.attention.method = AttentionMethod::XAttention;
        request.attention.tau = 0.5;
        d.form().setRequest(request);
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(d.lastJob() && isFinished(d.lastJob()->record.state), kPatience);
        QVERIFY2(d.lastIs(JobState::Done), d.lastJob()->record.sentence.c_str());
        QTRY_COMPARE_WITH_TIMEOUT(d.clips(), 1, kPatience);
    }
    static void picture(QWidget& window, const char* name) {
        const QString folder = qEnvironmentVariable("CANOPY_PICTURES");
        if (!folder.isEmpty())
            window.grab().save(folder + QStringLiteral("/%1.png").arg(QLatin1String(name)));
    }
};

QTEST_MAIN(CompareWindowTest)
#include "compare_window_test.moc"
