#include <QAbstractButton>
#include <QAbstractItemView>
#include <QClipboard>
#include <QComboBox>
#include <QDockWidget>
#include <QFile>
#include <QLabel>
#include <QMimeData>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QRandomGenerator>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <QThread>
#include <QUrl>

#include "ui/panels/library_panel.h"
#include "ui/panels/queue_panel.h"
#include "ui/panels/request_panel.h"
#include "ui/panels/viewer_panel.h"
#include "ui/shell/create_workspace.h"
#include "ui/shell/drop.h"
#include "ui/shell/main_window.h"

using namespace canopy;
using namespace canopy::ui;

namespace {

JobRow failed(JobId id) {
    JobRow r;
    r.record.id = id;
    r.record.state = JobState::Failed;
    std::get<GenerationRequest>(r.record.request).prompt = "a red fox";
    r.record.sentence = "The CPU has 3.1 GB free; decoding needs 5.2 GB. Choose a smaller size.";
    r.title = "a red fox";
    r.words = "Failed: not enough memory";
    r.canRetry = true;
    return r;
}

} // namespace

/// The window without a studio: snapshots are made here and sent as the link would.
class ShellTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        auto tokens = loadThemeResources();
        QVERIFY(tokens.ok());
        m_themes = std::make_unique<ThemeManager>(*tokens);
        m_themes->setChoice(ThemeChoice::Dark);
    }

    void init() {
        m_themes->setScale(1);
        m_link = std::make_unique<StudioLink>(StudioLink::Ways{});
        m_window = std::make_unique<MainWindow>(m_themes.get(), m_link.get(), WindowOptions{});
        m_window->resize(1440, 900);
        m_window->show();
        m_snapshot = {};
    }

    void cleanup() {
        m_window.reset();
        m_link.reset();
    }

    void emptyStateHasOneSentenceAndOneButton() {
        QVERIFY(m_window->viewerPanel().cardSentence().isEmpty()); // nothing is known yet
        Q_EMIT m_link->clipsChanged({});
        send();
        QCOMPARE(m_window->viewerPanel().cardSentence(), QStringLiteral("No clips yet."));
        auto* button = m_window->findChild<QPushButton*>(QStringLiteral("makeFirstClip"));
        QVERIFY(button && button->text() == QStringLiteral("Make my first clip"));
        QVERIFY(!m_window->requestPanel().request().prompt.empty()); // filled in at the first launch
        m_snapshot.jobs = {failed(1)};
        send();
        QVERIFY(m_window->viewerPanel().cardSentence().isEmpty());
    }

    void failedJobKeepsItsPlaceAndItsSentence() {
        JobRow waiting;
        waiting.record.id = 2;
        waiting.title = "next";
        m_snapshot.jobs = {failed(1), waiting};
        send();
        Q_EMIT m_window->queuePanel().jobChosen(1);
        QCOMPARE(m_window->viewerPanel().cardSentence(),
                 QString::fromStdString(m_snapshot.jobs[0].record.sentence));
        QVERIFY(m_window->findChild<QPushButton*>(QStringLiteral("cardRetry")));
        QTest::mouseClick(m_window->findChild<QPushButton*>(QStringLiteral("cardCopy")), Qt::LeftButton);
        QVERIFY(QApplication::clipboard()->text().contains(QStringLiteral("3.1 GB")));
        QCOMPARE(m_window->queuePanel().model().rowOf(1), 0);
        m_snapshot.jobs[0].record.state = JobState::Queued; // retried
        send();
        QVERIFY(m_window->viewerPanel().cardSentence().isEmpty());
    }

    void recoveredQueueOffersToGoOn() {
        auto row = failed(1);
        row.record.state = JobState::Interrupted;
        m_snapshot.jobs = {row};
        m_snapshot.queuePaused = true;
        m_snapshot.notes = {"Canopy was not closed properly. One clip was interrupted; the queue is paused."};
        send();
        send(); // told once
        auto* action = m_window->findChild<QPushButton*>(QStringLiteral("noteAction"));
        QVERIFY(action->isVisible());
        QCOMPARE(action->text(), QStringLiteral("Go on"));
        QTest::mouseClick(m_window->findChild<QAbstractButton*>(QStringLiteral("noteDismiss")),
                          Qt::LeftButton);
        QVERIFY(!action->isVisible());
    }

    void dropsAreToldApart() {
        QTemporaryDir folder;
        const auto kind = [&](const QString& path) {
            QMimeData data;
            data.setUrls({QUrl::fromLocalFile(path)});
            return classifyDrop(&data).kind;
        };
        QCOMPARE(int(kind(QStringLiteral("/x/a.MP4"))), int(DropKind::Clip));
        QCOMPARE(int(kind(QStringLiteral("/x/a.webp"))), int(DropKind::Image));
        QCOMPARE(int(kind(QStringLiteral("/x/a.txt"))), int(DropKind::Prompt));
        QCOMPARE(int(kind(folder.path())), int(DropKind::Folder));
        QCOMPARE(int(kind(QStringLiteral("/x/a.exe"))), int(DropKind::None));
        QMimeData web;
        web.setUrls({QUrl(QStringLiteral("https://example.org/a.mp4"))});
        QCOMPARE(int(classifyDrop(&web).kind), int(DropKind::None));
    }

    void droppedClipAsksWhatToDo() {
        const QString file = QStringLiteral("/clips/fox.mp4");
        m_window->workspace().offerClip(file);
        GenerationRequest r;
        r.prompt = "a red fox";
        r.seed = 77;
        r.frames = 21;
        r.width = 320;
        r.height = 192;
        r.steps = 9;
        r.guidance = 3;
        r.shift = 5;
        Q_EMIT m_link->settingsRead(file, r);
        QCOMPARE(m_window->viewerPanel().cardSentence(), QStringLiteral("fox.mp4"));
        QVERIFY(m_window->findChild<QPushButton*>(QStringLiteral("dropOpen")));
        QVERIFY(m_window->requestPanel().request().prompt != r.prompt); // nothing happens before the answer
        QTest::mouseClick(m_window->findChild<QPushButton*>(QStringLiteral("dropReload")), Qt::LeftButton);
        QCOMPARE(m_window->requestPanel().request().prompt, r.prompt);
        QCOMPARE(m_window->requestPanel().request().seed, r.seed);
        QVERIFY(m_window->viewerPanel().cardSentence().isEmpty());
    }

    void clipWithoutSettingsSaysSo() {
        const QString file = QStringLiteral("/clips/holiday.mp4");
        m_window->workspace().offerClip(file);
        Q_EMIT m_link->settingsMissing(file, QStringLiteral("This clip holds no settings of Canopy."));
        QCOMPARE(m_window->viewerPanel().cardSentence(),
                 QStringLiteral("This clip holds no settings of Canopy."));
        QVERIFY(!m_window->findChild<QPushButton*>(QStringLiteral("dropReload")));
        QVERIFY(m_window->findChild<QPushButton*>(QStringLiteral("dropOpen")));
    }

    void everyControlHasANameAndIsReachable() {
        for (auto* widget : m_window->findChildren<QWidget*>()) {
            const bool control = qobject_cast<QAbstractButton*>(widget) ||
                                 qobject_cast<QPlainTextEdit*>(widget) ||
                                 qobject_cast<QAbstractItemView*>(widget) || qobject_cast<QComboBox*>(widget);
            if (!control || widget->objectName().startsWith(QLatin1String("qt_")) ||
                widget->parentWidget()->inherits("QComboBoxPrivateContainer") ||
                widget->parentWidget()->inherits("QLineEdit"))
                continue;
            QVERIFY2(!widget->objectName().isEmpty(), widget->metaObject()->className());
            QVERIFY2(!widget->accessibleName().isEmpty(), qPrintable(widget->objectName()));
        }
    }

    void f6WalksThePanes() {
        m_window->activateWindow();
        JobRow waiting;
        waiting.record.id = 2;
        m_snapshot.jobs = {waiting};
        send();
        m_window->requestPanel().focusPrompt();
        QVERIFY(QTest::qWaitForWindowActive(m_window.get()));
        QTest::keyClick(m_window.get(), Qt::Key_F6);
        QCOMPARE(m_window->focusWidget(), m_window->viewerPanel().keyTarget());
        QTest::keyClick(m_window.get(), Qt::Key_F6);
        QCOMPARE(m_window->focusWidget(), m_window->queuePanel().focusTarget());
        QTest::keyClick(m_window.get(), Qt::Key_F6, Qt::ShiftModifier);
        QCOMPARE(m_window->focusWidget(), m_window->viewerPanel().keyTarget());
    }

    void profilerIsAbsentWithoutOpenGl() {
        auto* action = m_window->findChild<QAction*>(QStringLiteral("profiler"));
        QVERIFY(action && !action->isVisible() && !action->isEnabled());
        QVERIFY(!m_window->overlay().isAvailable());
    }

    void doubleSizeKeepsThePrimaryButtonInSight() {
        m_window->resize(1280, 800);
        m_themes->setScale(2);
        QTest::qWait(50);
        auto* button = m_window->requestPanel().generateButton();
        QVERIFY(button->isVisible());
        const QRect place(button->mapTo(m_window.get(), QPoint(0, 0)), button->size());
        QVERIFY2(m_window->rect().contains(place), "Generate is cut off");
        QVERIFY(button->height() >= 2 * 42 + 2);
        QVERIFY2(m_window->width() <= 1280, "the panes need more room than the window has");
        auto* right = m_window->findChild<QDockWidget*>(QStringLiteral("queueDock"));
        QVERIFY(!m_window->tabifiedDockWidgets(right).isEmpty()); // docks became tabs
        m_themes->setScale(1);
        QTest::qWait(50);
        QVERIFY(m_window->tabifiedDockWidgets(right).isEmpty());
    }

    void smallWindowCutsNothingOff() {
        m_window->resize(1280, 800);
        QTest::qWait(50);
        QVERIFY(m_window->width() <= 1280 && m_window->height() <= 800);
        for (const char* name : {"generateButton", "transportPlay", "timecode", "librarySearch"}) {
            auto* widget = m_window->findChild<QWidget*>(QLatin1String(name));
            const QRect place(widget->mapTo(m_window.get(), QPoint(0, 0)), widget->size());
            QVERIFY2(m_window->rect().contains(place), name);
            QVERIFY2(widget->width() >= widget->minimumSizeHint().width(), name);
        }
    }

    void watchdogSeesAStall() {
        StallWatchdog watchdog;
        watchdog.start();
        QTest::qWait(30);
        watchdog.reset();
        QThread::msleep(120);
        QTest::qWait(30);
        QVERIFY(watchdog.stalls() >= 1);
        QVERIFY(watchdog.worstMillis() >= 100);
    }

    void brokenSettingsGiveDefaultsAndKeepTheFile() {
        QTemporaryDir folder;
        const std::filesystem::path file = folder.filePath(QStringLiteral("window.json")).toStdString();
        UiSettings settings;
        settings.theme = ThemeChoice::Light;
        settings.scale = 1.5;
        settings.prompts = {QStringLiteral("ein Fuchs, schön")};
        settings.geometry = "\x01\x02";
        QVERIFY(saveUiSettings(file, settings).ok());
        QVERIFY(loadUiSettings(file) == settings);
        QFile text(QString::fromStdString(file.string()));
        QVERIFY(text.open(QIODevice::ReadOnly));
        const QByteArray good = text.readAll();
        text.close();
        QRandomGenerator random(7);
        for (int i = 0; i < 300; ++i) {
            QByteArray bad = good;
            if (i % 2)
                bad.truncate(random.bounded(int(bad.size())));
            else
                bad[random.bounded(int(bad.size()))] = char(random.bounded(256));
            QVERIFY(text.open(QIODevice::WriteOnly | QIODevice::Truncate));
            text.write(bad);
            text.close();
            const auto loaded = loadUiSettings(file);
            QVERIFY(loaded.scale >= 0.8 && loaded.scale <= 3 && loaded.threads >= 0);
        }
        QVERIFY(text.open(QIODevice::WriteOnly | QIODevice::Truncate));
        text.write("{\"scale\": \"big\", \"threads\": 4}");
        text.close();
        QString note;
        QCOMPARE(loadUiSettings(file, &note).threads, 4); // one wrong key costs that key alone
        QVERIFY(note.isEmpty());
        QVERIFY(text.open(QIODevice::WriteOnly | QIODevice::Truncate));
        text.write("{");
        text.close();
        QVERIFY(loadUiSettings(file, &note) == UiSettings());
        QVERIFY(!note.isEmpty());
        QVERIFY(QFile::exists(QString::fromStdString(file.string() + ".broken")));
    }

private:
    void send() {
        ++m_snapshot.sequence;
        Q_EMIT m_link->snapshotChanged(std::make_shared<const StudioSnapshot>(m_snapshot));
    }

    std::unique_ptr<ThemeManager> m_themes;
    std::unique_ptr<StudioLink> m_link;
    std::unique_ptr<MainWindow> m_window;
    StudioSnapshot m_snapshot;
};

QTEST_MAIN(ShellTest)
#include "shell_test.moc"
