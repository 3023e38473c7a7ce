#pragma once

#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QSpinBox>

#include "ui/theme/dresser.h"

/// Form fields and labels that style sheets alone cannot draw.
namespace canopy::ui {

/// A combo box with the theme's chevron and an optional second text at its right ("fits, 9.4 GB").
class ComboField : public QComboBox, public dresser::Dressed {
    Q_OBJECT
public:
    explicit ComboField(QWidget* parent = nullptr);
    void setRightText(const QString& text);
    void setTheme(const Theme& theme) override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;

private:
    Theme m_theme;
    QString m_right;
};

/// Whole number without arrow buttons; an optional caption for one special value. The wheel acts only with
/// focus.
class NumberField : public QSpinBox {
    Q_OBJECT
public:
    explicit NumberField(QWidget* parent = nullptr);

protected:
    void wheelEvent(QWheelEvent* event) override;
};

class RealField : public QDoubleSpinBox {
    Q_OBJECT
public:
    explicit RealField(QWidget* parent = nullptr);

protected:
    void wheelEvent(QWheelEvent* event) override;
    QString textFromValue(double value) const override;
};

/// Length of a clip. The value counts frames and lies on a grid (4k + 1 frames at first); shown and typed in
/// seconds, or in frames as "33 f".
class LengthField : public NumberField {
    Q_OBJECT
public:
    explicit LengthField(QWidget* parent = nullptr);
    void setFps(int fps);
    int fps() const { return m_fps; }
    /// The lengths that can be chosen: `first` frames, and any number of `step` more. The value moves to the
    /// nearest.
    void setGrid(int first, int step);

protected:
    QString textFromValue(int frames) const override;
    int valueFromText(const QString& text) const override;
    QValidator::State validate(QString& text, int& pos) const override;
    void fixup(QString& text) const override;
    void stepBy(int steps) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    int rounded(double frames) const;
    void placeFrameCount();

    QLabel* m_frameCount;
    int m_fps = 16;
    int m_first = 1;
};

/// The one primary button of a pane: a strong word, then its keys in small figures.
class PrimaryButton : public QPushButton, public dresser::Dressed {
    Q_OBJECT
public:
    PrimaryButton(const QString& text, const QString& keys, QWidget* parent = nullptr);
    void setTheme(const Theme& theme) override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    Theme m_theme;
    QString m_text;
    QString m_keys;
};

/// One line that ends in an ellipsis when there is no room; the whole text is its tooltip.
class ElidedLabel : public QLabel {
    Q_OBJECT
public:
    explicit ElidedLabel(QWidget* parent = nullptr);
    void setFullText(const QString& text);
    QString fullText() const { return m_full; }
    QSize minimumSizeHint() const override;
    QSize sizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    QString m_full;
};

} // namespace canopy::ui
