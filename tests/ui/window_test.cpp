#include <csignal>

#include <QElapsedTimer>
#include <QMessageBox>
#include <QProcess>

#include "tests/ui/window_driver.h"

using namespace canopy;
using canopy::test::WindowDriver;

namespace {

constexpr int kPatience = 60'000; ///< deadline against hangs only

} // namespace

/// The window over the real worker program with a scripted engine.
class WindowTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() {
        qputenv("CANOPY_FAKE_BLOCK_MS", "5");
        qunsetenv("CANOPY_FAULT");
    }

    void clipFromSentenceToLibrary() {
        WindowDriver d("canopy-fake-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().cardSentence(), QStringLiteral("No clips yet."), kPatience);
        d.type(QStringLiteral("a red fox on the snow"));
        QTest::keyClick(&d.window(), Qt::Key_Return, Qt::ControlModifier);
        QTRY_VERIFY_WITH_TIMEOUT(d.lastJob(), kPatience);
        QVERIFY(d.viewer().cardSentence().isEmpty());
        QTRY_VERIFY_WITH_TIMEOUT(d.viewer().showsPreview(), kPatience);
        QVERIFY(d.viewer().playback().isPlaying());
        QTRY_VERIFY_WITH_TIMEOUT(d.lastIs(JobState::Done), kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(d.clips(), 1, kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(!d.viewer().clipFile().isEmpty(), kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().playback().frames(), d.lastJob()->record.clip()->frames,
                                  kPatience);
        QVERIFY(d.viewer().playback().isPlaying()); // the finished clip loops
        QCOMPARE(d.form().history().last(), QStringLiteral("a red fox on the snow"));

        // Dropped on the window, the file gives its settings back.
        d.type(QStringLiteral("something else"));
        d.window().workspace().offerClip(d.viewer().clipFile());
        QTRY_VERIFY_WITH_TIMEOUT(d.find<QPushButton>("dropReload"), kPatience);
        QTest::mouseClick(d.find<QPushButton>("dropReload"), Qt::LeftButton);
        QCOMPARE(d.form().request().prompt, std::string("a red fox on the snow"));
        QCOMPARE(d.form().request().seed, d.lastJob()->record.clip()->seed);
    }

    void guiNeverBlocksWhileWorking() {
        WindowDriver d("canopy-fake-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        d.window().watchdog().reset();
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(d.lastIs(JobState::Done), kPatience);
        // A figure, not a verdict: how busy the machine is decides as much as the program.
        qInfo("worst gap of the GUI thread %.1f ms, %d above 50 ms", d.window().watchdog().worstMillis(),
              d.window().watchdog().stalls());
    }

    void cancelShowsAtOnceAndTheNextJobWorks() {
        qputenv("CANOPY_FAKE_BLOCK_MS", "30");
        WindowDriver d("canopy-fake-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(d.find<QPushButton>("cancelButton")->isVisible() &&
                                     d.find<QPushButton>("cancelButton")->isEnabled(),
                                 kPatience);
        QTest::keyClick(&d.window(), Qt::Key_Return, Qt::ControlModifier | Qt::AltModifier);
        QVERIFY(d.find<QLabel>("readyIn")->text().contains(QStringLiteral("Stopping")));
        QTRY_VERIFY_WITH_TIMEOUT(d.lastIs(JobState::Cancelled), kPatience);
        QCOMPARE(d.clips(), 0);
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot()->jobs.size() == 2 && d.lastIs(JobState::Done),
                                 kPatience);
    }

    void killedWorkerIsSaidAndReplaced() {
        qputenv("CANOPY_FAKE_BLOCK_MS", "30");
        WindowDriver d("canopy-fake-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(d.viewer().showsPreview(), kPatience);
        const auto pid = d.worker().pid;
        QVERIFY(pid > 0);
        kill(pid_t(pid), SIGKILL);
        QTRY_VERIFY_WITH_TIMEOUT(d.lastJob() && isFinished(d.lastJob()->record.state), kPatience);
        QVERIFY(!d.lastJob()->record.sentence.empty());
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().cardSentence(),
                                  QString::fromStdString(d.lastJob()->record.sentence), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(d.worker().pid > 0 && d.worker().pid != pid, kPatience);
        if (d.link().snapshot()->queuePaused)
            d.window().workspace().togglePause();
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot()->jobs.size() >= 2 && d.lastIs(JobState::Done),
                                 kPatience);
        QCOMPARE(kill(pid_t(pid), 0), -1); // no orphan
    }

    void engineFailureIsASentenceWithRetry() {
        qputenv("CANOPY_FAULT", "point=step,n=2,do=oom");
        WindowDriver d("canopy-fake-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(d.lastIs(JobState::Failed), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(!d.viewer().cardSentence().isEmpty(), kPatience);
        QVERIFY(d.find<QPushButton>("cardRetry"));
        QVERIFY(d.form().generateButton()->isEnabled()); // the app stays usable
    }

    void closingWhileWorkingAsks() {
        qputenv("CANOPY_FAKE_BLOCK_MS", "30");
        WindowDriver d("canopy-fake-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(d.window().workspace().isBusy(), kPatience);
        d.window().close();
        QVERIFY(d.window().isVisible());
        auto* question = d.find<QMessageBox>("quitQuestion");
        QVERIFY(question && question->isVisible());
        QTest::mouseClick(d.find<QPushButton>("quitStay"), Qt::LeftButton);
        QTRY_VERIFY(d.window().isVisible());
        d.window().close();
        QTRY_VERIFY(d.find<QPushButton>("quitStop"));
        QTest::mouseClick(d.find<QPushButton>("quitStop"), Qt::LeftButton);
        QTRY_VERIFY(!d.window().isVisible());
    }

    void secondStartRaisesTheFirst() {
        QTemporaryDir home;
        auto environment = QProcessEnvironment::systemEnvironment();
        for (const char* name : {"XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"})
            environment.insert(QLatin1String(name), home.path());
        environment.insert(QStringLiteral("CANOPY_WORKER"),
                           qEnvironmentVariable("CANOPY_BIN_DIR") + QStringLiteral("/canopy-fake-worker"));
        const QString program = qEnvironmentVariable("CANOPY_BIN_DIR") + QStringLiteral("/canopy");
        std::vector<std::unique_ptr<QProcess>> all;
        for (int i = 0; i < 4; ++i) {
            all.push_back(std::make_unique<QProcess>());
            all.back()->setProcessEnvironment(environment);
            all.back()->start(program, {});
        }
        const auto running = [&] {
            int count = 0;
            for (auto& process : all)
                count += process->state() != QProcess::NotRunning;
            return count;
        };
        QTRY_COMPARE_WITH_TIMEOUT(running(), 1, kPatience);
        QTest::qWait(500);
        QCOMPARE(running(), 1);
        for (auto& process : all) {
            if (process->state() == QProcess::NotRunning) {
                QCOMPARE(process->exitCode(), 0);
                QVERIFY(process->readAllStandardError().contains("open already"));
            } else {
                process->terminate(); // SIGTERM ends it quietly
                QVERIFY(process->waitForFinished(kPatience));
                QCOMPARE(process->exitCode(), 0);
            }
        }
    }
};

QTEST_MAIN(WindowTest)
#include "window_test.moc"
