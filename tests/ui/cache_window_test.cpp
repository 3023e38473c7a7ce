#include <QAction>
#include <QTableView>

#include "tests/support/fake_chunks.h"
#include "tests/ui/window_driver.h"
#include "ui/cache/cache_map_view.h"
#include "ui/panels/cache_table.h"
#include "ui/shell/cache_inspector.h"

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

private:
    static QString fileOf(WindowDriver& d, int clip) {
        const auto& jobs = d.link().snapshot()->jobs;
        return QString::fromStdString(jobs[std::size_t(clip - 1)].record.resultFile.string());
    }

    static void make(WindowDriver& d, SamplingMode mode, int clips) {
        GenerationRequest request = d.form().request();
        request.prompt = "a boat";
        request.frames = 33;
        request.steps = 6;
        request.chunks.mode = mode;
        if (mode == SamplingMode::Chunked)
            request.chunks.blockFrames = 3;
        d.link().generate(request);
        QTRY_VERIFY_WITH_TIMEOUT(
            d.link().snapshot()->jobs.size() == std::size_t(clips) && d.lastIs(JobState::Done), kPatience);
    }
};

QTEST_MAIN(CacheWindowTest)
#include "cache_window_test.moc"
