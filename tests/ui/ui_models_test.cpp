#include <QAbstractItemModelTester>
#include <QMimeData>
#include <QSignalSpy>
#include <QTest>
#include <QUrl>

#include "ui/models/clip_list_model.h"
#include "ui/models/job_list_model.h"
#include "ui/models/prompt_history.h"

using namespace canopy;
using namespace canopy::ui;

namespace {

JobRow row(JobId id, JobState state, const char* title) {
    JobRow r;
    r.record.id = id;
    r.record.state = state;
    r.title = title;
    r.words = std::string(jobStateName(state));
    return r;
}

Clip clip(std::int64_t id, const char* file, const char* prompt) {
    Clip c;
    c.id = id;
    c.file = file;
    c.request.prompt = prompt;
    c.request.frames = 33;
    c.request.fps = 16;
    c.thumbnail = {2, 1, {255, 0, 0, 0, 255, 0}};
    return c;
}

} // namespace

class UiModelsTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void jobsKeepTheirIdentity() {
        JobListModel model;
        QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
        model.setJobs(
            {row(1, JobState::Running, "a"), row(2, JobState::Queued, "b"), row(3, JobState::Queued, "c")});
        const QPersistentModelIndex second = model.index(1);
        model.setJobs({row(3, JobState::Queued, "c"), row(1, JobState::Done, "a"),
                       row(2, JobState::Queued, "b"), row(4, JobState::Queued, "d")});
        QCOMPARE(model.rowCount(), 4);
        QCOMPARE(second.row(), 2);
        QCOMPARE(second.data(JobListModel::IdRole).toLongLong(), 2);
        model.setJobs({row(4, JobState::Queued, "d"), row(2, JobState::Failed, "b")});
        QCOMPARE(second.row(), 1);
        QCOMPARE(second.data(JobListModel::StateRole).toInt(), int(JobState::Failed));
        model.setJobs({});
        QVERIFY(!second.isValid());
        QCOMPARE(model.rowOf(4), -1);
    }

    void unchangedRowsSayNothing() {
        JobListModel model;
        auto running = row(1, JobState::Running, "a");
        running.progress = JobProgress{};
        running.progress->fraction = 0.5;
        model.setJobs({running});
        QSignalSpy changes(&model, &QAbstractItemModel::dataChanged);
        model.setJobs({running});
        QCOMPARE(changes.count(), 0);
        running.progress->fraction = 0.6;
        model.setJobs({running});
        QCOMPARE(changes.count(), 1);
        QCOMPARE(model.index(0).data(JobListModel::PercentRole).toString(), QStringLiteral("60 %"));
    }

    void clockTextRounds() {
        QCOMPARE(clockText(16.6), QStringLiteral("0:17"));
        QCOMPARE(clockText(123), QStringLiteral("2:03"));
        QCOMPARE(clockText(3900), QStringLiteral("1:05:00"));
        QCOMPARE(clockText(-1), QStringLiteral("0:00"));
    }

    void damagedThumbnailIsNoPicture() {
        QVERIFY(toImage(Thumbnail{4, 4, {1, 2, 3}}).isNull());
        QVERIFY(toImage(Thumbnail{-1, 1, {}}).isNull());
        const QImage image = toImage(Thumbnail{2, 1, {255, 0, 0, 0, 255, 0}});
        QCOMPARE(image.pixelColor(1, 0), QColor(0, 255, 0));
    }

    void clipsDragAsFiles() {
        ClipListModel model;
        QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
        model.setClips({clip(1, "/clips/a.mp4", "a red fox"), clip(2, "/clips/b.mp4", "a boat")});
        const std::unique_ptr<QMimeData> mime(model.mimeData({model.index(1)}));
        QCOMPARE(mime->urls(), QList<QUrl>{QUrl::fromLocalFile(QStringLiteral("/clips/b.mp4"))});
        QCOMPARE(model.index(0).data(ClipListModel::SecondsRole).toString(), QStringLiteral("2.1 s"));
        QCOMPARE(model.rowOf(QStringLiteral("/clips/b.mp4")), 1);
        QSignalSpy resets(&model, &QAbstractItemModel::modelReset);
        auto starred = clip(1, "/clips/a.mp4", "a red fox");
        starred.starred = true;
        model.setClips({starred, clip(2, "/clips/b.mp4", "a boat")});
        QCOMPARE(resets.count(), 0); // a star moves nothing
        QVERIFY(model.index(0).data(ClipListModel::StarredRole).toBool());
        model.setClips({});
        QCOMPARE(model.rowCount(), 0);
    }

    void historyWalksAndComesBack() {
        PromptHistory history({QStringLiteral("one"), QStringLiteral("two")});
        QCOMPARE(history.walk(-1, QStringLiteral("typed")), QStringLiteral("two"));
        QCOMPARE(history.walk(-1, QStringLiteral("two")), QStringLiteral("one"));
        QCOMPARE(history.walk(-1, QStringLiteral("one")), QStringLiteral("one"));
        QCOMPARE(history.walk(1, QStringLiteral("one")), QStringLiteral("two"));
        QCOMPARE(history.walk(1, QStringLiteral("two")), QStringLiteral("typed"));
        history.add(QStringLiteral("one"));
        QCOMPARE(history.prompts(), (QStringList{QStringLiteral("two"), QStringLiteral("one")}));
        // Straight after a press the field holds the newest entry: one step back must show another text.
        QCOMPARE(history.walk(-1, QStringLiteral("one")), QStringLiteral("two"));
    }
};

QTEST_MAIN(UiModelsTest)
#include "ui_models_test.moc"
