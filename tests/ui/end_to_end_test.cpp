#include <csignal>

#include <QElapsedTimer>
#include <QFile>
#include <QRandomGenerator>

#include "core/base/value_codec.h"
#include "core/media/video_reader.h"
#include "tests/ui/window_driver.h"

using namespace canopy;
using canopy::test::WindowDriver;

namespace {

constexpr int kPatience = 300'000; ///< deadline against hangs only

std::vector<std::vector<std::uint8_t>> framesOf(const std::filesystem::path& file) {
    std::vector<std::vector<std::uint8_t>> out;
    auto reader = media::VideoReader::open(file);
    while (reader) {
        auto frame = (*reader)->next();
        if (!frame || !*frame)
            break;
        out.push_back(std::move((*frame)->rgb));
    }
    return out;
}

} // namespace

/// The whole way with the real worker and the starter model. Small clips, so that it stays short.
class EndToEndTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        const QString worker = qEnvironmentVariable("CANOPY_BIN_DIR") + QStringLiteral("/canopy-worker");
        if (!QFile::exists(worker))
            QSKIP("canopy-worker is not built here (CANOPY_BUILD_ENGINE=OFF), so there is no real engine to "
                  "test.");
    }

    void sentenceToClipAndAgain() {
        WindowDriver d("canopy-worker");
        makeShort(d);
        d.type(QStringLiteral("A red balloon rises slowly over the sea at dusk."));
        d.form().setSeedLocked(true);
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        d.window().watchdog().reset();
        QTest::keyClick(&d.window(), Qt::Key_Return, Qt::ControlModifier);
        QTRY_VERIFY_WITH_TIMEOUT(d.viewer().showsPreview(), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(d.lastJob() && isFinished(d.lastJob()->record.state), kPatience);
        QVERIFY2(d.lastIs(JobState::Done), d.lastJob()->record.sentence.c_str());
        qInfo("worst gap of the GUI thread %.1f ms, %d above 50 ms", d.window().watchdog().worstMillis(),
              d.window().watchdog().stalls());
        QTRY_COMPARE_WITH_TIMEOUT(d.clips(), 1, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().playback().frames(), d.lastJob()->record.clip()->frames,
                                  kPatience);
        const auto first = d.lastJob()->record.resultFile;
        const auto firstFrames = framesOf(first);
        QCOMPARE(int(firstFrames.size()), d.lastJob()->record.clip()->frames);

        // Settings from the file give the same frames again.
        d.type(QStringLiteral("something else entirely"));
        d.window().workspace().reloadSettings(QString::fromStdString(first.string()));
        QTRY_COMPARE_WITH_TIMEOUT(d.form().request().prompt,
                                  std::string("A red balloon rises slowly over the sea at dusk."), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot()->jobs.size() == 2 && d.lastIs(JobState::Done),
                                 kPatience);
        QVERIFY(d.lastJob()->record.resultFile != first);
        const auto firstRequest = readClipRequest(first);
        const auto againRequest = readClipRequest(d.lastJob()->record.resultFile);
        QVERIFY(firstRequest.ok() && againRequest.ok());
        QCOMPARE(QString::fromStdString(toJson(toValue(*againRequest))),
                 QString::fromStdString(toJson(toValue(*firstRequest))));
        const auto againFrames = framesOf(d.lastJob()->record.resultFile);
        QCOMPARE(againFrames.size(), firstFrames.size());
        for (std::size_t f = 0; f < firstFrames.size(); ++f) {
            int worst = 0;
            for (std::size_t i = 0; i < firstFrames[f].size(); ++i)
                worst = std::max(worst, std::abs(int(firstFrames[f][i]) - int(againFrames[f][i])));
            QVERIFY2(worst == 0,
                     qPrintable(QStringLiteral("frame %1 differs by up to %2").arg(f).arg(worst)));
        }
    }

    void cancelThenNext() {
        WindowDriver d("canopy-worker");
        makeShort(d);
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        QRandomGenerator random(11);
        for (int i = 0; i < 3; ++i) {
            const auto before = d.link().snapshot()->jobs.size();
            d.press();
            QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot()->jobs.size() == before + 1 &&
                                         d.find<QPushButton>("cancelButton")->isEnabled() &&
                                         d.find<QPushButton>("cancelButton")->isVisible(),
                                     kPatience);
            QTest::qWait(random.bounded(1500));
            QElapsedTimer reaction;
            reaction.start();
            QTest::keyClick(&d.window(), Qt::Key_Return, Qt::ControlModifier | Qt::AltModifier);
            qInfo("reaction shown after %lld ms", static_cast<long long>(reaction.elapsed()));
            QTRY_VERIFY_WITH_TIMEOUT(isFinished(d.lastJob()->record.state), kPatience);
        }
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(
            d.link().snapshot()->jobs.size() == 4 && isFinished(d.lastJob()->record.state), kPatience);
        QVERIFY2(d.lastIs(JobState::Done), d.lastJob()->record.sentence.c_str());
    }

    void killedWorkerRecovers() {
        WindowDriver d("canopy-worker");
        makeShort(d);
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(d.viewer().showsPreview(), kPatience);
        const auto pid = d.worker().pid;
        QVERIFY(pid > 0);
        kill(pid_t(pid), SIGKILL);
        QTRY_VERIFY_WITH_TIMEOUT(isFinished(d.lastJob()->record.state), kPatience);
        QVERIFY(!d.lastJob()->record.sentence.empty());
        QCOMPARE(d.clips(), 0); // nothing half-written under its final name
        QTRY_VERIFY_WITH_TIMEOUT(d.worker().pid > 0 && d.worker().pid != pid, kPatience);
        if (d.link().snapshot()->queuePaused)
            d.window().workspace().togglePause();
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot()->jobs.size() >= 2 && d.lastIs(JobState::Done),
                                 kPatience);
    }

private:
    static void makeShort(WindowDriver& d) {
        QTRY_VERIFY_WITH_TIMEOUT(d.form().model(), kPatience);
        auto request = d.form().request();
        request.prompt = "A red balloon rises slowly over the sea at dusk.";
        request.frames = 9;
        request.steps = 4;
        request.seed = 5;
        d.form().setRequest(request);
    }
};

QTEST_MAIN(EndToEndTest)
#include "end_to_end_test.moc"
