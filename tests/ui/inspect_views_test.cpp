#include <QApplication>
#include <QLabel>
#include <QPushButton>
#include <QSignalSpy>
#include <QTableView>
#include <QTest>
#include <QToolButton>

#include "tests/ui/dark_theme.h"
#include "tests/ui/made_telemetry.h"
#include "ui/attention/drift_view.h"
#include "ui/attention/head_grid.h"
#include "ui/attention/key_frame_view.h"
#include "ui/attention/reuse_timeline.h"
#include "ui/panels/attention_table.h"
#include "ui/panels/calibration_table.h"
#include "ui/panels/inspect_panel.h"
#include "ui/theme/theme_manager.h"

using namespace canopy;
using namespace canopy::ui;
using canopy::ui::test::madeTelemetry;

/// Inspect over values alone: no engine, no studio.
class InspectViewsTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        m_themes = canopy::test::darkTheme();
        QVERIFY(m_themes);
    }

    void followsUntilAnEarlierStepIsChosen() {
        AttentionSelection s;
        s.setRun(madeTelemetry(4));
        QCOMPARE(s.layers(), 7);
        QCOMPARE(s.heads(), 6);
        QCOMPARE(s.cell().step, 3);
        s.setRun(madeTelemetry(5));
        QCOMPARE(s.cell().step, 4);
        s.setStep(2);
        QVERIFY(!s.follows());
        s.setRun(madeTelemetry(6));
        QCOMPARE(s.cell().step, 2);
        s.follow();
        QCOMPARE(s.cell().step, 5);
        s.setCell({99, 99, 99, GuidanceBranch::Negative});
        QCOMPARE(s.cell(), (AttentionCell{5, 6, 5, GuidanceBranch::Negative}));
    }

    void wordsSayWhatAHeadDid() {
        AttentionSelection s;
        s.setRun(madeTelemetry(8));
        QVERIFY(s.words({0, 1, 1}).contains(QStringLiteral("dense")));
        QVERIFY(s.words({1, 1, 1}).contains(QStringLiteral("chosen anew (first)")));
        QVERIFY(s.words({2, 2, 1}).contains(QStringLiteral("drift")));
        QVERIFY(s.words({3, 2, 1}).contains(QStringLiteral("mask reused")));
        QVERIFY(s.words({11, 0, 0}).contains(QStringLiteral("not run")));
    }

    void everyMapHasAKeyboardCursorAndSaysTheCell() {
        InspectPanel panel;
        dressed(panel);
        panel.selection().setRun(madeTelemetry(8));
        panel.resize(1440, 820);
        panel.show();
        auto* grid = panel.findChild<HeadGrid*>();
        grid->setFocus();
        QTest::keyClick(grid, Qt::Key_Down);
        QTest::keyClick(grid, Qt::Key_Down);
        QTest::keyClick(grid, Qt::Key_Right);
        QCOMPARE(panel.selection().cell(), (AttentionCell{7, 2, 1, GuidanceBranch::Prompt}));
        QTest::keyClick(grid, Qt::Key_PageUp);
        QCOMPARE(panel.selection().cell().step, 6);
        QVERIFY(grid->accessibleDescription().contains(QStringLiteral("layer 2, head 1, step 6")));
        auto* timeline = panel.findChild<ReuseTimeline*>();
        QTest::keyClick(timeline, Qt::Key_Left);
        QTest::keyClick(timeline, Qt::Key_Down);
        QCOMPARE(panel.selection().cell(), (AttentionCell{5, 2, 2, GuidanceBranch::Prompt}));
        auto* drift = panel.findChild<DriftView*>();
        QTest::keyClick(drift, Qt::Key_Left);
        QCOMPARE(panel.selection().cell().step, 4);
        QVERIFY(drift->accessibleDescription().contains(QStringLiteral("of the norm")));
        for (const char* name : {"headGrid", "reuseTimeline", "driftView", "maskView", "keyFrameView"}) {
            auto* map = panel.findChild<QWidget*>(QLatin1String(name));
            QVERIFY2(map && !map->accessibleName().isEmpty() && !map->accessibleDescription().isEmpty(),
                     name);
            QCOMPARE(map->focusPolicy(), Qt::StrongFocus);
        }
    }

    void aQueryBlockShowsItsKeysOnItsFrame() {
        InspectPanel panel;
        dressed(panel);
        panel.selection().setRun(madeTelemetry(8));
        panel.selection().setHead(2, 1);
        panel.resize(1440, 820);
        panel.show();
        auto* mask = panel.findChild<MaskView*>();
        auto* picture = panel.findChild<KeyFrameView*>();
        QVERIFY(mask->queryWords().isEmpty());
        QTest::keyClick(mask, Qt::Key_Home);
        QTest::keyClick(mask, Qt::Key_Down);
        QTest::keyClick(mask, Qt::Key_Down);
        QCOMPARE(panel.selection().queryBlock(), 2);
        QVERIFY2(mask->queryWords().contains(QStringLiteral("of 17 key blocks")),
                 qPrintable(mask->queryWords()));
        QCOMPARE(picture->frame(), 1); // tokens 256..383 begin in the second frame of 240
        const QImage with = picture->grab().toImage();
        picture->setShowsKeys(false);
        QVERIFY(picture->grab().toImage() != with);
        // 17 blocks of 128 cover 2,160 tokens; block 2 keeps at least block 0, itself and one more.
        QVERIFY(panel.findChild<QLabel*>(QStringLiteral("inspectQuery"))->isVisible());
        panel.findChild<QPushButton*>(QStringLiteral("inspectMaskXor"))->click();
        QVERIFY(mask->overlap() > 0 && mask->overlap() < 1);
        panel.selection().setHead(4, 0); // of this layer nothing was recorded
        QVERIFY(mask->accessibleDescription().contains(QStringLiteral("not recorded")));
    }

    void theSpeedUpAddsUp() {
        InspectPanel panel;
        dressed(panel);
        panel.selection().setRun(madeTelemetry(8));
        const auto text = [&](const char* name) {
            return panel.findChild<QLabel*>(QLatin1String(name))->text();
        };
        QVERIFY(text("inspectWhy").contains(QStringLiteral("so far")));
        QCOMPARE(text("inspectSum0"), QStringLiteral("16.0 s")); // eight steps of the dense one's two seconds
        QVERIFY(text("inspectSum1").startsWith(u'-'));
        QVERIFY(text("inspectSum2").startsWith(u'+')); // time that was added says so
        QCOMPARE(text("inspectSum4"), QStringLiteral("10.4 s"));
        QCOMPARE(text("inspectSum8"), QStringLiteral("0.0 s"));
        QVERIFY(panel.findChild<QLabel*>(QStringLiteral("inspectNote"))->text().isEmpty());
        panel.selection().setRun(nullptr);
        QVERIFY(text("inspectModel").contains(QStringLiteral("No clip")));
        QVERIFY(!panel.findChild<QToolButton*>(QStringLiteral("inspectTableButton"))->isEnabled());
    }

    void theTableHasEveryHeadOfEveryStep() {
        AttentionSelection s;
        s.setRun(madeTelemetry(8));
        AttentionTable table(s);
        auto* model = table.findChild<QTableView*>()->model();
        QCOMPARE(model->rowCount(), 8 * 7 * 6);
        QCOMPARE(model->data(model->index(0, 4)).toString(), QStringLiteral("dense"));
    }

    void thresholdsAreShownWithWhatTheyKeep() {
        const auto folder = std::filesystem::path(qgetenv("CANOPY_SOURCE_DIR").toStdString()) /
                            "resources/models/starter-video/calibration";
        for (const char* name : {"xattention.json", "svg2.json", "xattention-profile.json"}) {
            const auto calibration = readAttentionCalibration(folder / name);
            QVERIFY2(calibration.ok(), calibration ? "" : calibration.error().message.c_str());
            CalibrationTable table(*calibration);
            auto* model = table.findChild<QTableView*>()->model();
            QCOMPARE(model->rowCount(), 7 * 6);
            QCOMPARE(model->columnCount(), 6 + 2 * int(calibration->grid.size()));
            const auto cell = [&](int column) { return model->data(model->index(41, column)).toString(); };
            QCOMPARE(cell(0), QStringLiteral("6"));
            QCOMPARE(cell(1), QStringLiteral("5"));
            QCOMPARE(cell(2), QLocale().toString(calibration->heads[6][5].tau, 'g', 4));
            QVERIFY(cell(3).endsWith(u'%'));
            QVERIFY(cell(4).endsWith(u'%'));
            if (!calibration->grid.empty())
                QCOMPARE(cell(7), QLocale().toString(calibration->heads[6][5].candidates[0].error, 'g', 3));
            QVERIFY(table.findChild<QLabel*>(QStringLiteral("calibrationSummary"))
                        ->text()
                        .contains(QStringLiteral("realised")));
        }
    }

    void paintsAtAnySizeAndOverNothing() {
        const QString folder = qEnvironmentVariable("CANOPY_PICTURES");
        for (const auto choice : {ThemeChoice::Dark, ThemeChoice::Light, ThemeChoice::HighContrast}) {
            m_themes->setChoice(choice);
            for (const QSize size : {QSize(1440, 820), QSize(1280, 720), QSize(700, 400)}) {
                InspectPanel panel;
                dressed(panel);
                panel.resize(size);
                panel.grab();
                panel.selection().setRun(madeTelemetry(8));
                panel.selection().setHead(2, 3);
                panel.selection().setQueryBlock(9);
                const QPixmap picture = panel.grab();
                QVERIFY(!picture.isNull());
                if (!folder.isEmpty())
                    picture.save(folder +
                                 QStringLiteral("/made-%1-%2.png").arg(int(choice)).arg(size.width()));
            }
        }
    }

private:
    void dressed(QWidget& widget) { dresser::dress(&widget, m_themes->theme()); }

    std::unique_ptr<ThemeManager> m_themes;
};

QTEST_MAIN(InspectViewsTest)
#include "inspect_views_test.moc"
