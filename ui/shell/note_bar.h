#pragma once

#include <functional>

#include <QFrame>

#include "ui/theme/dresser.h"

class QLabel;
class QPushButton;

namespace canopy::ui {

/// A sentence to be told once, with at most one action, above the viewer until it is dismissed. Further ones
/// wait.
class NoteBar : public QFrame {
    Q_OBJECT
public:
    struct Note {
        QString sentence;
        QString action; ///< empty = none
        std::function<void()> run;
    };
    explicit NoteBar(QWidget* parent = nullptr);
    void tell(Note note);
    QString sentence() const;
    void dismiss();

private:
    void showNext();

    QList<Note> m_waiting;
    Note m_shown;
    QLabel* m_text;
    QPushButton* m_action;
};

} // namespace canopy::ui
