#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <QImage>
#include <QWidget>

#include "core/studio/studio_snapshot.h"
#include "ui/theme/dresser.h"
#include "ui/viewer/frame_store.h"
#include "ui/viewer/playback.h"
#include "ui/viewer/playback_keys.h"

class QFrame;
class QHBoxLayout;
class QLabel;
class QPushButton;
class QToolButton;

namespace canopy::ui {

class ElidedLabel;
class VideoView;

/// Header, picture, transport. Shows one thing at a time: nothing, the animated preview of a job, or a clip.
class ViewerPanel : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    /// A button of the card that lies over the picture.
    struct Action {
        QString text;
        QString objectName;
        std::function<void()> run;
        bool primary = false;
    };
    explicit ViewerPanel(QWidget* parent = nullptr);

    void showNothing();
    /// Frames loop at their own rate, so that they last as long as the clip will.
    void showPreview(std::shared_ptr<const PreviewImage> preview, const GenerationRequest& request);
    /// A clip that is made chunk by chunk, in its own frames: what is finished, then the newest preview.
    /// Either may be null; what was shown of the same job before stays then.
    void showGrowing(JobId job, std::shared_ptr<const GrownFrames> grown,
                     std::shared_ptr<const PreviewImage> preview, const GenerationRequest& request);
    /// Same file again: nothing happens, unless it failed.
    void showClip(const QString& file, bool play);
    QString clipFile() const { return m_clipFile; }
    bool showsPreview() const { return m_preview || m_grown; }
    JobId previewJob() const { return m_preview ? m_preview->job : m_grown ? m_grown->job : 0; }
    /// Frame of the clip that the playhead stands for, also of one that is being made; -1 = nothing is shown.
    int clipFrame() const;
    void seekClipFrame(int frame);
    /// The picture of a frame of the clip: decoded, or the preview of it; null where there is none yet.
    QImage picture(int clipFrame) const;

    void setHeading(const QString& title, const QString& words);
    /// One sentence with its buttons over the picture; empty sentence = no card.
    void showCard(const QString& sentence, std::vector<Action> actions, bool isError = false);
    QString cardSentence() const;
    /// The job under way or, paused, the one that is looked at; null: none. "Ready in", Pause and Cancel.
    void setRunning(const JobRow* job);
    JobId runningJob() const { return m_running; }
    /// Cancel of the running job, as by the button: says "Stopping" at once, then asks.
    void requestCancel();

    /// Little room: what keys and other panes give as well is left out.
    void setCompact(bool compact);
    /// Without the buttons for first frame, last frame and loop; keys and the Clip menu have them.
    void setBrief(bool brief);

    Playback& playback() { return *m_playback; }
    VideoView& view() { return *m_view; }
    /// Controls of a workspace: in the header before the zoom, in the transport after the frame number.
    void addHeaderWidget(QWidget* widget);
    void addTransportWidget(QWidget* widget);
    /// Start of the frame that is shown, of its own timestamp; that of the playhead may be ahead of it while
    /// a frame is decoded. Negative: no clip is shown.
    double shownSeconds() const;
    double seconds(int frame) const; ///< start of a frame of the clip, from that of its first
    /// Goes to the frame that is shown at this time.
    void seekSeconds(double seconds);
    QWidget* keyTarget() const; ///< what has to have focus for the letter keys
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void cancelRequested();
    void pauseRequested(canopy::JobId job);
    void resumeRequested(canopy::JobId job);
    void picturesArrived(); ///< more of picture() can be had
    void contentChanged();
    /// Another frame of the clip is on the screen.
    void frameShown(int frame, double seconds);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    QWidget* buildHeader();
    QWidget* buildTransport();
    void showFrame();
    QImage previewPicture(int index) const;
    void leaveClip();
    void showState();
    void showZoom();
    void placeCard();
    void showPause(const JobRow* job);
    void setPlayIcon();

    Theme m_theme;
    bool m_hasTheme = false;
    Playback* m_playback;
    PlaybackKeys m_keys;
    FrameStore* m_store;
    std::shared_ptr<const PreviewImage> m_preview;
    std::shared_ptr<const GrownFrames> m_grown;
    int m_clipFrames = 0;   ///< of the clip that previews stand for
    bool m_growing = false; ///< the playhead counts the clip's own frames
    QSize m_pictureSize;
    double m_pictureFps = 0;
    QString m_clipFile;
    bool m_clipOpen = false;
    std::shared_ptr<const std::vector<std::int64_t>> m_ptsNanos; ///< of the clip
    int m_shownFrame = -1;
    bool m_playWhenOpen = false;
    bool m_compact = false;
    bool m_brief = false;
    JobId m_running = 0;
    JobId m_stopping = 0; ///< cancel was pressed; stays until this job ended
    QString m_clipError;

    ElidedLabel* m_title = nullptr;
    ElidedLabel* m_words = nullptr;
    QLabel* m_format = nullptr;
    QLabel* m_rate = nullptr;
    QToolButton* m_zoomButton = nullptr;
    VideoView* m_view = nullptr;
    QFrame* m_card = nullptr;
    QLabel* m_cardText = nullptr;
    QHBoxLayout* m_cardButtons = nullptr;
    std::vector<QToolButton*> m_transportButtons;
    QToolButton* m_play = nullptr;
    QToolButton* m_loop = nullptr;
    QLabel* m_time = nullptr;
    QLabel* m_total = nullptr;
    QLabel* m_frameLabel = nullptr;
    QLabel* m_ready = nullptr;
    QPushButton* m_pause = nullptr;
    QPushButton* m_cancel = nullptr;
    bool m_isPaused = false;
};

} // namespace canopy::ui
