#include <cmath>

#include <QComboBox>
#include <QContextMenuEvent>
#include <QSignalSpy>
#include <QTest>
#include <QToolButton>

#include "tests/ui/dark_theme.h"
#include "tests/ui/made_chunks.h"
#include "ui/cache/cache_selection.h"
#include "ui/panels/timeline_panel.h"
#include "ui/theme/dresser.h"
#include "ui/theme/theme_manager.h"
#include "ui/timeline/chunk_timeline_view.h"

using namespace canopy;
using namespace canopy::ui;
using namespace canopy::ui::test;

namespace {

/// Share of the pixels of a rectangle that are nearer to one colour than to the panel's.
double share(const QImage& image, const QRectF& area, const QColor& colour) {
    int hits = 0, all = 0;
    for (int y = int(area.top()); y < int(area.bottom()); ++y)
        for (int x = int(area.left()); x < int(area.right()); ++x, ++all) {
            const QColor c = image.pixelColor(x, y);
            hits += std::abs(c.red() - colour.red()) + std::abs(c.green() - colour.green()) +
                        std::abs(c.blue() - colour.blue()) <
                    60;
        }
    return all ? double(hits) / all : 0;
}

} // namespace

/// The chunk timeline on hand-made records.
class TimelineTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        m_themes = canopy::test::darkTheme();
        QVERIFY(m_themes);
    }
    void init() {
        m_selection = std::make_unique<CacheSelection>();
        m_panel = std::make_unique<TimelinePanel>(m_selection.get());
        dresser::dress(m_panel.get(), m_themes->theme());
        m_panel->resize(900, 240);
        m_panel->show();
        m_selection->setScene(std::make_shared<const CacheScene>(cacheSceneOf(madeChunks())));
    }
    void cleanup() { m_panel.reset(); }

    void cellsAlignWithFrames() {
        const auto at = layout();
        const auto& scene = m_selection->scene();
        QCOMPARE(scene.frames(), 97);
        // Chunk 2 begins with frame 17, whatever the row.
        for (const QRectF& row : {at.film, at.cache, at.memory}) {
            const QRectF cell = at.chunk(scene, 1, row);
            QVERIFY(std::abs(cell.left() - at.frameX(17)) <= at.gap + 1);
            QVERIFY(std::abs(cell.right() - at.frameX(37)) <= 1);
            QCOMPARE(cell.top(), row.top());
        }
        QVERIFY(layoutTimeline(scene, view().size(), true, m_themes->theme()).drift.isEmpty());
        QVERIFY(!at.drift.isEmpty());
    }

    void statesHaveTheirForms() {
        const QImage image = view().grab().toImage();
        const auto at = layout();
        const auto& scene = m_selection->scene();
        const QRectF row = at.chunk(scene, 1, at.cache);
        const double tick = row.width() / scene.steps;
        const QColor computed = m_themes->theme().colour(Role::Computed);
        int checked = 0;
        for (int step = 3; step < scene.steps; ++step) {
            const QRectF upper(row.left() + tick * step + 1, row.top() + 2, tick - 2, row.height() / 2);
            const bool full = share(image, upper, computed) > 0.5;
            const auto state = scene.cell(1, step).state;
            if (state != CacheState::Computed && state != CacheState::Reused)
                continue;
            QCOMPARE(full, state == CacheState::Computed); // a reused step is low
            ++checked;
        }
        QVERIFY(checked > 20);
        // Warm-up is hatched: some of its pixels, not all.
        const QRectF warm(row.left() + tick, row.top(), tick * 2, row.height()); // step 0 is new
        const double hatch = share(image, warm, m_themes->theme().colour(Role::Forced));
        QVERIFY2(hatch > 0.1 && hatch < 0.85, qPrintable(QString::number(hatch)));
    }

    void wordsSayEverythingThatIsDrawn() {
        QVERIFY(view().chunkWords(0).startsWith(QStringLiteral("Chunk 1 of 5, 0.00 to 1.06 s")));
        QVERIFY(view().chunkWords(0).contains(QStringLiteral("steps reused")));
        TimelineFacts facts;
        facts.chunkDrift = {{}, {3.25, 0.8, 0.9}};
        view().setFacts(facts);
        QVERIFY(view().chunkWords(1).contains(QStringLiteral("colour 3.2")) ||
                view().chunkWords(1).contains(QStringLiteral("colour 3.3")));
        QVERIFY(view().chunkWords(1).contains(QStringLiteral("sharpness 80 %")));
        QVERIFY(
            !view().chunkWords(0).contains(QStringLiteral("colour"))); // the first is what others are held to
        view().setFocus();
        QTest::keyClick(&view(), Qt::Key_Home);
        QTest::keyClick(&view(), Qt::Key_Right);
        QCOMPARE(view().accessibleDescription(), view().chunkWords(1));
    }

    void aClipBeingMadeSaysWhatIsLeft() {
        MadeChunks made;
        made.rows = 12; // chunk 1 at step 12, chunk 2 at step 2
        m_selection->setScene(std::make_shared<const CacheScene>(cacheSceneOf(madeChunks(made))));
        TimelineFacts facts;
        facts.secondsLeft = {4, 8, 9, 9, 65};
        view().setFacts(facts);
        QVERIFY(view().chunkWords(0).contains(QStringLiteral("about 0:04 left")));
        QVERIFY(view().chunkWords(4).contains(QStringLiteral("about 1:05 to make")));
        const QImage image = view().grab().toImage();
        const QColor accent = m_themes->theme().colour(Role::Accent);
        const auto at = layout();
        const auto outlined = [&](int chunk) {
            const QRectF cell = at.chunk(m_selection->scene(), chunk, at.film);
            return share(image, QRectF(cell.left() + 4, cell.bottom() - 2, cell.width() - 8, 2), accent) >
                   0.5;
        };
        QVERIFY(outlined(0) && outlined(1));
        QVERIFY(!outlined(3));
    }

    void keysAndMouseMoveAndSeek() {
        QSignalSpy seeks(m_selection.get(), &CacheSelection::seekRequested);
        view().setFocus();
        QTest::keyClick(&view(), Qt::Key_Home);
        QTest::keyClick(&view(), Qt::Key_Right);
        QCOMPARE(m_selection->chunk(), 1);
        QCOMPARE(seeks.back().front().toInt(), 17);
        QTest::keyClick(&view(), Qt::Key_End);
        QCOMPARE(m_selection->chunk(), 4);
        const auto at = layout();
        const QPoint point(int(at.frameX(40) + at.frameWidth / 2), int(at.film.center().y()));
        QTest::mouseClick(&view(), Qt::LeftButton, {}, point);
        QCOMPARE(seeks.back().front().toInt(), 40);
        QCOMPARE(m_selection->chunk(), 2);
    }

    void aMenuComesByMouseKeyAndButton() {
        QSignalSpy menus(m_panel.get(), &TimelinePanel::menuRequested);
        const auto at = layout();
        const QPoint point(int(at.frameX(20)), int(at.cache.center().y()));
        QContextMenuEvent mouse(QContextMenuEvent::Mouse, point, view().mapToGlobal(point));
        QCoreApplication::sendEvent(&view(), &mouse);
        QCOMPARE(menus.count(), 1);
        QCOMPARE(menus.back().front().toInt(), 1);
        QTest::keyClick(&view(), Qt::Key_End);
        QContextMenuEvent key(QContextMenuEvent::Keyboard, {}, {});
        QCoreApplication::sendEvent(&view(), &key);
        QCOMPARE(menus.back().front().toInt(), 4);
        QTest::mouseClick(m_panel->findChild<QToolButton*>(QStringLiteral("chunkMenuButton")),
                          Qt::LeftButton);
        QCOMPARE(menus.count(), 3);
    }

    void picturesAreTakenOncePerFrame() {
        int asked = 0;
        view().setPictures([&](int frame) {
            ++asked;
            QImage image(64, 36, QImage::Format_RGB32);
            image.fill(frame < 50 ? Qt::red : Qt::green);
            return image;
        });
        TimelineFacts facts;
        facts.finishedFrames = 97;
        view().setFacts(facts);
        view().picturesChanged(true);
        QTRY_VERIFY_WITH_TIMEOUT(asked > 0, 5000);
        const auto at = layout();
        const QImage image = view().grab().toImage();
        const QRectF last = at.chunk(m_selection->scene(), 4, at.film).adjusted(4, 20, -4, -4);
        QVERIFY(share(image, last, Qt::green) > 0.9);
        const int once = asked;
        view().picturesChanged(false);
        QTest::qWait(400);
        QCOMPARE(asked, once); // finished frames do not change
    }

    void takesAreASwitch() {
        auto* field = m_panel->findChild<QComboBox*>(QStringLiteral("takesField"));
        m_panel->setTakes({{QStringLiteral("/a.mp4"), QStringLiteral("Take 1")}}, 0);
        QVERIFY(!field->isVisible()); // one alone needs none
        m_panel->setTakes({{QStringLiteral("/a.mp4"), QStringLiteral("Take 1")},
                           {QStringLiteral("/b.mp4"), QStringLiteral("Take 2, from chunk 3")}},
                          1);
        QVERIFY(field->isVisible());
        QCOMPARE(field->currentIndex(), 1);
        QSignalSpy chosen(m_panel.get(), &TimelinePanel::takeChosen);
        auto* before = m_panel->findChild<QToolButton*>(QStringLiteral("takeBefore"));
        QVERIFY(before->isEnabled());
        QVERIFY(!m_panel->findChild<QToolButton*>(QStringLiteral("takeAfter"))->isEnabled());
        QTest::mouseClick(before, Qt::LeftButton);
        QCOMPARE(chosen.front().front().toString(), QStringLiteral("/a.mp4"));
    }

private:
    ChunkTimelineView& view() { return m_panel->view(); }
    TimelineLayout layout() {
        return layoutTimeline(m_selection->scene(), QSizeF(view().size()), view().isFolded(),
                              m_themes->theme());
    }

    std::unique_ptr<ThemeManager> m_themes;
    std::unique_ptr<CacheSelection> m_selection;
    std::unique_ptr<TimelinePanel> m_panel;
};

QTEST_MAIN(TimelineTest)
#include "timeline_test.moc"
