#include <QApplication>
#include <QFile>
#include <QTest>

#include "ui/overlay/overlay.h"
#include "ui/theme/theme_manager.h"
#include "ui/viewer/video_view.h"

using namespace canopy;
using namespace canopy::ui;

/// Needs a display with OpenGL (a virtual one will do).
class OverlayTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        auto tokens = loadThemeResources();
        QVERIFY(tokens.ok());
        m_theme = Theme(*tokens, Palette::Dark, 1);
        bool answered = false, works = false;
        probeOpenGl(this, [&](bool w) {
            answered = true;
            works = w;
        });
        QTRY_VERIFY_WITH_TIMEOUT(answered, 30'000);
        if (!works)
            QSKIP("This display has no OpenGL, so there is no overlay to look at.");
    }

    void gathersStagesBlocksAndSteps() {
        ProfilerData data;
        StudioSnapshot s;
        client::JobView job;
        for (int step = 0; step < 70; ++step) {
            job.job = 1;
            job.timings = {{1, 0, "text", 0.2},
                           {1, step, "step", 0.5},
                           {1, step, "block 0", 0.1},
                           {1, step, "block 2", 0.3}};
            send(data, s, job);
            send(data, s, job); // the same snapshot twice counts once
        }
        QCOMPARE(data.stepMillis().size(), ProfilerData::kSteps);
        QCOMPARE(data.blockMillis(), (std::vector<float>{100, 0, 300}));
        QCOMPARE(data.stages().size(), std::size_t(2));
        job.job = 2;
        job.timings = {{2, 0, "block x", 1}, {2, 0, "block 99999999999", 1}};
        send(data, s, job); // another job, and names nobody expects
        QVERIFY(data.stepMillis().empty());
        QVERIFY(data.blockMillis().empty());
    }

    void drawsAtThisPixelRatio() {
        VideoView view;
        view.resize(900, 600);
        view.setTheme(m_theme);
        auto overlay = makeImguiOverlay(&view);
        overlay->setTheme(m_theme);
        QVERIFY(overlay->isAvailable());
        QVERIFY(!overlay->isShown());
        view.show();
        QVERIFY(QTest::qWaitForWindowExposed(&view));
        overlay->setShown(true);
        QVERIFY(overlay->isShown());
        QTest::qWait(400); // a few frames
        const QImage image = overlay->grab();
        const double ratio = overlay->devicePixelRatio();
        // The whole window in device pixels, so text is neither small in a corner nor cut off.
        QCOMPARE(image.size(), QSize(440, 460) * ratio);
        const QColor back = m_theme.colour(Role::Panel);
        QVERIFY(hasInk(image, QRect(0, 0, image.width() / 2, int(30 * ratio)), back));
        QCOMPARE(image.pixelColor(image.width() - 8, image.height() - 8), back);
        // The border, which ImGui draws last, closes the far corner.
        QVERIFY(image.pixelColor(image.width() - 1, image.height() - 1) != back);
        overlay->setShown(false);
        QVERIFY(!overlay->isShown());
        overlay->setShown(true); // once more, and away while shown: the context ends in order
        QTest::qWait(50);
    }

private:
    static void send(ProfilerData& data, StudioSnapshot& s, const client::JobView& job) {
        auto seen = std::make_shared<client::ClientSnapshot>();
        seen->job = job;
        s.client = seen;
        data.update(s);
    }

    static bool hasInk(const QImage& image, const QRect& where, const QColor& back) {
        for (int y = where.top(); y <= where.bottom(); ++y)
            for (int x = where.left() + 4; x <= where.right(); ++x)
                if (std::abs(image.pixelColor(x, y).lightness() - back.lightness()) > 80)
                    return true;
        return false;
    }

    Theme m_theme;
};

QTEST_MAIN(OverlayTest)
#include "overlay_test.moc"
