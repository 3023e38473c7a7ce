#include <QAbstractButton>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>

#include "tests/ui/dark_theme.h"
#include "tests/ui/made_run.h"
#include "ui/panels/answer_card.h"
#include "ui/panels/ask_panel.h"
#include "ui/panels/compare_view.h"
#include "ui/panels/keep_slider.h"
#include "ui/panels/question_group.h"
#include "ui/panels/tokens_panel.h"
#include "ui/theme/theme_manager.h"

using namespace canopy;
using namespace canopy::ui;
using namespace canopy::ui::test;

namespace {

std::shared_ptr<const TokenRun> shared(TokenRun run) {
    return std::make_shared<const TokenRun>(std::move(run));
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

/// The Ask workspace's panes on hand-made runs: no studio, no worker, no video.
class AskTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        m_themes = canopy::test::darkTheme();
        QVERIFY(m_themes);
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
        child<QAbstractButton>(panel, "askMore")->click();
        child<QAbstractButton>(panel, "choicesButton")->click();
        QTest::qWait(50);
        panel.grab().save(folder + QStringLiteral("/chat-expert.png"));
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
    }

private:
    void dress(QWidget& widget) { dresser::dress(&widget, m_themes->theme()); }

    std::unique_ptr<ThemeManager> m_themes;
};

QTEST_MAIN(AskTest)
#include "ask_test.moc"
