#pragma once

#include <initializer_list>

#include <QString>

class QFrame;
class QLabel;
class QToolButton;
class QVBoxLayout;
class QWidget;

/// Small parts that every pane is made of.
namespace canopy::ui {

class ElidedLabel;

/// 36 px header: title at the left, widgets at the right.
QWidget* paneHeader(const QString& title, std::initializer_list<QWidget*> right, const QString& objectName);
/// 28 px button with an icon only; `name` becomes tooltip and accessible name. Plain ones have no border.
QToolButton* iconButton(const QString& icon, const QString& name, const QString& objectName,
                        bool plain = true);
/// A strong title and a hint behind it, which ends in an ellipsis where room is short; gives the hint.
ElidedLabel* sectionTitle(const QString& title, const QString& hint, QVBoxLayout* into);
QFrame* rule(); ///< decorative horizontal line
QFrame* verticalRule();
QLabel* textLabel(const QString& text, const char* look, const QString& objectName = {});

} // namespace canopy::ui
