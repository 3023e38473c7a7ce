#include <numeric>

#include <QPainter>
#include <QSignalSpy>
#include <QTest>

#include "tests/ui/dark_theme.h"
#include "tests/ui/made_run.h"
#include "ui/theme/theme_manager.h"
#include "ui/tokens/forest_view.h"
#include "ui/tokens/frame_strip.h"
#include "ui/tokens/histogram_view.h"
#include "ui/tokens/kept_view.h"
#include "ui/tokens/link_painter.h"
#include "ui/tokens/probe_painter.h"

using namespace canopy;
using namespace canopy::ui;
using namespace canopy::ui::test;

namespace {

std::shared_ptr<const TokenRun> shared(TokenRun run) {
    return std::make_shared<const TokenRun>(std::move(run));
}

QImage grey(const QSize& size) {
    QImage image(size, QImage::Format_RGB32);
    image.fill(QColor(120, 120, 120));
    return image;
}

} // namespace

/// Overlay, strip, forest and kept counts on hand-made runs: what is drawn is a function of the run.
class TokenViewsTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        m_themes = canopy::test::darkTheme();
        QVERIFY(m_themes);
    }

    void overlayKeepsClearDimsAndHatches() {
        const TokenScene scene(shared(madeRun()));
        TokenPaint what;
        what.sample = 1;
        const QImage picture = painted(scene, what);
        const QRectF area(0, 0, picture.width(), picture.height());
        int kept = 0, pruned = 0, others = 0;
        for (int cell = scene.cellsPerSample(); cell < 2 * scene.cellsPerSample(); ++cell) {
            const auto at = scene.place(cell);
            const QRectF rect = cellRect(scene.run(), area, at.row, at.column);
            // A little off the centre: hatch lines cross some pixels, so the average of the cell counts.
            long sum = 0, n = 0;
            for (int y = int(rect.top()) + 8; y < int(rect.bottom()) - 8; ++y)
                for (int x = int(rect.left()) + 12; x < int(rect.right()) - 8; ++x, ++n)
                    sum += qRed(picture.pixel(x, y));
            const double mean = double(sum) / double(n);
            switch (scene.state(cell)) {
            case CellState::Kept:
                QVERIFY2(std::abs(mean - 120) < 1, qPrintable(QString::number(mean)));
                ++kept;
                break;
            case CellState::Pruned:
                QVERIFY2(std::abs(mean - 120 * 0.62) < 2, qPrintable(QString::number(mean)));
                ++pruned;
                break;
            case CellState::NonCandidate:
                QVERIFY2(mean > 60 && mean < 85, qPrintable(QString::number(mean)));
                ++others;
                break;
            }
        }
        QVERIFY(kept > 0 && pruned > 0 && others > 0);
        QCOMPARE(kept, scene.keptIn(1));
        QCOMPARE(kept + pruned, scene.candidatesIn(1));
    }

    void pictureIsDrawnFromTheParents() {
        const auto run = madeRun();
        auto shuffled = run;
        // Other parents, still earlier than their children: what is drawn must be another forest.
        for (std::size_t n = 0; n < shuffled.nodeParent.size(); ++n)
            if (shuffled.nodeParent[n] >= 0) {
                shuffled.nodeParent[n] = std::int32_t((n * 7 + 3) % 98);
                shuffled.nodeTree[n] = shuffled.nodeTree[std::size_t(shuffled.nodeParent[n])];
                shuffled.nodeDepth[n] = shuffled.nodeDepth[std::size_t(shuffled.nodeParent[n])] + 1;
            }
        const TokenScene a(shared(run)), b(shared(shuffled)), again(shared(run));
        TokenPaint what;
        what.sample = 1;
        what.look = TokenLook::Links;
        QCOMPARE(painted(a, what), painted(again, what));
        QVERIFY(painted(a, what) != painted(b, what));
        const SampleAxis axis{0, 800, 8};
        const auto rowsA = layoutForest(a, axis, 9, 8, -1, 0), rowsB = layoutForest(b, axis, 9, 8, -1, 0);
        QVERIFY(rowsA.front().dots.size() != rowsB.front().dots.size());
    }

    void linksFollowTheParents() {
        // The same trees, colours and kept cells; only who hangs on whom differs.
        const auto run = madeRun(8, 14, 0.5);
        auto flat = run;
        for (std::size_t n = 0; n < flat.nodeParent.size(); ++n)
            if (flat.nodeDepth[n] > 1) {
                flat.nodeParent[n] = flat.nodeTree[n]; // trees bear their root's number
                flat.nodeDepth[n] = 1;
            }
        const TokenScene a(shared(run)), b(shared(flat));
        QCOMPARE(a.cut().tree, b.cut().tree);
        QCOMPARE(a.cut().keptCell, b.cut().keptCell);
        TokenPaint what;
        what.look = TokenLook::Links;
        what.sample = 4;
        const auto links = [&](const TokenScene& scene) {
            QImage image = grey(QSize(700, 420));
            QPainter painter(&image);
            paintLinks(painter, QRectF(image.rect()), scene, what, m_themes->theme());
            return image;
        };
        QVERIFY(links(a) != grey(QSize(700, 420)));
        QVERIFY(links(a) != links(b));
    }

    void roleChangesTheBorder() {
        // One tree over three frames: root, trunk and leaf look different by pixels alone.
        TokenRun run = madeRun(3, 4, 0.5, 1000);
        const TokenScene scene(shared(run));
        QMap<NodeRole, QByteArray> looks;
        for (int cell = 0; cell < run.cells(); ++cell) {
            const int node = scene.node(cell);
            if (node < 0 || scene.state(cell) != CellState::Kept)
                continue;
            TokenPaint what;
            what.sample = scene.place(cell).sample;
            const QImage image = painted(scene, what);
            const auto at = scene.place(cell);
            const QRect rect = cellRect(run, QRectF(image.rect()), at.row, at.column).toRect();
            // Which pixels along the upper edge and in the corner are not the picture's grey.
            QByteArray look;
            for (int x = 0; x < rect.width(); x += 4)
                look +=
                    image.pixelColor(rect.left() + x, rect.top() + 1) == QColor(120, 120, 120) ? '.' : '#';
            look += image.pixelColor(rect.left() + 8, rect.top() + 8) == QColor(120, 120, 120) ? '.' : '#';
            const NodeRole role = scene.cut().role[std::size_t(node)];
            if (looks.contains(role))
                QCOMPARE(look, looks[role]);
            looks[role] = look;
        }
        QCOMPARE(looks.size(), 3);
        QVERIFY(!looks[NodeRole::Root].contains('.'));
        QVERIFY(looks[NodeRole::Trunk].endsWith('.') && !looks[NodeRole::Trunk].chopped(1).contains('.'));
        QVERIFY(looks[NodeRole::Leaf].chopped(1).contains('.')); // corners only
    }

    void hitTestFindsTheCell() {
        const TokenRun run = madeRun();
        const QRectF picture(100, 50, 800, 480);
        for (int row = 0; row < run.rows; ++row)
            for (int column = 0; column < run.columns; ++column)
                QCOMPARE(cellAt(run, picture, 4, cellRect(run, picture, row, column).center()),
                         (4 * run.rows + row) * run.columns + column);
        QCOMPARE(cellAt(run, picture, 4, QPointF(99, 60)), -1);
        QCOMPARE(cellAt(run, picture, 4, QPointF(500, 531)), -1);
    }

    void overlayIsLockedToTheFramesTime() {
        const TokenScene scene(shared(madeRun()));
        const auto& times = scene.run().frameSeconds;
        QCOMPARE(scene.sampleAt(-1), 0);
        QCOMPARE(scene.sampleAt(0), 0);
        for (int s = 1; s < 8; ++s) {
            QCOMPARE(scene.sampleAt(times[std::size_t(s)]), s);
            QCOMPARE(scene.sampleAt(times[std::size_t(s)] - 0.01), s - 1);
            QCOMPARE(scene.sampleAt(times[std::size_t(s)] + 0.05), s);
        }
        QCOMPARE(scene.sampleAt(1000), 7);
    }

    void clickSelectsTheTreeOverAllFrames() {
        TokenLayer layer;
        layer.setTheme(m_themes->theme());
        layer.setRun(shared(madeRun()));
        layer.setSeconds(layer.scene().run().frameSeconds[4]);
        QCOMPARE(layer.sample(), 4);
        const QRectF picture(0, 0, 700, 420);
        int cell = -1;
        for (int c = 4 * 196; c < 5 * 196; ++c)
            if (layer.scene().state(c) == CellState::Kept)
                cell = c;
        QVERIFY(cell >= 0);
        const auto at = layer.scene().place(cell);
        QSignalSpy selected(&layer, &TokenLayer::treeSelected);
        QVERIFY(layer.click(cellRect(layer.scene().run(), picture, at.row, at.column).center(), picture));
        QCOMPARE(layer.selectedTree(), layer.scene().tree(cell));
        QCOMPARE(selected.count(), 1);
        QVERIFY(layer.scene().treeRow(layer.selectedTree())->nodes.size() > 1);
        QVERIFY2(layer.cursorWords().startsWith(
                     QStringLiteral("frame 36, row %1, column %2: ").arg(at.row).arg(at.column)),
                 qPrintable(layer.cursorWords()));
        QVERIFY(layer.cursorWords().endsWith(QStringLiteral("kept")));
        QVERIFY(layer.key(Qt::Key_Escape, Qt::NoModifier));
        QCOMPARE(layer.selectedTree(), -1);
        // The same by keys: Ctrl+arrows move the cell cursor, Enter selects.
        layer.setCursor(cell);
        QVERIFY(layer.key(Qt::Key_Return, Qt::NoModifier));
        QCOMPARE(layer.selectedTree(), layer.scene().tree(cell));
        const int before = layer.cursor();
        QVERIFY(layer.key(at.column > 0 ? Qt::Key_Left : Qt::Key_Right, Qt::ControlModifier));
        QCOMPARE(layer.cursor(), at.column > 0 ? before - 1 : before + 1);
        // The cursor keeps its place while frames go by.
        layer.setSeconds(0);
        QCOMPARE(layer.scene().place(layer.cursor()).sample, 0);
    }

    void sliderCutsWithoutAnotherRun() {
        TokenLayer layer;
        layer.setTheme(m_themes->theme());
        const auto run = shared(madeRun());
        layer.setRun(run);
        QCOMPARE(layer.scene().keptCells(), run->keptCells);
        int last = 0;
        for (const double keep : {0.05, 0.1, 0.2, 0.3, 0.5}) {
            QVERIFY(layer.setKeep(keep));
            QCOMPARE(layer.scene().keptCells(), tokenBudget(*run, keep));
            QVERIFY(layer.scene().keptCells() > last);
            last = layer.scene().keptCells();
        }
        QVERIFY(layer.setKeep(1));
        QCOMPARE(layer.scene().keptCells(), run->cells());
        // A mode without an order cannot be cut at another value.
        TokenRun fixed = madeRun();
        fixed.settings.mode = TokenMode::VisionZip;
        fixed.priority.clear();
        fixed.nodeCell = fixed.nodeTree = fixed.nodeParent = fixed.nodeMatch = fixed.nodeDepth = {};
        fixed.nodeParentSimilarity = fixed.nodeMatchSimilarity = {};
        fixed.merges.clear();
        fixed.roots = 0;
        layer.setRun(shared(fixed));
        QVERIFY(!layer.setKeep(0.3));
        QVERIFY(layer.setKeep(0.1));
        QCOMPARE(layer.scene().keptCells(), fixed.keptCells);
    }

    void probeShowsWindowAndContour() {
        QCOMPARE(spatialWindow(0.8, 14), 2);
        QCOMPARE(spatialWindow(0.95, 13), 0);
        QCOMPARE(spatialWindow(0.5, 13), 6);
        const TokenScene scene(shared(madeRun()));
        std::vector<float> cosine(std::size_t(scene.run().cells()), 0.1F);
        TokenPaint what;
        what.cosine = &cosine;
        what.probe = 50;
        const QImage low = painted(scene, what);
        cosine[60] = 0.95F;
        QVERIFY(painted(scene, what) != low);
        QCOMPARE(linkWidth(1), 4.0);
        QCOMPARE(linkWidth(0.2F), 1.5);
    }

    void histogramsCountEveryTree() {
        const TokenScene scene(shared(madeRun()));
        const auto histogram = forestHistogram(scene);
        const auto sum = [](const std::vector<int>& v) { return std::accumulate(v.begin(), v.end(), 0); };
        QCOMPARE(sum(histogram.byDepth), int(scene.trees().size()));
        QCOMPARE(sum(histogram.bySize), int(scene.trees().size()));
    }

    void forestHidesShallowTreesAndShowsTheChosenFirst() {
        TokenLayer layer;
        layer.setRun(shared(madeRun()));
        const SampleAxis axis{0, 800, 8};
        const auto& scene = layer.scene();
        const auto all = layoutForest(scene, axis, 9, 8, -1, 0);
        QCOMPARE(all.size(), scene.trees().size());
        const auto deep = layoutForest(scene, axis, 9, 8, -1, 3);
        QVERIFY(deep.size() < all.size());
        const int chosen = scene.trees().back().tree; // shallow, and shown because it is chosen
        const auto withChosen = layoutForest(scene, axis, 9, 8, chosen, 3);
        QCOMPARE(withChosen.front().tree, chosen);
        QCOMPARE(withChosen.size(), deep.size() + (scene.trees().back().depth >= 3 ? 0 : 1));
        for (const auto& row : all)
            for (const auto& dot : row.dots)
                QCOMPARE(axis.at(dot.at.x()),
                         scene.place(scene.run().nodeCell[std::size_t(dot.node)]).sample);
    }

    void differenceOfTwoRunsIsMarked() {
        TokenLayer layer;
        layer.setTheme(m_themes->theme());
        const auto run = madeRun();
        layer.setRun(shared(run));
        const auto before = layerPicture(layer);
        auto other = run;
        int gone = 0, added = 0;
        for (std::size_t cell = 0; cell < run.kept.size(); ++cell) {
            other.kept[cell] = run.kept[cell] ? cell % 3 != 0 : cell % 97 == 0;
            gone += run.kept[cell] && !other.kept[cell];
            added += !run.kept[cell] && other.kept[cell];
        }
        layer.setOther(shared(other));
        QCOMPARE(layer.difference(), std::pair(gone, added));
        QVERIFY(layerPicture(layer) != before);
        layer.setOther(shared(run)); // nothing differs: nothing is marked
        QCOMPARE(layer.difference(), std::pair(0, 0));
        auto elsewhere = other;
        elsewhere.frameIndex[2] += 1; // other frames cannot be compared cell by cell
        layer.setOther(shared(elsewhere));
        QVERIFY(!layer.hasOther());
    }

    void stripForestAndCountsSeekTheSameFrame() {
        TokenLayer layer;
        layer.setTheme(m_themes->theme());
        layer.setRun(shared(madeRun()));
        FrameStrip strip(&layer);
        KeptView kept(&layer);
        ForestView forest(&layer);
        const auto& times = layer.scene().run().frameSeconds;
        for (RunView* view :
             {static_cast<RunView*>(&strip), static_cast<RunView*>(&kept), static_cast<RunView*>(&forest)}) {
            view->setTheme(m_themes->theme());
            view->resize(800, 120);
            view->grab(); // lays out
            QSignalSpy seeks(view, &RunView::seekRequested);
            for (int sample : {0, 3, 7}) {
                QTest::mouseClick(view, Qt::LeftButton, {}, QPoint(sample * 100 + 50, 4));
                QVERIFY(!seeks.isEmpty());
                QCOMPARE(seeks.takeLast().front().toDouble(), times[std::size_t(sample)]);
            }
            layer.setSeconds(times[3]);
            seeks.clear();
            QTest::keyClick(view, Qt::Key_Right);
            QCOMPARE(seeks.takeLast().front().toDouble(), times[4]);
            QTest::keyClick(view, Qt::Key_Home);
            QCOMPARE(seeks.takeLast().front().toDouble(), times[0]);
        }
        const int before = layer.selectedTree();
        QTest::keyClick(&forest, Qt::Key_Down);
        QVERIFY(layer.selectedTree() != before);
    }

    void rootsBeyondTheBudgetAreLinked() {
        TokenScene scene(shared(madeRun()));
        const auto trees = scene.trees().size();
        QVERIFY(scene.setKeep(0.05));
        QVERIFY(scene.keptCells() < int(trees));
        QCOMPARE(int(scene.trees().size()), scene.keptCells()); // only roots that are left over stay
        QVERIFY(std::count(scene.cut().edge.begin(), scene.cut().edge.end(), EdgeKind::RootLink) > 0);
        QCOMPARE(int(scene.cut().regime), int(TokenRun::Regime::Roots));
    }

private:
    QImage layerPicture(TokenLayer& layer) {
        QImage image = grey(QSize(700, 420));
        QPainter painter(&image);
        layer.paintOver(painter, QRectF(image.rect()), QRectF(image.rect()));
        return image;
    }
    QImage painted(const TokenScene& scene, const TokenPaint& what, const QSize& size = {700, 420}) {
        QImage image = grey(size);
        QPainter painter(&image);
        paintTokens(painter, QRectF(image.rect()), scene, what, m_themes->theme());
        return image;
    }

    std::unique_ptr<ThemeManager> m_themes;
};

QTEST_MAIN(TokenViewsTest)
#include "token_views_test.moc"
