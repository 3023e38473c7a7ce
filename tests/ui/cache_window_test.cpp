#include <QAction>
#include <QComboBox>
#include <QMenu>
#include <QTableView>
#include <QToolButton>

#include "core/studio/run_telemetry.h"

#include "tests/support/fake_chunks.h"
#include "tests/ui/window_driver.h"
#include "ui/cache/cache_map_view.h"
#include "ui/panels/cache_table.h"
#include "ui/panels/timeline_panel.h"
#include "ui/shell/cache_inspector.h"
#include "ui/shell/inspect_workspace.h"
#include "ui/timeline/chunk_timeline_view.h"

using namespace canopy;
using canopy::test::WindowDriver;

namespace {

constexpr int kPatience = 60'000; ///< deadline against hangs only

} // namespace

/// The cache page of Inspect over the real worker program with a scripted engine.
class CacheWindowTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() { qputenv("CANOPY_FAKE_BLOCK_MS", "2"); }

    void aClipMadeChunkByChunkIsShownAsItWasMade() {
        WindowDriver d("canopy-fake-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        auto& window = d.window();
        d.find<QAction>("inspectShowCache")->trigger();
        QCOMPARE(int(window.currentWorkspace()), int(ui::Workspace::Inspect));
        auto* map = d.find<ui::CacheMapView>("cacheMap");
        QVERIFY(map->isVisible());
        auto& selection = *window.findChild<ui::CacheSelection*>();
        QTRY_VERIFY_WITH_TIMEOUT(selection.emptyWords().startsWith(QStringLiteral("No clip is shown")),
                                 kPatience);

        // Live, and as it ended.
        make(d, SamplingMode::Chunked, 1);
        const JobId id = d.lastJob()->record.id;
        const auto expected = ui::cacheSceneOf(test::fakeChunkRecord(*d.lastJob()->record.clip()));
        QTRY_COMPARE_WITH_TIMEOUT(selection.scene().memory.size(), expected.memory.size(), kPatience);
        QCOMPARE(window.cacheInspector().shownJob(), id);
        QCOMPARE(selection.scene().chunkCount(), expected.chunkCount());
        for (std::size_t i = 0; i < expected.cells.size(); ++i)
            QCOMPARE(int(selection.scene().cells[i].state), int(expected.cells[i].state));

        // One time for picture and map, both ways.
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().clipFile(), fileOf(d, 1), kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().playback().frames(), d.lastJob()->record.clip()->frames,
                                  kPatience);
        QCOMPARE(window.cacheInspector().shownJob(), id);
        const auto held = selection.scenePtr();
        const auto& scene = *held;
        auto& playback = d.viewer().playback();
        playback.pause();
        playback.seek(playback.frames() - 1);
        QCOMPARE(selection.frame(), scene.frames() - 1);
        map->setFocus();
        selection.select(1, 0);
        QTest::keyClick(map, Qt::Key_Return);
        QCOMPARE(scene.chunkAt(selection.frame()), 1);

        // The text form.
        d.find<QAction>("inspectTable")->trigger();
        auto* dialog = d.find<ui::CacheTableDialog>("cacheTable");
        QVERIFY(dialog);
        QCOMPARE(dialog->findChild<QTableView*>(QStringLiteral("cacheTableChunks"))->model()->rowCount(),
                 scene.chunkCount());
        dialog->close();

        // A clip made as a whole has no map, and the window says so; back at the first, its map is there.
        make(d, SamplingMode::Whole, 2);
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().clipFile(), fileOf(d, 2), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(selection.scene().isEmpty(), kPatience);
        QVERIFY(selection.emptyWords().contains(QStringLiteral("as a whole")));
        QCOMPARE(window.cacheInspector().shownJob(), JobId(0));
        window.workspace().openClip(fileOf(d, 1));
        QTRY_COMPARE_WITH_TIMEOUT(window.cacheInspector().shownJob(), id, kPatience);

        d.find<QAction>("showCreate")->trigger();
        QVERIFY(!map->isVisible());
    }

    void aClipGrowsUnderThePlayer() {
        qputenv("CANOPY_FAKE_BLOCK_MS", "8");
        WindowDriver d("canopy-fake-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        auto& panel = d.window().timelinePanel();
        QVERIFY(!panel.isVisible());
        start(d, SamplingMode::Chunked);
        // Finished frames play while later chunks are made.
        QTRY_VERIFY_WITH_TIMEOUT(d.lastJob() && d.lastJob()->record.state == JobState::Running &&
                                     d.link().snapshot()->grown &&
                                     d.link().snapshot()->grown->pictures.size() >= 9,
                                 kPatience);
        QVERIFY(panel.isVisible());
        QTRY_VERIFY_WITH_TIMEOUT(d.viewer().playback().frames() >= 9, kPatience);
        QCOMPARE(d.viewer().picture(0).width(), d.lastJob()->record.clip()->width);
        QVERIFY(d.viewer().clipFile().isEmpty());
        QTRY_VERIFY_WITH_TIMEOUT(panel.view().facts().isLive(), kPatience);
        QVERIFY(d.lastJob()->words.find("Chunk ") == 0);
        // What cannot be done yet says so.
        QVERIFY(!action(d, 1, "chunkRegenerate")->isEnabled());
        QTRY_VERIFY_WITH_TIMEOUT(d.lastIs(JobState::Done), kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().clipFile(), fileOf(d, 1), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(!panel.view().facts().isLive(), kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(panel.view().facts().chunkDrift.size(), std::size_t(3), kPatience);
        d.find<QAction>("showCompare")->trigger();
        QVERIFY(!panel.isVisible());
        d.find<QAction>("showCreate")->trigger();
        QVERIFY(panel.isVisible());
    }

    void aChunkIsMadeAgainAndBothTakesAreKept() {
        WindowDriver d("canopy-fake-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        make(d, SamplingMode::Chunked, 1, 2);
        const QString first = fileOf(d, 1);
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().clipFile(), first, kPatience);
        auto& panel = d.window().timelinePanel();
        auto* takes = d.find<QComboBox>("takesField");
        QVERIFY(!takes->isVisible());

        QTRY_VERIFY_WITH_TIMEOUT(action(d, 2, "chunkRegenerate")->isEnabled(), kPatience);
        action(d, 2, "chunkRegenerate")->trigger();
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot()->jobs.size() == 2 && d.lastIs(JobState::Done),
                                 kPatience);
        const GenerationRequest again = *d.lastJob()->record.clip();
        const GenerationRequest before = *d.link().snapshot()->jobs[0].record.clip();
        QCOMPARE(again.chunks.fromChunk, 2);
        QCOMPARE(QString::fromStdString(again.chunks.basePath), first);
        QVERIFY(again.seed != before.seed);
        QCOMPARE(again.prompt, before.prompt);
        QCOMPARE(before.chunks.kvBudget, 2);
        QCOMPARE(again.chunks.kvBudget, 3); // what stays and the chunk that is made
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().clipFile(), fileOf(d, 2), kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(takes->count(), 2, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(takes->currentIndex(), 1, kPatience);
        QVERIFY(takes->itemText(1).contains(QStringLiteral("from chunk 3")));
        // The switch goes back to the first.
        QTest::mouseClick(d.find<QToolButton>("takeBefore"), Qt::LeftButton);
        QTRY_COMPARE_WITH_TIMEOUT(d.viewer().clipFile(), first, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(takes->currentIndex(), 0, kPatience);

        // Another prompt from here: the form says what stays.
        QTRY_VERIFY_WITH_TIMEOUT(action(d, 2, "chunkPrompt")->isEnabled(), kPatience);
        action(d, 2, "chunkPrompt")->trigger();
        QCOMPARE(d.form().request().chunks.fromChunk, 2);
        QVERIFY(d.find<QWidget>("fromRow")->isVisible());
        QCOMPARE(d.window().focusWidget(), d.find<QPlainTextEdit>("promptField"));
        d.type(QStringLiteral("a ship"));
        QTRY_VERIFY_WITH_TIMEOUT(d.canGenerate(), kPatience);
        d.press();
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot()->jobs.size() == 3 && d.lastIs(JobState::Done),
                                 kPatience);
        QCOMPARE(d.lastJob()->record.clip()->prompt, std::string("a ship"));
        QCOMPARE(d.lastJob()->record.clip()->seed, before.seed);
        QTRY_COMPARE_WITH_TIMEOUT(takes->count(), 3, kPatience);

        // Nothing of a chunk reused.
        d.window().workspace().openClip(first);
        QTRY_VERIFY_WITH_TIMEOUT(action(d, 1, "chunkForce")->isEnabled(), kPatience);
        action(d, 1, "chunkForce")->trigger();
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot()->jobs.size() == 4 && d.lastIs(JobState::Done),
                                 kPatience);
        const std::vector<ForcedRange> forced = {{1, 0, 6}};
        QVERIFY(d.lastJob()->record.clip()->chunks.forced == forced);

        // And what was decided about it.
        QTRY_VERIFY_WITH_TIMEOUT(!d.window().cacheInspector().record() || panel.isVisible(), kPatience);
        action(d, 2, "chunkInspect")->trigger();
        QCOMPARE(int(d.window().currentWorkspace()), int(ui::Workspace::Inspect));
        QVERIFY(d.find<ui::CacheMapView>("cacheMap")->isVisible());
        QCOMPARE(d.window().findChild<ui::CacheSelection*>()->chunk(), 2);
    }

    void aRecordingShowsItsMapWithoutItsClip() {
        const QTemporaryDir folder;
        GenerationRequest request;
        request.frames = 33;
        request.steps = 6;
        RunTelemetry run;
        run.job = 3;
        run.chunks = std::make_shared<const ChunkRecord>(test::fakeChunkRecord(request));
        run.ended = true;
        const QString file = folder.filePath(QStringLiteral("run.canopy"));
        QVERIFY(saveTelemetry(run, file.toStdString()).ok());

        WindowDriver d("no-such-worker");
        QTRY_VERIFY_WITH_TIMEOUT(d.link().isOpen(), kPatience);
        d.find<QAction>("showInspect")->trigger();
        d.window().inspectWorkspace().openSession(file);
        auto& selection = *d.window().findChild<ui::CacheSelection*>();
        QTRY_COMPARE_WITH_TIMEOUT(selection.scene().chunkCount(), 3, kPatience);
        QVERIFY(d.find<ui::CacheMapView>("cacheMap")->isVisible());
        QCOMPARE(selection.frame(), -1); // its clip is not there
        QVERIFY(!d.window().timelinePanel().isVisible());
        d.window().cacheInspector().showLive();
        QVERIFY(selection.scene().isEmpty());
    }

private:
    /// Of the menu of a chunk, opened anew.
    static QAction* action(WindowDriver& d, int chunk, const char* name) {
        if (auto* open = d.find<QMenu>("chunkMenu"))
            delete open;
        Q_EMIT d.window().timelinePanel().menuRequested(chunk, {});
        return d.find<QMenu>("chunkMenu")->findChild<QAction*>(QLatin1String(name));
    }

    static QString fileOf(WindowDriver& d, int clip) {
        const auto& jobs = d.link().snapshot()->jobs;
        return QString::fromStdString(jobs[std::size_t(clip - 1)].record.resultFile.string());
    }

    static void start(WindowDriver& d, SamplingMode mode, int budget = 0) {
        GenerationRequest request = d.form().request();
        request.prompt = "a boat";
        request.frames = 33;
        request.steps = 6;
        request.chunks.mode = mode;
        if (mode == SamplingMode::Chunked)
            request.chunks.blockFrames = 3;
        request.chunks.kvBudget = budget;
        d.link().generate(request);
    }

    static void make(WindowDriver& d, SamplingMode mode, int clips, int budget = 0) {
        start(d, mode, budget);
        QTRY_VERIFY_WITH_TIMEOUT(
            d.link().snapshot()->jobs.size() == std::size_t(clips) && d.lastIs(JobState::Done), kPatience);
    }
};

QTEST_MAIN(CacheWindowTest)
#include "cache_window_test.moc"
