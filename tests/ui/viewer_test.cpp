#include <QFile>
#include <QLabel>
#include <QPushButton>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include "core/media/video_writer.h"
#include "ui/panels/viewer_panel.h"
#include "ui/viewer/video_view.h"

using namespace canopy;
using namespace canopy::ui;

namespace {

std::shared_ptr<const PreviewImage> preview(JobId job, int step, int frames) {
    auto p = std::make_shared<PreviewImage>();
    p->job = job;
    p->step = step;
    p->width = 4;
    p->height = 2;
    p->frames = frames;
    for (int f = 0; f < frames; ++f)
        p->rgb.insert(p->rgb.end(), std::size_t(4 * 2 * 3), std::uint8_t(f * 10));
    return p;
}

GenerationRequest request() {
    GenerationRequest r;
    r.width = 320;
    r.height = 192;
    r.frames = 33;
    r.fps = 16;
    return r;
}

} // namespace

class ViewerTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() {
        m_panel = std::make_unique<ViewerPanel>();
        m_panel->resize(800, 600);
        m_panel->show();
        m_panel->playback().setLoop(true);
    }

    void playbackGoesByTheClock() {
        Playback p;
        p.setSource(10, 10);
        p.play();
        p.advance(0.35);
        QCOMPARE(p.frame(), 3);
        p.advance(0.8); // over the end: the loop goes on at 1.15 s = frame 1
        QCOMPARE(p.frame(), 1);
        p.setLoop(false);
        p.advance(5);
        QCOMPARE(p.frame(), 9);
        QVERIFY(!p.isPlaying());
        p.play(); // at the end: from the start again
        QCOMPARE(p.frame(), 0);
    }

    void aGrowingClipPlaysWhatIsFinishedAndThenThePreview() {
        GenerationRequest request;
        request.width = 32;
        request.height = 16;
        request.frames = 33;
        request.fps = 16;
        auto preview = std::make_shared<PreviewImage>();
        *preview = {7, 3, 4, 2, 6, std::vector<std::uint8_t>(4 * 2 * 3 * 6, 200)}; // two chunks of three
        m_panel->showGrowing(7, nullptr, preview, request);
        QCOMPARE(m_panel->playback().frames(), 21);
        QCOMPARE(m_panel->playback().fps(), 16.0);
        QVERIFY(m_panel->playback().isPlaying());
        QCOMPARE(m_panel->previewJob(), JobId(7));
        QCOMPARE(m_panel->picture(20).width(), 4);
        QVERIFY(m_panel->picture(21).isNull());

        auto grown = std::make_shared<GrownFrames>();
        grown->job = 7;
        grown->count = 33;
        grown->width = 32;
        grown->height = 16;
        for (int f = 0; f < 9; ++f)
            grown->pictures.push_back(
                std::make_shared<const std::vector<std::uint8_t>>(std::size_t{32} * 16 * 3, std::uint8_t(f)));
        m_panel->playback().seek(8);
        m_panel->showGrowing(7, grown, nullptr, request);
        QCOMPARE(m_panel->playback().frame(), 8); // it goes on where it was
        QCOMPARE(m_panel->playback().frames(), 21);
        QCOMPARE(m_panel->picture(8).width(), 32);
        QCOMPARE(qRed(m_panel->picture(8).pixel(0, 0)), 8);
        QCOMPARE(m_panel->picture(9).width(), 4); // the next chunk's preview
        QCOMPARE(m_panel->clipFrame(), 8);
        m_panel->seekClipFrame(15);
        QCOMPARE(m_panel->playback().frame(), 15);
        // The same values again change nothing.
        m_panel->showGrowing(7, grown, preview, request);
        QCOMPARE(m_panel->playback().frame(), 15);
        // Another job starts from its beginning.
        auto other = std::make_shared<PreviewImage>(*preview);
        other->job = 8;
        m_panel->showGrowing(8, nullptr, other, request);
        QCOMPARE(m_panel->playback().frame(), 0);
        QCOMPARE(m_panel->picture(0).width(), 4);
        m_panel->showNothing();
        QVERIFY(!m_panel->showsPreview());
    }

    void theClipUnderWayCanBePausedAndGoesOn() {
        auto* button = m_panel->findChild<QPushButton*>(QStringLiteral("pauseClipButton"));
        QSignalSpy paused(m_panel.get(), &ViewerPanel::pauseRequested);
        QSignalSpy resumed(m_panel.get(), &ViewerPanel::resumeRequested);
        JobRow row;
        row.record.id = 5;
        row.record.state = JobState::Running;
        row.record.request = GenerationRequest{};
        row.progress = JobProgress{};
        row.canPause = row.canCancel = true;
        m_panel->setRunning(&row);
        QVERIFY(button->isVisible() && button->isEnabled());
        QTest::mouseClick(button, Qt::LeftButton);
        QCOMPARE(paused.count(), 1);
        QCOMPARE(paused.front().front().value<JobId>(), JobId(5));
        QVERIFY(!button->isEnabled()); // until the studio answers
        row.record.state = JobState::Paused;
        row.progress.reset();
        row.canPause = false;
        row.canResume = true;
        m_panel->setRunning(&row);
        QVERIFY(button->isEnabled());
        QTest::mouseClick(button, Qt::LeftButton);
        QCOMPARE(resumed.count(), 1);
        m_panel->setRunning(nullptr);
        QVERIFY(!button->isVisible());
    }

    void backwardsLoops() {
        Playback p;
        p.setSource(10, 10);
        p.seek(2);
        p.play(-2);
        p.advance(0.2); // four frames back from the end of frame 2
        QCOMPARE(p.frame(), 8);
    }

    void stepsAreFrameExact() {
        Playback p;
        p.setSource(33, 16);
        p.stepBy(1);
        p.stepBy(1);
        QCOMPARE(p.frame(), 2);
        p.stepSecond(1);
        QCOMPARE(p.frame(), 18);
        p.stepSecond(1);
        QCOMPARE(p.frame(), 32);
        p.stepBy(-100);
        QCOMPARE(p.frame(), 0);
    }

    void keysDriveTheTransport() {
        m_panel->showPreview(preview(1, 0, 21), request());
        auto& p = m_panel->playback();
        auto* view = m_panel->keyTarget();
        QVERIFY(p.isPlaying()); // previews loop at once
        QTest::keyClick(view, Qt::Key_Space);
        QVERIFY(!p.isPlaying());
        QTest::keyClick(view, Qt::Key_Home);
        QCOMPARE(p.frame(), 0);
        QTest::keyClick(view, Qt::Key_Right);
        QCOMPARE(p.frame(), 1);
        QTest::keyClick(view, Qt::Key_End);
        QCOMPARE(p.frame(), 20);
        QTest::keyClick(view, Qt::Key_Left);
        QCOMPARE(p.frame(), 19);
        QTest::keyClick(view, Qt::Key_Left,
                        Qt::ShiftModifier); // 21 frames last 33/16 s: a second is 10 frames
        QCOMPARE(p.frame(), 9);
        QTest::keyClick(view, Qt::Key_L);
        QCOMPARE(p.speed(), 1.0);
        QTest::keyClick(view, Qt::Key_L);
        QTest::keyClick(view, Qt::Key_L);
        QCOMPARE(p.speed(), 4.0);
        QTest::keyClick(view, Qt::Key_L);
        QTest::keyClick(view, Qt::Key_L);
        QCOMPARE(p.speed(), 8.0);
        QTest::keyClick(view, Qt::Key_J);
        QCOMPARE(p.speed(), -1.0);
        QTest::keyClick(view, Qt::Key_K);
        QVERIFY(!p.isPlaying());
    }

    void heldKIsSlow() {
        m_panel->showPreview(preview(1, 0, 21), request());
        auto& p = m_panel->playback();
        auto* view = m_panel->keyTarget();
        QTest::keyPress(view, Qt::Key_K);
        QTest::keyPress(view, Qt::Key_J);
        QCOMPARE(p.speed(), -0.25);
        QTest::keyRelease(view, Qt::Key_J);
        QVERIFY(!p.isPlaying());
        QTest::keyPress(view, Qt::Key_L);
        QCOMPARE(p.speed(), 0.25);
        QTest::keyRelease(view, Qt::Key_K);
        QVERIFY(!p.isPlaying());
    }

    void lettersOutsideThePictureDoNothing() {
        m_panel->showPreview(preview(1, 0, 21), request());
        auto& p = m_panel->playback();
        QTest::keyClick(m_panel.get(), Qt::Key_Space);
        QVERIFY(p.isPlaying());
        QTest::keyClick(m_panel->keyTarget(), Qt::Key_L, Qt::ControlModifier);
        QCOMPARE(p.speed(), 1.0);
    }

    void newerPreviewKeepsPlaying() {
        m_panel->showPreview(preview(1, 0, 21), request());
        auto& p = m_panel->playback();
        p.seek(7);
        m_panel->showPreview(preview(1, 1, 21), request());
        QVERIFY(p.isPlaying());
        QCOMPARE(p.frame(), 7);
        QCOMPARE(m_panel->view().image().pixelColor(0, 0), QColor(70, 70, 70));
    }

    void timecodeCountsHundredths() {
        QCOMPARE(timecode(31, 24), QStringLiteral("00:01.29"));
        QCOMPARE(timecode(97, 24), QStringLiteral("00:04.04"));
        QCOMPARE(timecode(0, 16), QStringLiteral("00:00.00"));
        QCOMPARE(timecode(16 * 75, 16), QStringLiteral("01:15.00"));
    }

    void clipShowsItsExactFrames() {
        QTemporaryDir folder;
        const std::filesystem::path file = folder.filePath(QStringLiteral("ramp.mp4")).toStdString();
        writeRamp(file, 40);
        QSignalSpy changed(m_panel.get(), &ViewerPanel::contentChanged);
        m_panel->showClip(QString::fromStdString(file.string()), false);
        QTRY_COMPARE(m_panel->playback().frames(), 40);
        QVERIFY(changed.count() > 0);
        for (int frame : {0, 17, 39, 5}) {
            m_panel->playback().seek(frame);
            QTRY_VERIFY(std::abs(m_panel->view().image().pixelColor(8, 8).red() - frame * 5) <= 4);
        }
    }

    void unreadableClipSaysWhy() {
        QTemporaryDir folder;
        const QString file = folder.filePath(QStringLiteral("no.mp4"));
        QFile f(file);
        QVERIFY(f.open(QIODevice::WriteOnly));
        f.write("this is no video");
        f.close();
        m_panel->showClip(file, true);
        QTRY_VERIFY(!m_panel->cardSentence().isEmpty());
    }

    void cancelReactsAtOnce() {
        JobRow job;
        job.record.id = 7;
        job.canCancel = true;
        job.progress = JobProgress{};
        job.progress->remainingSeconds = 17;
        job.progress->remainingSpread = 2;
        m_panel->setRunning(&job);
        auto* ready = m_panel->findChild<QLabel*>(QStringLiteral("readyIn"));
        auto* cancel = m_panel->findChild<QPushButton*>(QStringLiteral("cancelButton"));
        QVERIFY(ready->text().contains(QStringLiteral("0:17")) &&
                ready->text().contains(QStringLiteral("±2 s")));
        QSignalSpy asked(m_panel.get(), &ViewerPanel::cancelRequested);
        QTest::mouseClick(cancel, Qt::LeftButton);
        QCOMPARE(asked.count(), 1);
        QVERIFY(!cancel->isEnabled());
        m_panel->setRunning(&job); // the studio has not heard of it yet
        QVERIFY(!cancel->isEnabled());
        QVERIFY(ready->text().contains(QStringLiteral("Stopping")));
        job.record.id = 8; // the next job can be cancelled again
        m_panel->setRunning(&job);
        QVERIFY(cancel->isEnabled());
    }

    void zoomSteps() {
        m_panel->showPreview(preview(1, 0, 21), request());
        auto& view = m_panel->view();
        QVERIFY(view.isFit());
        view.setZoom(1);
        view.zoomIn();
        QCOMPARE(view.zoom(), 1.5);
        view.zoomOut();
        view.zoomOut();
        QCOMPARE(view.zoom(), 0.75);
        view.setFit();
        QVERIFY(view.isFit());
    }

private:
    static void writeRamp(const std::filesystem::path& file, int frames);
    std::unique_ptr<ViewerPanel> m_panel;
};

void ViewerTest::writeRamp(const std::filesystem::path& file, int frames) {
    media::VideoWriterOptions options;
    options.file = file;
    options.width = 64;
    options.height = 32;
    options.fps = 16;
    options.frames = frames;
    options.threads = 1;
    auto writer = media::VideoWriter::create(options);
    QVERIFY2(writer.ok(), writer.ok() ? "" : writer.error().message.c_str());
    for (int i = 0; i < frames; ++i) {
        media::Frame frame;
        frame.width = 64;
        frame.height = 32;
        frame.rgb.assign(frame.byteCount(), std::uint8_t(i * 5));
        QVERIFY((*writer)->write(frame).ok());
    }
    auto done = (*writer)->finish();
    QVERIFY2(done.ok(), done.ok() ? "" : done.error().message.c_str());
}

QTEST_MAIN(ViewerTest)
#include "viewer_test.moc"
