#pragma once

#include <initializer_list>

#include <QString>

class QFrame;
class QLabel;
class QToolButton;
class QWidget;

/// Small parts that every pane is made of.
namespace canopy::ui {

/// 36 px header: title at the left, widgets at the right.
QWidget* paneHeader(const QString& title, std::initializer_list<QWidget*> right, const QString& objectName);
/// 28 px button with an icon only; `name` becomes tooltip and accessible name. Plain ones have no border.
QToolButton* iconButton(const QString& icon, const QString& name, const QString& objectName,
                        bool plain = true);
QFrame* rule(); ///< decorative horizontal line
QFrame* verticalRule();
QLabel* textLabel(const QString& text, const char* look, const QString& objectName = {});

} // namespace canopy::ui
