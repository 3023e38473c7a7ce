#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include <QObject>
#include <QString>
#include <QThreadPool>
#include <QTimer>

#include "core/studio/speed_record.h"
#include "core/studio/studio.h"

namespace canopy::ui {

using SnapshotPtr = std::shared_ptr<const StudioSnapshot>;

/// The window's way to the studio: snapshots polled 30 times a second, commands run on a thread of their own
/// so that no commit and no disk ever holds up the GUI. Home thread: the GUI's.
class StudioLink : public QObject {
    Q_OBJECT
public:
    using OpenStudio = std::function<Result<std::unique_ptr<Studio>>()>;
    struct Models {
        std::vector<ModelRecord> clips;       ///< make clips
        std::vector<QaModelRecord> questions; ///< answer questions about videos
    };
    using ScanModels = std::function<Models()>;
    using AddModelFolder = std::function<Result<Models>(const std::filesystem::path&)>;

    /// What the composition root knows how to do; each is called off the GUI thread.
    struct Ways {
        OpenStudio openStudio;
        ScanModels scanModels;
        AddModelFolder addModelFolder; ///< remembers the folder, gives all models
    };
    explicit StudioLink(Ways ways, QObject* parent = nullptr);
    /// Waits for the command under way and ends the studio.
    ~StudioLink() override;

    /// Opens the studio and scans models in the background; opened() or openFailed() follows.
    void start();
    bool isOpen() const { return m_studio != nullptr; }
    SnapshotPtr snapshot() const { return m_snapshot; }

    void generate(const GenerationRequest& request);
    void check(const GenerationRequest& request); ///< newest wins; answered by checked()
    void ask(const AskRequest& request);          ///< answered by asked() or refused()
    void checkAsk(const AskRequest& request);     ///< newest wins; answered by askChecked()
    void probe(JobId ask, int cell);              ///< the snapshot's probe follows
    void readChunkRecord(JobId clip);             ///< chunkRecordRead() or chunkRecordMissing()
    void readTokenRun(JobId ask);                 ///< of an earlier start: tokenRunRead() or refused()
    void cancel(JobId id);
    void retry(JobId id);
    void duplicate(JobId id);
    void remove(JobId id);
    void clearFinished();
    void pauseQueue();
    void resumeQueue();
    void pauseJob(JobId id);
    void resumeJob(JobId id);
    void moveBefore(JobId id, JobId before);
    void restartWorker();
    void subscribe(std::vector<std::string> topics);
    void searchClips(const QString& text, bool starredOnly);
    void setStarred(std::int64_t clip, bool starred);
    void forgetClip(std::int64_t clip);
    void rescanLibrary();
    void addModelFolder(const QString& folder);
    /// Settings of a dropped file: settingsRead() or settingsMissing().
    void readSettings(const QString& file);
    /// How many latent frames a clip of so many frames a second can begin with: givenVideoRead() or
    /// refused().
    void readGivenVideo(const QString& file, int fps);
    /// Measures the speed of clips like this one: speedProgress(), then speedMeasured() or speedFailed(). One
    /// at a time; a second call is refused by speedFailed().
    void measureSpeed(const GenerationRequest& request, const ModelDefaults& defaults);
    void stopMeasuring();
    void readSpeed(DeviceKind device); ///< measured earlier: speedRead()
    /// What a clip's frames look like: looksRead(). Newest call wins.
    void readLooks(const QString& file);
    /// A file as the library would hold it: clipRead(), or clipMissing() when it is no clip of ours.
    void readClip(const QString& file);

Q_SIGNALS:
    void opened();
    void openFailed(const QString& sentence);
    void snapshotChanged(const canopy::ui::SnapshotPtr& snapshot);
    void clipsChanged(const std::vector<canopy::Clip>& clips);
    void modelsChanged(const std::vector<canopy::ModelRecord>& models);
    void qaModelsChanged(const std::vector<canopy::QaModelRecord>& models);
    void checked(const canopy::StartCheck& check);
    void generated(canopy::JobId id);
    void asked(canopy::JobId id);
    void askChecked(const canopy::AskCheck& check);
    void tokenRunRead(canopy::JobId ask, const std::shared_ptr<const canopy::TokenRun>& run);
    void chunkRecordRead(canopy::JobId clip, const std::shared_ptr<const canopy::ChunkRecord>& record);
    void chunkRecordMissing(canopy::JobId clip, const QString& sentence);
    /// A command was refused; the sentence says why.
    void refused(const QString& sentence);
    void settingsRead(const QString& file, const canopy::GenerationRequest& request);
    void givenVideoRead(const QString& file, int latentFrames);
    void settingsMissing(const QString& file, const QString& sentence);
    /// The whole library, whatever is searched for; newest first.
    void libraryChanged(const std::vector<canopy::Clip>& clips);
    void looksRead(const QString& file, const std::shared_ptr<const std::vector<canopy::FrameLook>>& looks);
    void clipRead(const QString& file, const canopy::Clip& clip);
    void clipMissing(const QString& file, const QString& sentence);
    void speedProgress(int done, int runs, const QString& words);
    void speedMeasured();
    void speedFailed(const QString& sentence); ///< empty: it was stopped
    /// All that was measured, and this machine's name as records hold it.
    void speedRead(const std::vector<canopy::SpeedRecord>& records, const std::string& machine);

private:
    void poll();
    void command(std::function<Result<void>(Studio&)> work);
    template <typename Work, typename Done>
    void background(QThreadPool& pool, Work work, Done done);
    void readClips();
    void tellModels(const Models& models);

    Ways m_ways;
    std::shared_ptr<Studio> m_studio;
    SnapshotPtr m_snapshot;
    QThreadPool m_pool;      ///< commands, one thread: they keep the order in which they were given
    QThreadPool m_measuring; ///< one measurement of speed, which waits for its jobs
    std::stop_source m_measureStop;
    bool m_isMeasuring = false;
    std::stop_source m_looksStop;
    QThreadPool m_looking; ///< one clip whose frames are looked at
    QThreadPool m_files;   ///< scans and dropped files, which may wait for a slow disk
    QTimer m_timer;
    std::uint64_t m_libraryChanges = 0;
    QString m_search;
    bool m_starredOnly = false;
    std::uint64_t m_checkTicket = 0;
    std::uint64_t m_askCheckTicket = 0;
    bool m_readingClips = false;
    bool m_readClipsAgain = false;
};

} // namespace canopy::ui
