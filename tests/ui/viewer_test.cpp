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
