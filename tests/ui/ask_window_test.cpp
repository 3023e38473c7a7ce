#include <QAction>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSlider>

#include "tests/ui/ask_driver.h"
#include "tests/ui/made_run.h"
#include "ui/panels/ask_panel.h"
#include "ui/panels/question_group.h"
#include "ui/panels/run_export.h"
#include "ui/panels/tokens_panel.h"
#include "ui/shell/ask_workspace.h"
#include "ui/shell/token_table.h"
#include "ui/theme/theme_manager.h"
#include "ui/tokens/frame_strip.h"
#include "ui/tokens/token_layer.h"
#include "ui/viewer/video_view.h"

using namespace canopy;
using canopy::test::answered;
using canopy::test::WindowDriver;

namespace {

constexpr int kPatience = 60'000; ///< deadline against hangs only

} // namespace

/// The Ask workspace over the real worker program with a scripted engine.
class AskWindowTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() { qputenv("CANOPY_FAKE_BLOCK_MS", "5"); }

    void questionFromVideoToTokens() {
        WindowDriver d("canopy-fake-worker");
        open(d);
        auto& window = d.window();
        QCOMPARE(int(window.currentWorkspace()), int(ui::Workspace::Ask));
        QVERIFY(!d.find<QWidget>("promptDock")->isVisible());
        QVERIFY(window.askPanel().isVisible() && window.tokensPanel().isVisible());
        ask(d, QStringLiteral("Is there a ball?"));
        QTRY_VERIFY_WITH_TIMEOUT(answered(d, 1), kPatience);
        const auto& group = window.askPanel().groups().front();
        QCOMPARE(group.question, std::string("Is there a ball?"));
        QCOMPARE(group.asks.front().request.tokens.mode, TokenMode::All);
        QCOMPARE(d.find<QLabel>("answerText")->text(),
                 QString::fromStdString(group.asks.front().answer->text));

        // Its tokens are on the picture, its frames in the strip.
        auto& layer = window.tokenLayer();
        QTRY_VERIFY_WITH_TIMEOUT(!layer.scene().isEmpty(), kPatience);
        const int frames = layer.scene().run().frames;
        QTRY_COMPARE_WITH_TIMEOUT(int(window.tokensPanel().strip().pictures().size()), frames, kPatience);

        // Another share is another run of the same question.
        window.askPanel().form().setKeep(0.25);
        QTest::keyClick(d.find<QPlainTextEdit>("questionField"), Qt::Key_Return, Qt::ControlModifier);
        QTRY_VERIFY_WITH_TIMEOUT(answered(d, 2), kPatience);
        QCOMPARE(window.askPanel().groups().size(), std::size_t(1));
        QTRY_COMPARE_WITH_TIMEOUT(layer.scene().run().settings.keep, 0.25, kPatience);

        // Overlay and picture go together, by the frame's own time.
        auto& playback = d.viewer().playback();
        for (int sample = frames - 1; sample >= 0; --sample) {
            const auto frame = int(layer.scene().run().frameIndex[std::size_t(sample)]);
            playback.seek(frame);
            QTRY_COMPARE_WITH_TIMEOUT(layer.sample(), sample, kPatience);
        }
        int shown = 0;
        const auto watch =
            connect(&d.viewer(), &ui::ViewerPanel::frameShown, this, [&](int frame, double seconds) {
                ++shown;
                const auto& indices = layer.scene().run().frameIndex;
                const auto after = std::upper_bound(indices.begin(), indices.end(), frame);
                QCOMPARE(layer.sample(), int(after - indices.begin()) - 1);
                QCOMPARE(layer.sample(), layer.scene().sampleAt(seconds));
            });
        playback.setLoop(true);
        for (const double speed : {1.0, 2.0, 8.0, -1.0, -8.0, 0.25}) {
            shown = 0;
            playback.play(speed);
            QTRY_VERIFY_WITH_TIMEOUT(shown > 5, kPatience);
        }
        playback.pause();
        disconnect(watch);
        // A time that an answer cites seeks.
        Q_EMIT window.askPanel().seekRequested(layer.scene().run().frameSeconds[1]);
        QCOMPARE(playback.frame(), int(layer.scene().run().frameIndex[1]));
        QTRY_COMPARE_WITH_TIMEOUT(d.find<QLabel>("sampleNumber")->text(),
                                  QStringLiteral("sample 2/%1").arg(frames), kPatience);
        layer.setCursor(layer.scene().cellsPerSample());
        QVERIFY(d.find<QLabel>("statusNote")->toolTip().contains(layer.cursorWords()));

        // The same question and its tokens after a change of workspace.
        window.setWorkspace(ui::Workspace::Create);
        QVERIFY(d.find<QWidget>("promptDock")->isVisible());
        QVERIFY(!window.askPanel().isVisible());
        QVERIFY(!d.viewer().view().layer());
        window.setWorkspace(ui::Workspace::Ask);
        QCOMPARE(window.askPanel().groups().size(), std::size_t(1));
        QVERIFY(d.viewer().view().layer());
    }

    void similarityOfACell() {
        WindowDriver d("canopy-fake-worker");
        open(d);
        ask(d, QStringLiteral("Is there a ball?"));
        QTRY_VERIFY_WITH_TIMEOUT(answered(d, 1), kPatience);
        auto& layer = d.window().tokenLayer();
        QTRY_VERIFY_WITH_TIMEOUT(!layer.scene().isEmpty(), kPatience);
        d.find<QAbstractButton>("probeButton")->click();
        layer.setCursor(3);
        QVERIFY(layer.key(Qt::Key_Return, Qt::NoModifier));
        QTRY_VERIFY_WITH_TIMEOUT(layer.probe().has_value(), kPatience);
        QCOMPARE(layer.probe()->cell, 3);
        QVERIFY(layer.probe()->sentence.empty());
        QCOMPARE(int(layer.probe()->cosine.size()), layer.scene().run().cells());
        QVERIFY(layer.key(Qt::Key_Escape, Qt::NoModifier));
        QVERIFY(!layer.hasProbe());
        QVERIFY(!d.find<QAbstractButton>("probeButton")->isChecked());
    }

    void exportsHoldTheRun() {
        WindowDriver d("canopy-fake-worker");
        open(d);
        d.window().askPanel().form().setKeep(0.25);
        ask(d, QStringLiteral("Is there a ball?"));
        QTRY_VERIFY_WITH_TIMEOUT(answered(d, 1), kPatience);
        auto& layer = d.window().tokenLayer();
        QTRY_VERIFY_WITH_TIMEOUT(!layer.scene().isEmpty(), kPatience);
        const auto& run = layer.scene().run();
        const auto folder = d.folder();
        QVERIFY(ui::exportRunJson(run, folder / "run.json").ok());
        QVERIFY(ui::exportRunCsv(run, folder / "run.csv").ok());
        QFile csv(QString::fromStdString((folder / "run.csv").string()));
        QVERIFY(csv.open(QIODevice::ReadOnly));
        QCOMPARE(csv.readAll().trimmed().count('\n'), qsizetype(run.cells())); // a head and a line a cell
        const QImage picture = d.viewer().view().image();
        QVERIFY(ui::exportOverlayPng(picture, layer.exportValue(), folder / "picture.png").ok());
        const QImage written(QString::fromStdString((folder / "picture.png").string()));
        QCOMPARE(written.size(), picture.size());
        QVERIFY(written != picture.convertToFormat(written.format()));
        std::atomic<bool> stop{false};
        const auto video = std::filesystem::path(d.viewer().clipFile().toStdString());
        auto made = ui::exportOverlayVideo(video, layer.exportValue(), folder / "overlay.mp4", stop);
        QVERIFY2(made.ok(), made.ok() ? "" : made.error().message.c_str());
        d.window().askWorkspace().attach(QString::fromStdString(made->string()));
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().clipFile(), QString::fromStdString(made->string()), kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().playback().frames(), 33, kPatience);
        // The new video has no questions yet, and no tokens of another are drawn on it.
        QTRY_VERIFY_WITH_TIMEOUT(layer.scene().isEmpty(), kPatience);
        QVERIFY(d.window().askPanel().groups().empty());
        stop = true;
        auto stopped = ui::exportOverlayVideo(video, layer.exportValue(), folder / "stopped.mp4", stop);
        QVERIFY(!stopped.ok());
        QVERIFY(!std::filesystem::exists(folder / "stopped.mp4"));
    }

    void aClipBeingMadeDoesNotTakeThePicture() {
        qputenv("CANOPY_FAKE_BLOCK_MS", "20");
        WindowDriver d("canopy-fake-worker");
        open(d);
        auto& window = d.window();
        QTRY_VERIFY_WITH_TIMEOUT(d.form().model(), kPatience);
        window.workspace().generate(false);
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot()->running != 0, kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot()->preview != nullptr, kPatience);
        QCOMPARE(d.viewer().clipFile(), sample());
        QVERIFY(!d.viewer().showsPreview());
        window.setWorkspace(ui::Workspace::Create); // there it is what one looks for
        QTRY_VERIFY_WITH_TIMEOUT(d.viewer().showsPreview() || d.lastIs(JobState::Done), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(d.lastIs(JobState::Done), kPatience);
        // A question in the queue is no clip: it offers its place in Ask.
        open(d);
        ask(d, QStringLiteral("Is there a ball?"));
        QTRY_VERIFY_WITH_TIMEOUT(answered(d, 1), kPatience);
        window.setWorkspace(ui::Workspace::Create);
        const JobId id = d.lastJob()->record.id;
        Q_EMIT window.queuePanel().jobChosen(id);
        QVERIFY(d.viewer().cardSentence().contains(QStringLiteral("Is there a ball?")));
        d.find<QPushButton>("openInAsk")->click();
        QCOMPARE(int(window.currentWorkspace()), int(ui::Workspace::Ask));
        QTRY_COMPARE_WITH_TIMEOUT(window.askWorkspace().shown(), id, kPatience);
    }

    void keysOfTheWorkspaces() {
        WindowDriver d("canopy-fake-worker");
        auto& window = d.window();
        QVERIFY(QTest::qWaitForWindowActive(&window));
        QTest::keyClick(&window, Qt::Key_4, Qt::AltModifier);
        QCOMPARE(int(window.currentWorkspace()), int(ui::Workspace::Ask));
        QCOMPARE(window.focusWidget(), window.askPanel().form().focusTarget());
        // Ctrl+Enter asks here, and makes no clip.
        QTest::keyClick(&window, Qt::Key_Return, Qt::ControlModifier);
        QVERIFY(!d.find<QLabel>("askProblems")->text().isEmpty());
        QTest::keyClick(&window, Qt::Key_F6, Qt::ShiftModifier);
        QVERIFY(window.focusWidget() != window.askPanel().form().focusTarget());
        QTest::keyClick(&window, Qt::Key_1, Qt::ControlModifier);
        QCOMPARE(int(window.currentWorkspace()), int(ui::Workspace::Create));
        QCOMPARE(d.find<QAction>("generate")->shortcuts().size(), 2);
        QVERIFY(d.find<QAction>("ask")->shortcuts().isEmpty());
        // A dock that was closed in Create stays closed after a visit to Ask.
        d.find<QWidget>("queueDock")->hide();
        window.setWorkspace(ui::Workspace::Ask);
        window.setWorkspace(ui::Workspace::Create);
        QVERIFY(!d.find<QWidget>("queueDock")->isVisible());
        QVERIFY(d.find<QWidget>("promptDock")->isVisible());
    }

    void tableSaysWhatIsDrawn() {
        WindowDriver d("canopy-fake-worker");
        open(d);
        ask(d, QStringLiteral("Is there a ball?"));
        QTRY_VERIFY_WITH_TIMEOUT(answered(d, 1), kPatience);
        const auto& scene = d.window().tokenLayer().scene();
        QTRY_VERIFY_WITH_TIMEOUT(!scene.isEmpty(), kPatience);
        const ui::TokenTableModel frames(scene, ui::TokenTableModel::Rows::Frames);
        QCOMPARE(frames.rowCount(), scene.run().frames);
        int kept = 0;
        for (int row = 0; row < frames.rowCount(); ++row)
            kept += frames.index(row, 2).data().toInt();
        QCOMPARE(kept, scene.keptCells());
    }

    void emptyQuestionAndMissingVideoAreSentences() {
        WindowDriver d("canopy-fake-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot() != nullptr, kPatience);
        d.window().setWorkspace(ui::Workspace::Ask);
        d.window().askWorkspace().ask();
        QVERIFY(d.find<QLabel>("askProblems")->text().startsWith(QStringLiteral("No video is attached.")));
        open(d);
        d.window().askWorkspace().ask();
        QVERIFY(
            d.find<QLabel>("askProblems")->text().startsWith(QStringLiteral("There is no question yet.")));
    }

    /// Not a check: the window as a picture, for the eye. Written where CANOPY_PICTURES says.
    void picture() {
        const QString folder = qEnvironmentVariable("CANOPY_PICTURES");
        if (folder.isEmpty())
            QSKIP("CANOPY_PICTURES names no folder, so no pictures are written.");
        auto tokens = ui::loadThemeResources();
        QVERIFY(tokens.ok());
        ui::ThemeManager themes(*tokens);
        const std::string video = sample().toStdString();
        for (const auto& [name, choice, size, scale] :
             {std::tuple{"dark", ui::ThemeChoice::Dark, QSize(1440, 900), 1.0},
              std::tuple{"light", ui::ThemeChoice::Light, QSize(1440, 900), 1.0},
              std::tuple{"small", ui::ThemeChoice::Dark, QSize(1280, 800), 1.0},
              std::tuple{"contrast", ui::ThemeChoice::HighContrast, QSize(1440, 900), 1.0},
              std::tuple{"double", ui::ThemeChoice::Dark, QSize(1440, 900), 2.0}}) {
            themes.setChoice(choice);
            themes.setScale(scale);
            ui::StudioLink link{{}};
            ui::MainWindow window(&themes, &link, {});
            window.resize(size);
            window.show();
            auto made = ui::test::madeRun();
            for (int f = 0; f < 8; ++f) {
                made.frameIndex[std::size_t(f)] = f * 4;
                made.frameSeconds[std::size_t(f)] = f * 4 / 16.0;
            }
            const auto run = std::make_shared<const TokenRun>(made);
            const auto all = std::make_shared<const TokenRun>(ui::test::madeUnprunedRun(made));
            StudioSnapshot snapshot;
            auto two = ui::test::madeAsk(3, "How many fish are there?", "two", run, video);
            auto three = ui::test::madeAsk(4, "How many fish are there?", "three", all, video);
            two.request.options = three.request.options = {"one", "two", "three", "four"};
            two.answer->letterProbabilities = {0.03, 0.52, 0.44, 0.01};
            three.answer->letterProbabilities = {0.01, 0.07, 0.91, 0.01};
            snapshot.asks = {ui::test::madeAsk(1, "Is there a ball?", "yes", all, video),
                             ui::test::madeAsk(2, "Is there a ball?", "yes", run, video), three, two};
            window.askAbout(sample());
            QTRY_VERIFY_WITH_TIMEOUT(window.viewerPanel().shownSeconds() >= 0, kPatience);
            Q_EMIT link.snapshotChanged(std::make_shared<const StudioSnapshot>(snapshot));
            window.askPanel().groupOf(3)->compare(3, 4);
            window.askWorkspace().showTokens(2);
            window.viewerPanel().playback().seek(4);
            window.tokenLayer().selectTree(window.tokenLayer().scene().trees()[5].tree);
            QTest::qWait(300);
            window.grab().save(folder + QStringLiteral("/ask-%1.png").arg(QLatin1String(name)));
        }
    }

private:
    static QString sample() {
        return qEnvironmentVariable("CANOPY_SOURCE_DIR") +
               QStringLiteral("/resources/samples/fish-under-the-sea.mp4");
    }
    static void open(WindowDriver& d) {
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot() != nullptr, kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(d.window().askPanel().form().model() != nullptr, kPatience);
        d.window().askAbout(sample());
        QTRY_VERIFY_WITH_TIMEOUT(d.viewer().playback().frames() > 8, kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(d.viewer().shownSeconds() >= 0, kPatience);
    }
    static void ask(WindowDriver& d, const QString& question) { canopy::test::ask(d, question, kPatience); }
};

QTEST_MAIN(AskWindowTest)
#include "ask_window_test.moc"
