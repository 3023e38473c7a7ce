#include <QFile>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSignalSpy>

#include "tests/ui/ask_driver.h"
#include "ui/panels/answer_card.h"
#include "ui/panels/ask_panel.h"
#include "ui/panels/question_group.h"
#include "ui/panels/tokens_panel.h"
#include "ui/shell/ask_workspace.h"
#include "ui/tokens/frame_strip.h"
#include "ui/tokens/token_layer.h"

using namespace canopy;
using canopy::test::answered;
using canopy::test::WindowDriver;

namespace {

constexpr int kPatience = 300'000; ///< deadline against hangs only

} // namespace

/// The Ask workspace with the real worker and the starter model on a shipped sample.
class AskEndToEndTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        const QString worker = qEnvironmentVariable("CANOPY_BIN_DIR") + QStringLiteral("/canopy-worker");
        if (!QFile::exists(worker))
            QSKIP("canopy-worker is not built here (CANOPY_BUILD_ENGINE=OFF), so there is no real engine to "
                  "test.");
    }

    void journey() {
        WindowDriver d("canopy-worker");
        auto& window = d.window();
        auto& chat = window.askPanel();
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot() && chat.form().model(), kPatience);
        window.askAbout(qEnvironmentVariable("CANOPY_SOURCE_DIR") +
                        QStringLiteral("/resources/samples/fish-under-the-sea.mp4"));
        QTRY_VERIFY_WITH_TIMEOUT(d.viewer().shownSeconds() >= 0, kPatience);

        // Without pruning first: the reference.
        ask(d, QStringLiteral("What is in the background?"));
        QTRY_VERIFY_WITH_TIMEOUT(answered(d, 1), kPatience);
        auto& layer = window.tokenLayer();
        QTRY_VERIFY_WITH_TIMEOUT(!layer.scene().isEmpty(), kPatience);
        QCOMPARE(layer.scene().keptCells(), layer.scene().run().cells());
        const auto unpruned = chat.groups().front().asks.front();
        QVERIFY(!unpruned.answer->text.empty());

        // The same at 10 %: another run of the same question, with a forest and its figures beside.
        chat.form().setKeep(0.1);
        ask(d, {});
        QTRY_VERIFY_WITH_TIMEOUT(answered(d, 2), kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(layer.scene().run().settings.keep, 0.1, kPatience);
        const auto pruned = chat.groups().front().asks.back();
        QVERIFY(layer.scene().hasForest());
        QCOMPARE(layer.scene().keptCells(), pruned.run->keptCells);
        QVERIFY(pruned.answer->kvBytes < unpruned.answer->kvBytes / 4);
        QVERIFY(pruned.answer->featuresCached); // the frames were not encoded again
        QVERIFY(!d.find<QLabel>("figureHeadUnpruned")->isHidden());
        QVERIFY(!d.find<QLabel>("agreementMark")->isHidden());

        // The slider at the share of a run shows what that run measured; at another, what it would be.
        const QString at10 = chat.form().readoutText();
        QVERIFY2(at10.contains(QString::number(pruned.answer->videoTokens)), qPrintable(at10));
        chat.form().setKeep(0.3);
        QVERIFY(chat.form().readoutText() != at10);
        QVERIFY(layer.scene().keptCells() > pruned.run->keptCells);

        // Similarity comes from the worker that still has the features.
        layer.setProbing(true);
        layer.setCursor(20);
        QVERIFY(layer.key(Qt::Key_Return, Qt::NoModifier));
        QTRY_VERIFY_WITH_TIMEOUT(layer.probe().has_value(), kPatience);
        QVERIFY2(layer.probe()->sentence.empty(), layer.probe()->sentence.c_str());
        QVERIFY(std::abs(layer.probe()->cosine[20] - 1) < 1e-3F);
        layer.setProbing(false);
        chat.groupOf(pruned.id)->compare(pruned.id, unpruned.id);
        chat.form().setKeep(0.1);
        picture(d, "real");
    }

    void controlsAndAnotherMethodAtEqualTokens() {
        WindowDriver d("canopy-worker");
        auto& chat = d.window().askPanel();
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot() && chat.form().model(), kPatience);
        d.window().askAbout(qEnvironmentVariable("CANOPY_SOURCE_DIR") +
                            QStringLiteral("/resources/samples/balloons-at-sunrise.mp4"));
        QTRY_VERIFY_WITH_TIMEOUT(d.viewer().shownSeconds() >= 0, kPatience);
        chat.form().setKeep(0.1);
        ask(d, QStringLiteral("What is in the video?"));
        QTRY_VERIFY_WITH_TIMEOUT(answered(d, 1), kPatience);
        d.find<QPushButton>("runControls")->click();
        QTRY_VERIFY_WITH_TIMEOUT(answered(d, 6), kPatience);
        QVERIFY2(d.find<QLabel>("sanityVerdict")->text().contains(QStringLiteral("of 5")),
                 qPrintable(d.find<QLabel>("sanityVerdict")->text()));
        QVERIFY(d.find<QPushButton>("runControls")->isHidden());
        const auto forest = chat.groups().front().asks.front();
        auto* group = chat.groupOf(forest.id);
        Q_EMIT group->findChild<ui::AnswerCard*>()->compareRequested(forest.id, TokenMode::VisionZip);
        QTRY_VERIFY_WITH_TIMEOUT(answered(d, 7) && group->comparing(), kPatience);
        const auto rival = chat.groups().front().asks.back();
        // VisionZip gives every frame the same number, so that it cannot always reach the total: told.
        QVERIFY(std::abs(rival.answer->videoTokens - forest.answer->videoTokens) < forest.run->frames);
        const QString verdict = d.find<QLabel>("compareVerdict")->text();
        QCOMPARE(verdict.contains(QStringLiteral("not an equal number")),
                 rival.answer->videoTokens != forest.answer->videoTokens);
        // The control at this number was run already: nothing is asked again.
        Q_EMIT group->findChild<ui::AnswerCard*>()->compareRequested(forest.id, TokenMode::UniformRandom);
        QVERIFY(group->comparing());
        QCOMPARE(chat.groups().front().asks.size(), std::size_t(7));
        group->compare(forest.id, rival.id);
        d.find<QPushButton>("showDifference")->click();
        auto& layer = d.window().tokenLayer();
        QVERIFY(layer.hasOther());
        const auto [mine, theirs] = layer.difference();
        QCOMPARE(mine - theirs, forest.run->keptCells - rival.run->keptCells);
        QVERIFY(mine > 0);
        picture(d, "controls");
    }

    void anEarlierStartsAnswerHasItsTokens() {
        WindowDriver d("canopy-worker");
        auto& chat = d.window().askPanel();
        QTRY_VERIFY_WITH_TIMEOUT(d.link().snapshot() && chat.form().model(), kPatience);
        d.window().askAbout(qEnvironmentVariable("CANOPY_SOURCE_DIR") +
                            QStringLiteral("/resources/samples/boats-at-sunset.mp4"));
        QTRY_VERIFY_WITH_TIMEOUT(d.viewer().shownSeconds() >= 0, kPatience);
        chat.form().setKeep(0.25);
        ask(d, QStringLiteral("What is in the video?"));
        QTRY_VERIFY_WITH_TIMEOUT(answered(d, 1), kPatience);
        QSignalSpy read(&d.link(), &ui::StudioLink::tokenRunRead);
        const auto made = chat.groups().front().asks.front();
        d.link().readTokenRun(made.id);
        QTRY_COMPARE_WITH_TIMEOUT(read.count(), 1, kPatience);
        const auto run = read.front().at(1).value<std::shared_ptr<const TokenRun>>();
        QVERIFY(run && *run == *made.run);
    }

private:
    static void ask(WindowDriver& d, const QString& question) { canopy::test::ask(d, question, kPatience); }
    /// For the eye, where CANOPY_PICTURES names a folder.
    static void picture(WindowDriver& d, const char* name) {
        const QString folder = qEnvironmentVariable("CANOPY_PICTURES");
        if (folder.isEmpty())
            return;
        auto& layer = d.window().tokenLayer();
        if (!layer.scene().trees().empty())
            layer.selectTree(layer.scene().trees().front().tree);
        d.viewer().seekSeconds(layer.scene().run().frameSeconds[3]);
        QTest::qWait(500);
        d.window().grab().save(folder + QStringLiteral("/%1.png").arg(QLatin1String(name)));
    }
};

QTEST_MAIN(AskEndToEndTest)
#include "ask_end_to_end_test.moc"
