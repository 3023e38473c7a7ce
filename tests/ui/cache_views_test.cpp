#include <cmath>

#include <QAbstractButton>
#include <QLabel>
#include <QSignalSpy>
#include <QTableView>
#include <QTest>

#include "tests/ui/dark_theme.h"
#include "tests/ui/made_chunks.h"
#include "ui/cache/cache_export.h"
#include "ui/cache/cache_map_view.h"
#include "ui/cache/change_view.h"
#include "ui/cache/kept_keys_view.h"
#include "ui/cache/kv_memory_view.h"
#include "ui/cache/saving_bar.h"
#include "ui/panels/cache_facts_panel.h"
#include "ui/panels/cache_map_panel.h"
#include "ui/panels/cache_table.h"
#include "ui/theme/dresser.h"
#include "ui/theme/theme_manager.h"

using namespace canopy;
using namespace canopy::ui;
using namespace canopy::ui::test;

namespace {

std::shared_ptr<const CacheScene> sceneOf(const ChunkRecord& record, double seconds = 0) {
    return std::make_shared<const CacheScene>(cacheSceneOf(record, seconds));
}

/// Share of a cell's pixels that stand out from the panel.
double ink(const QImage& image, const QRectF& cell, const QColor& paper) {
    int drawn = 0, all = 0;
    for (int y = int(cell.top()); y < int(cell.bottom()); ++y)
        for (int x = int(cell.left()) + 2; x < int(cell.right()) - 2; ++x, ++all)
            drawn += std::abs(image.pixelColor(x, y).lightness() - paper.lightness()) > 60;
    return all ? double(drawn) / all : 0;
}

} // namespace

/// The cache page on hand-made records: what is drawn, said and exported is a function of the record.
class CacheViewsTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        m_themes = canopy::test::darkTheme();
        QVERIFY(m_themes);
    }

    void sceneAlignsChunksWithFrames() {
        const CacheScene scene = cacheSceneOf(madeChunks());
        QCOMPARE(scene.frames(), 97);
        QCOMPARE(scene.chunks[0].frames, 17); // the first latent frame is one frame of the clip
        QCOMPARE(scene.chunks[1].firstFrame, 17);
        QCOMPARE(scene.chunks[4].frames, 20);
        QCOMPARE(scene.chunkAt(16), 0);
        QCOMPARE(scene.chunkAt(17), 1);
        QCOMPARE(scene.chunkAt(97), -1);
    }

    void totalsAddUp() {
        const ChunkRecord record = madeChunks();
        const CacheScene scene = cacheSceneOf(record, 50);
        const auto& t = scene.totals;
        int reused = 0, all = 0;
        for (const auto& row : record.rows)
            for (const auto& step : row.chunks) {
                ++all;
                reused += step.decision == ChunkDecision::Reuse;
            }
        QVERIFY(reused > 0 && reused < all);
        QCOMPARE(t.reused, reused);
        QCOMPARE(t.computed + t.reused, all);
        QCOMPARE(t.measuredSeconds, 50.0);
        QVERIFY(t.rowSeconds > 0 && t.reuseSeconds > 0 && t.squeezeSeconds > 0);
        double saved = 0;
        for (int c = 0; c < scene.chunkCount(); ++c)
            saved += scene.savedSeconds(c);
        QVERIFY(std::abs(saved - t.reuseSeconds) < 1e-9);
        // All steps take what computed ones took for each operation: with the rows' own times the predicted
        // dense time is that of the dense operations.
        double computedSeconds = 0;
        for (const auto& row : record.rows)
            for (const auto& step : row.chunks)
                if (step.decision != ChunkDecision::Reuse)
                    computedSeconds += step.milliseconds / 1000;
        const CacheScene rows = cacheSceneOf(record);
        QVERIFY(std::abs(rows.totals.denseSeconds() - computedSeconds * t.denseFlop / t.computedFlop) < 1e-6);
    }

    void nothingReusedSavesNothing() {
        ChunkRecord record = madeChunks({.budget = 5});
        record.compressions.clear();
        for (auto& row : record.rows) {
            row.kv.ranges.clear();
            for (auto& step : row.chunks) {
                step.decision = ChunkDecision::Compute;
                step.contextTokens = (step.chunk + 1) * record.run->chunkTokens();
            }
        }
        const auto totals = cacheSceneOf(record).totals;
        QCOMPARE(totals.reuseSeconds, 0.0);
        QCOMPARE(totals.squeezeSeconds, 0.0);
        QCOMPARE(totals.factor(), 1.0);
        QCOMPARE(totals.modelFactor(), 1.0);
    }

    void mapShowsTheDecisions() {
        CacheSelection selection;
        selection.setScene(sceneOf(madeChunks({.rows = 40})));
        CacheMapView view(&selection);
        view.setTheme(m_themes->theme());
        view.resize(900, 30 * 8 + 80);
        const QImage image = view.grab().toImage().convertToFormat(QImage::Format_RGB32);
        const auto at = layoutCacheMap(selection.scene(), QSizeF(view.size()), m_themes->theme());
        const QColor paper = image.pixelColor(1, image.height() - 1);
        int seen[4] = {};
        for (int c = 0; c < 5; ++c)
            for (int s = 0; s < 30; ++s) {
                if (c == selection.chunk() && std::abs(s - selection.step()) <= 1)
                    continue; // below the cursor
                const CacheState state = selection.scene().cell(c, s).state;
                const double share = ink(image, at.cell(selection.scene(), c, s), paper);
                ++seen[int(state)];
                switch (state) {
                case CacheState::Computed:
                    QVERIFY(share > 0.99);
                    break;
                case CacheState::Reused:
                    QVERIFY(share > 0.05 && share < 0.25);
                    break;
                case CacheState::Forced:
                    QVERIFY(share > 0.25 && share < 0.95);
                    break;
                case CacheState::NotRun:
                    QVERIFY(share < 0.06);
                    break;
                }
            }
        for (const int n : seen)
            QVERIFY(n > 3);
    }

    void keysMoveAndSpeak() {
        CacheSelection selection;
        selection.setScene(sceneOf(madeChunks()));
        CacheMapView view(&selection);
        view.setTheme(m_themes->theme());
        view.resize(900, 320);
        view.show();
        view.setFocus();
        selection.select(1, 5);
        QSignalSpy spoken(&selection, &CacheSelection::hovered), opened(&selection, &CacheSelection::opened),
            seek(&selection, &CacheSelection::seekRequested);
        QTest::keyClick(&view, Qt::Key_Right);
        QTest::keyClick(&view, Qt::Key_Down);
        QCOMPARE(selection.chunk(), 2);
        QCOMPARE(selection.step(), 6);
        QCOMPARE(spoken.back().front().toString(), selection.words(2, 6));
        QVERIFY(selection.words(2, 6).startsWith(QStringLiteral("chunk 3, step 6: ")));
        QCOMPARE(view.accessibleDescription(), selection.words(2, 6));
        QTest::keyClick(&view, Qt::Key_Return);
        QCOMPARE(opened.size(), 1);
        QCOMPARE(seek.back().front().toInt(), selection.scene().chunks[2].firstFrame);
        for (int i = 0; i < 40; ++i)
            QTest::keyClick(&view, Qt::Key_Down);
        QCOMPARE(selection.step(), 29);
        QTest::keyClick(&view, Qt::Key_Home);
        QCOMPARE(selection.chunk(), 0);
    }

    void aGrowingRunIsFollowedUntilSomethingIsChosen() {
        CacheSelection selection;
        selection.setScene(sceneOf(madeChunks({.rows = 5})));
        QCOMPARE(selection.step(), 4);
        selection.setScene(sceneOf(madeChunks({.rows = 9})));
        QCOMPARE(selection.step(), 8);
        selection.select(0, 2);
        selection.setScene(sceneOf(madeChunks({.rows = 12})));
        QCOMPARE(selection.step(), 2);
        selection.setScene(sceneOf(madeChunks({.chunks = 1, .steps = 2})));
        QCOMPARE(selection.step(), 1);
    }

    void memoryStaysInItsRoom() {
        const CacheScene scene = cacheSceneOf(madeChunks());
        QVERIFY(!scene.squeezes.empty());
        for (const auto& row : scene.memory) {
            QVERIFY(row.finishedRows + row.activeRows <= scene.capacityRows);
            QVERIFY(row.bytes <= scene.capacityBytes);
        }
        QVERIFY(scene.kept[0].has_value());
        QVERIFY(scene.kept[0]->share < scene.kept[2]->share); // squeezed more often
        QCOMPARE(int(scene.kept[0]->places.size()), 5);
    }

    void exportsAgreeWithTheMap() {
        const CacheScene scene = cacheSceneOf(madeChunks({.rows = 40}));
        const auto lines = QString::fromStdString(cacheCsv(scene)).split(u'\n', Qt::SkipEmptyParts);
        int run = 0;
        for (const auto& cell : scene.cells)
            run += cell.state != CacheState::NotRun;
        QCOMPARE(int(lines.size()), run + 1);
        const auto heads = lines.front().split(u',');
        for (const auto& line : lines.mid(1)) {
            const auto fields = line.split(u',');
            QCOMPARE(fields.size(), heads.size());
            const auto& cell = scene.cell(fields[0].toInt() - 1, fields[1].toInt());
            QCOMPARE(fields[2].toInt(), cell.row);
            QCOMPARE(fields[4], QLatin1String(cacheStateName(cell.state)));
            QCOMPARE(fields[8].toDouble(), cell.after);
        }
        const auto npz = cacheNpz(scene);
        QVERIFY(npz.ok());
        const QByteArray bytes(reinterpret_cast<const char*>(npz->data()), qsizetype(npz->size()));
        QVERIFY(bytes.contains("kept_places.npy") && bytes.contains("'shape': (5,30,)"));
    }

    void tablesHoldWhatTheMapShows() {
        const auto scene = sceneOf(madeChunks({.rows = 40}));
        CacheTableDialog dialog(scene);
        int run = 0;
        for (const auto& cell : scene->cells)
            run += cell.state != CacheState::NotRun;
        const auto model = [&](const char* name) {
            return dialog.findChild<QTableView*>(QLatin1String(name))->model();
        };
        QCOMPARE(model("cacheTableSteps")->rowCount(), run);
        QCOMPARE(model("cacheTableSteps")->index(0, 2).data().toString(), stateWord(CacheState::Computed));
        QCOMPARE(model("cacheTableChunks")->rowCount(), 5);
        QCOMPARE(model("cacheTableChunks")->index(1, 1).data().toInt(), 17);
        QCOMPARE(model("cacheTableChunks")->index(0, 4).data().toInt(), scene->stepsReused(0));
        QCOMPARE(model("cacheTableMemory")->rowCount(), 40);
        for (const char* name : {"cacheTableSteps", "cacheTableChunks", "cacheTableMemory"})
            for (int c = 0; c < model(name)->columnCount(); ++c)
                QVERIFY(!model(name)->headerData(c, Qt::Horizontal).toString().isEmpty());
    }

    void panesSayTheFiguresOfTheRun() {
        CacheSelection selection;
        CacheMapPanel map(&selection);
        CacheFactsPanel facts(&selection);
        for (QWidget* pane : std::initializer_list<QWidget*>{&map, &facts}) {
            dresser::dress(pane, m_themes->theme());
            pane->resize(pane == &map ? QSize(984, 430) : QSize(456, 800));
        }
        auto* measured = facts.findChild<QLabel*>(QStringLiteral("cacheSum3"));
        auto* table = map.findChild<QAbstractButton*>(QStringLiteral("cacheTableButton"));
        QVERIFY(measured && table);
        QCOMPARE(measured->text(), QStringLiteral("-"));
        QVERIFY(!table->isEnabled());
        selection.setScene(sceneOf(madeChunks(), 61.5));
        QCOMPARE(measured->text(), QStringLiteral("61.5 s"));
        QVERIFY(table->isEnabled());
        selection.select(2, 7);
        QCOMPARE(facts.findChild<QLabel*>(QStringLiteral("cacheCellTitle"))->text(),
                 QStringLiteral("Chunk 3, step 7"));
        const QImage full = map.grab().toImage(), fullFacts = facts.grab().toImage();
        selection.setScene(nullptr);
        QCOMPARE(measured->text(), QStringLiteral("-"));
        QVERIFY(map.grab().toImage() != full && facts.grab().toImage() != fullFacts);
    }

private:
    std::unique_ptr<ThemeManager> m_themes;
};

QTEST_MAIN(CacheViewsTest)
#include "cache_views_test.moc"
