#pragma once

#include <QWidget>

#include "core/studio/studio_snapshot.h"
#include "ui/theme/dresser.h"

class QFrame;
class QLabel;
class QPushButton;

namespace canopy::ui {

/// A small level: share of a budget in use.
class LevelBar : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit LevelBar(QWidget* parent = nullptr);
    void setShare(double share);
    void setTheme(const Theme& theme) override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    Theme m_theme;
    double m_share = 0;
};

/// Round mark of the worker's state; the words beside it say the same.
class StateDot : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit StateDot(QWidget* parent = nullptr);
    void setRole(Role role);
    void setTheme(const Theme& theme) override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    Theme m_theme;
    Role m_role = Role::Text3;
};

/// The status bar: worker, memory measured and planned, step, time per step, remaining, disk. Fields keep
/// their width.
class StatusStrip : public QWidget {
    Q_OBJECT
public:
    explicit StatusStrip(QWidget* parent = nullptr);
    void setSnapshot(const StudioSnapshot& snapshot);
    void setDiskFree(std::uint64_t bytes); ///< of the clip folder; 0 = not known
    void setCompact(bool compact);         ///< little room: worker, memory and step only
    void setNote(const QString& text);     ///< at the right; newest replaces

Q_SIGNALS:
    void restartRequested();

private:
    StateDot* m_dot;
    QLabel* m_worker;
    QPushButton* m_restart;
    QLabel* m_memory;
    LevelBar* m_level;
    QLabel* m_disk;
    QLabel* m_step;
    QLabel* m_remaining;
    QLabel* m_note;
};

} // namespace canopy::ui
