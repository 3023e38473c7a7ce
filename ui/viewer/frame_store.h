#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <QImage>
#include <QObject>
#include <QString>

namespace canopy::ui {

/// What is known of an opened clip.
struct ClipFacts {
    QString file;
    int width = 0;
    int height = 0;
    int frames = 0;
    double fps = 0;
    std::shared_ptr<const std::vector<std::int64_t>> ptsNanos; ///< exact start of every frame
    QString damage; ///< a sentence when the end of the file cannot be read
};

/// Decodes one clip at a time in its own thread and keeps frames around the playhead, at most `byteBudget` of
/// them. Short clips lie in memory as a whole after one pass; of long ones a window in blocks. Signals arrive
/// in the thread of this object (the GUI's).
class FrameStore : public QObject {
    Q_OBJECT
public:
    explicit FrameStore(std::size_t byteBudget = std::size_t{384} << 20, QObject* parent = nullptr);
    ~FrameStore() override;

    /// Starts to open; answered by opened() or failed() for the newest call only.
    void open(const QString& file);
    void close();
    /// The playhead: decoding goes on from here in this direction (+1, -1).
    void want(int frame, int direction);
    /// The frame if it is decoded, else null. Never blocks on decoding.
    QImage frame(int index) const;

Q_SIGNALS:
    void opened(const canopy::ui::ClipFacts& facts);
    void failed(const QString& file, const QString& sentence);
    /// Frames arrived since the last signal; sent at most once until the receiver ran.
    void framesArrived();

private:
    struct Wish {
        std::uint64_t generation = 0;
        QString file;
        int frame = 0;
        int direction = 1;
        bool quit = false;
    };
    void run();
    int nextMissingBlock(int frames) const; ///< needs m_mutex
    void evict(std::size_t frameBytes);     ///< needs m_mutex
    int distance(int frame) const;          ///< needs m_mutex; in playing direction, far behind is farthest

    const std::size_t m_byteBudget;
    mutable std::mutex m_mutex;
    std::condition_variable m_wake;
    Wish m_wish;
    std::map<int, QImage> m_frames;
    int m_total = 0;
    bool m_announced = false; ///< framesArrived is on its way
    std::thread m_thread;
};

} // namespace canopy::ui
