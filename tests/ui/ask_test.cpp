#include <QAbstractButton>
#include <QLabel>
#include <QPainter>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>
#include <QVBoxLayout>

#include "tests/ui/made_run.h"
#include "ui/panels/answer_card.h"
#include "ui/panels/ask_panel.h"
#include "ui/panels/compare_view.h"
#include "ui/panels/keep_slider.h"
#include "ui/panels/question_group.h"
#include "ui/panels/tokens_panel.h"
#include "ui/theme/theme_manager.h"
#include "ui/tokens/forest_view.h"
#include "ui/tokens/frame_strip.h"
#include "ui/tokens/histogram_view.h"
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

template <typename W>
W* child(QWidget& parent, const char* name) {
    return parent.findChild<W*>(QLatin1String(name));
}

QaModelRecord starter() {
    QaModelRecord model;
    model.id = "starter-qa";
    model.defaults.label = "starter-qa";
    model.defaults.questions = {"What is the scene?", "How fast do the fish move?",
                                "What colour are the fish?"};
    model.language.width = 320;
    model.language.layers = 6;
    model.language.heads = 5;
    model.language.kvHeads = 1;
    model.language.headDim = 64;
    model.language.mlpDim = 896;
    model.language.vocabulary = 2112;
    return model;
}

} // namespace

/// The Ask workspace's panes and painting on hand-made runs: no studio, no worker, no video.
class AskTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        auto tokens = loadThemeResources();
        QVERIFY2(tokens.ok(), tokens.ok() ? "" : tokens.error().message.c_str());
        m_themes = std::make_unique<ThemeManager>(*tokens);
        m_themes->setChoice(ThemeChoice::Dark);
        m_themes->setScale(1);
        m_themes->apply();
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

    void roleChangesTheBorder() {
        // One tree over three frames: root, trunk, leaf differ on the same cell.
        TokenRun run = madeRun(3, 4, 0.5, 1000);
        const TokenScene scene(shared(run));
        QSet<QByteArray> looks;
        for (int sample = 0; sample < 3; ++sample) {
            for (int c = 0; c < scene.cellsPerSample(); ++c) {
                const int cell = sample * scene.cellsPerSample() + c;
                if (scene.state(cell) != CellState::Kept)
                    continue;
                TokenPaint what;
                what.sample = sample;
                const QImage image = painted(scene, what);
                const auto at = scene.place(cell);
                const QRect rect = cellRect(run, QRectF(image.rect()), at.row, at.column).toRect();
                const QImage piece = image.copy(rect).convertToFormat(QImage::Format_Grayscale8);
                int edge = 0;
                for (int x = 0; x < piece.width(); ++x)
                    edge += piece.pixelColor(x, 1).red() != 120;
                const bool corner = piece.pixelColor(6, 6).red() != 120;
                looks.insert(QByteArray::number(int(scene.cut().role[std::size_t(scene.node(cell))])) + ':' +
                             QByteArray::number(edge * 10 / piece.width()) + (corner ? "c" : ""));
                break;
            }
        }
        QVERIFY2(looks.contains("0:10c"), qPrintable(QStringList(QList<QString>()).join(u' ')));
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

    void readoutFollowsTheCut() {
        auto run = shared(madeRun());
        const auto ask = madeAsk(1, "Is there a ball?", "yes", run);
        TokenScene scene(run);
        const auto model = starter();
        const auto own = readoutOf(scene, *ask.answer, &model.language);
        QCOMPARE(own.videoTokens, std::int64_t(run->modelTokens));
        QCOMPARE(own.unprunedTokens, std::int64_t(1569));
        QCOMPARE(own.kvBytes, double(ask.answer->kvBytes));
        QVERIFY(own.prefillFlop > 0);
        QVERIFY(scene.setKeep(0.5));
        const auto half = readoutOf(scene, *ask.answer, &model.language);
        QCOMPARE(half.videoTokens, std::int64_t(785));
        QCOMPARE(half.kvBytes, 1536.0 * (785 + 30));
        QVERIFY(half.prefillFlop > own.prefillFlop);
        QCOMPARE(half.text().section(u',', 0, 0), QStringLiteral("785 of 1"));
    }

    void sliderStepsInPercentOnADoublingScale() {
        KeepSlider slider;
        slider.resize(476, 40);
        slider.setTheme(m_themes->theme());
        const double doubling = slider.xOf(0.1) - slider.xOf(0.05);
        QVERIFY(std::abs(slider.xOf(0.2) - slider.xOf(0.1) - doubling) < 1e-6);
        QVERIFY(std::abs(slider.xOf(1) - slider.xOf(0.5) - doubling) < 1e-6);
        slider.setKeep(0.1);
        QTest::keyClick(&slider, Qt::Key_Right);
        QCOMPARE(slider.keep(), 0.11);
        QTest::keyClick(&slider, Qt::Key_PageUp);
        QCOMPARE(slider.keep(), 0.2);
        QTest::keyClick(&slider, Qt::Key_PageDown);
        QCOMPARE(slider.keep(), 0.1);
        QTest::keyClick(&slider, Qt::Key_End);
        QCOMPARE(slider.keep(), 1.0);
        QTest::mouseClick(&slider, Qt::LeftButton, {}, QPoint(int(slider.xOf(0.25)), 11));
        QCOMPARE(slider.keep(), 0.25);
    }

    void wordsStreamIntoTheSameCard() {
        AskPanel panel;
        dress(panel);
        panel.setVideo(QStringLiteral("/clips/reef.mp4"));
        AskView ask = madeAsk(1, "Is there a ball?", "", shared(madeRun()));
        ask.state = JobState::Running;
        ask.answer.reset();
        ask.words = "Reading 171 tokens";
        panel.setAsks({ask});
        auto* card = child<AnswerCard>(panel, "answerCard");
        QVERIFY(card);
        auto* text = child<QLabel>(*card, "answerText");
        QVERIFY(text->isHidden());
        QCOMPARE(child<QLabel>(*card, "answerState")->text(), QStringLiteral("Reading 171 tokens"));
        ask.text = "yes, a white";
        panel.setAsks({ask});
        QCOMPARE(text->text(), QStringLiteral("yes, a white"));
        QCOMPARE(child<AnswerCard>(panel, "answerCard"), card); // in place
        QSignalSpy cancelled(&panel, &AskPanel::cancelRequested);
        auto* cancel = child<QPushButton>(*card, "cancelAsk");
        QVERIFY(!cancel->isHidden());
        cancel->click();
        QCOMPARE(cancelled.count(), 1);
        QVERIFY(!cancel->isEnabled());
        panel.setAsks({madeAsk(1, "Is there a ball?", "yes, a white ball", ask.run)});
        QCOMPARE(text->text(), QStringLiteral("yes, a white ball"));
        QVERIFY(cancel->isHidden());
        QVERIFY(!child<QPushButton>(*card, "askAgain")->isHidden());
    }

    void timesSeek() {
        AskPanel panel;
        dress(panel);
        panel.setVideo(QStringLiteral("/clips/reef.mp4"));
        auto ask = madeAsk(1, "When does it turn?", "at 2.25 s it turns", shared(madeRun()));
        panel.setAsks({ask});
        auto* times = child<QLabel>(panel, "answerTimes");
        QVERIFY2(times->text().contains(QStringLiteral(">0:02.25<")), qPrintable(times->text()));
        QSignalSpy seeks(&panel, &AskPanel::seekRequested);
        Q_EMIT times->linkActivated(QStringLiteral("2.25"));
        QCOMPARE(seeks.count(), 1);
        QCOMPARE(seeks.front().front().toDouble(), 2.25);
        QCOMPARE(namedTimes(QStringLiteral("from 0:01.5 to 3 seconds, then 99 s"), 4),
                 (std::vector<double>{1.5, 3.0}));
        QVERIFY(namedTimes(QStringLiteral("two fish and 3 balls"), 4).empty());
        // Frames that are all alike are no evidence.
        QVERIFY(fullestTimes(madeUnprunedRun(madeRun())).empty());
    }

    void unprunedFiguresOnlyWhereTheyWereMeasured() {
        AskPanel panel;
        dress(panel);
        panel.setVideo(QStringLiteral("/clips/reef.mp4"));
        const auto pruned = madeAsk(1, "Is there a ball?", "yes", shared(madeRun()));
        panel.setAsks({pruned});
        QVERIFY(child<QLabel>(panel, "figureHeadUnpruned")->isHidden());
        QVERIFY(child<QLabel>(panel, "agreementMark")->isHidden());
        QSignalSpy asked(&panel, &AskPanel::askRequested);
        child<QPushButton>(panel, "compareAnswers")->click();
        QCOMPARE(asked.count(), 1);
        QCOMPARE(asked.front().front().value<AskRequest>().tokens.mode, TokenMode::All);
        auto unpruned = madeAsk(2, "Is there a ball?", "Yes.", shared(madeUnprunedRun(*pruned.run)));
        panel.setAsks({pruned, unpruned});
        // Compare was asked for: as soon as both are there they stand side by side.
        auto* compare = child<CompareView>(panel, "compareView");
        QVERIFY(!compare->isHidden());
        QCOMPARE(child<QLabel>(panel, "compareVerdict")->text(), QStringLiteral("The answers are the same."));
        child<QAbstractButton>(panel, "compareClose")->click();
        QVERIFY(compare->isHidden());
        QVERIFY(!child<QLabel>(panel, "figureHeadUnpruned")->isHidden());
        QCOMPARE(child<QLabel>(panel, "agreementMark")->text(), QStringLiteral("same as unpruned"));
        unpruned = madeAsk(2, "Is there a ball?", "no", unpruned.run);
        unpruned.words = "Done again";
        panel.setAsks({pruned, unpruned});
        QCOMPARE(child<QLabel>(panel, "agreementMark")->text(), QStringLiteral("unpruned says “no”"));
        QCOMPARE(child<QLabel>(panel, "agreementMark")->property("look").toString(),
                 QStringLiteral("warning"));
    }

    void controlsAreHeldAgainstTheMethod() {
        AskPanel panel;
        dress(panel);
        panel.setVideo(QStringLiteral("/clips/reef.mp4"));
        const auto pruned = madeAsk(1, "How many fish?", "two", shared(madeRun()));
        const auto unpruned = madeAsk(2, "How many fish?", "three", shared(madeUnprunedRun(*pruned.run)));
        panel.setAsks({pruned, unpruned});
        auto* group = panel.groupOf(1);
        group->compare(1, 2);
        QCOMPARE(child<QLabel>(panel, "compareVerdict")->text(), QStringLiteral("The answers differ."));
        group->compare(0, 0);
        QSignalSpy asked(&panel, &AskPanel::askRequested);
        Q_EMIT group->showTokensRequested(1);
        child<QPushButton>(panel, "runButton1")->click();
        child<QPushButton>(panel, "runControls")->click();
        QCOMPARE(asked.count(), 5);
        for (const auto& call : asked) {
            const auto request = call.front().value<AskRequest>();
            QCOMPARE(tokenModeInfo(request.tokens.mode).kind, TokenModeKind::Control);
            QCOMPARE(request.tokens.keep, 0.1);
        }
        auto random = pruned;
        random.id = 3;
        random.request.tokens.mode = TokenMode::UniformRandom;
        panel.setAsks({pruned, unpruned, random});
        QVERIFY(child<QLabel>(panel, "sanityVerdict")->text().startsWith(QStringLiteral("0 of 1")));
        group->compare(1, 2);
        QCOMPARE(child<QLabel>(panel, "compareVerdict")->text(),
                 QStringLiteral("The answers differ. Uniform random at 10 % also says “two”."));
    }

    void failureIsASentenceWithWhatToDo() {
        AskPanel panel;
        dress(panel);
        panel.setVideo(QStringLiteral("/clips/reef.mp4"));
        AskView ask = madeAsk(1, "Is there a ball?", "", shared(madeRun()));
        ask.answer.reset();
        ask.run.reset();
        ask.state = JobState::Failed;
        ask.words = "Failed: the video ends before its first frame.";
        panel.setAsks({ask});
        QCOMPARE(child<QLabel>(panel, "answerError")->text(), QString::fromStdString(ask.words));
        QSignalSpy retried(&panel, &AskPanel::retryRequested);
        child<QPushButton>(panel, "retryAsk")->click();
        QCOMPARE(retried.count(), 1);
        QVERIFY(!child<QAbstractButton>(panel, "removeAsk")->isHidden());
        QVERIFY(child<QPushButton>(panel, "askAgain")->isHidden());
    }

    void formMakesTheRequest() {
        AskForm form;
        dress(form);
        form.setModels({starter()});
        form.setVideo(QStringLiteral("/clips/reef.mp4"));
        QSignalSpy asked(&form, &AskForm::askRequested);
        child<QPushButton>(form, "suggestion1")->click();
        QCOMPARE(form.request().question, std::string("How fast do the fish move?"));
        QCOMPARE(form.request().tokens.mode, TokenMode::All); // at 100 % nothing is pruned
        form.setKeep(0.1);
        QCOMPARE(form.request().tokens.mode, TokenMode::ForestBalanced);
        QCOMPARE(form.request().tokens.keep, 0.1);
        QCOMPARE(form.request().modelId, std::string("starter-qa"));
        auto* question = child<QPlainTextEdit>(form, "questionField");
        QTest::keyClick(question, Qt::Key_Return, Qt::ControlModifier);
        QCOMPARE(asked.count(), 1);
        form.showProblems({QStringLiteral("No video is attached.")});
        QTest::keyClick(question, Qt::Key_Return, Qt::ControlModifier);
        QCOMPARE(asked.count(), 1);
        auto request = form.request();
        request.tokens.mode = TokenMode::UniformRandom;
        request.tokens.keep = 0.25;
        request.tokens.seed = 7;
        request.tokens.newlines = NewlinePolicy::PerFrame;
        request.sampling = FrameSampling::Time;
        request.options = {"slow", "fast"};
        request.frames = 16;
        request.timeInstruction = true;
        form.setRequest(request);
        QCOMPARE(form.request(), request);
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

    void everyControlHasAName() {
        AskPanel panel;
        dress(panel);
        TokenLayer layer;
        TokensPanel tokens(&layer);
        panel.form().setModels({starter()});
        for (QWidget* root : {static_cast<QWidget*>(&panel), static_cast<QWidget*>(&tokens)})
            for (auto* button : root->findChildren<QAbstractButton*>()) {
                if (button->objectName().startsWith(QLatin1String("qt_")))
                    continue;
                QVERIFY2(!button->objectName().isEmpty(), qPrintable(button->text()));
                if (!button->isHidden())
                    QVERIFY2(!button->accessibleName().isEmpty(), qPrintable(button->objectName()));
            }
    }

    /// Not a check: the panes as a picture, for the eye. Written where CANOPY_PICTURES says.
    void picture() {
        const QString folder = qEnvironmentVariable("CANOPY_PICTURES");
        if (folder.isEmpty())
            QSKIP("CANOPY_PICTURES names no folder, so no pictures are written.");
        const auto run = shared(madeRun());
        AskPanel panel;
        panel.form().setModels({starter()});
        panel.form().setExpert(true);
        panel.resize(540, 830);
        panel.setVideo(QStringLiteral("/clips/reef.mp4"));
        const auto unpruned = shared(madeUnprunedRun(*run));
        auto two = madeAsk(3, "How many fish are there?", "two", run);
        auto three = madeAsk(4, "How many fish are there?", "three", unpruned);
        two.request.options = three.request.options = {"one", "two", "three", "four"};
        two.answer->letterProbabilities = {0.03, 0.52, 0.44, 0.01};
        three.answer->letterProbabilities = {0.01, 0.07, 0.91, 0.01};
        panel.setAsks({madeAsk(1, "Is there a ball?", "yes", unpruned),
                       madeAsk(2, "Is there a ball?", "yes", run), two, three});
        panel.setShown(2);
        panel.groupOf(3)->compare(3, 4);
        panel.form().setKeep(0.1);
        panel.form().setReadoutText(QStringLiteral("157 of 1,568, KV 0.28 MiB, 2.6 GFLOP"));
        panel.show();
        dress(panel);
        QTest::qWait(50);
        panel.grab().save(folder + QStringLiteral("/chat.png"));
        TokenLayer layer;
        layer.setTheme(m_themes->theme());
        layer.setRun(run);
        layer.setSeconds(2.25);
        TokensPanel tokens(&layer);
        tokens.setVideoFrames(64);
        tokens.resize(900, 250);
        tokens.show();
        dress(tokens);
        layer.selectTree(layer.scene().trees()[12].tree);
        QTest::qWait(50);
        tokens.grab().save(folder + QStringLiteral("/tokens.png"));
        TokenPaint what;
        what.sample = 4;
        what.tree = layer.selectedTree();
        what.cursor = 4 * 196 + 30;
        painted(layer.scene(), what, QSize(800, 480)).save(folder + QStringLiteral("/overlay.png"));
        what.look = TokenLook::Links;
        painted(layer.scene(), what, QSize(800, 480)).save(folder + QStringLiteral("/links.png"));
    }

private:
    QImage painted(const TokenScene& scene, const TokenPaint& what, const QSize& size = {700, 420}) {
        QImage image = grey(size);
        QPainter painter(&image);
        paintTokens(painter, QRectF(image.rect()), scene, what, m_themes->theme());
        return image;
    }
    void dress(QWidget& widget) { dresser::dress(&widget, m_themes->theme()); }

    std::unique_ptr<ThemeManager> m_themes;
};

QTEST_MAIN(AskTest)
#include "ask_test.moc"
