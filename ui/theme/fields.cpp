#include "ui/theme/fields.h"

#include <algorithm>
#include <cmath>

#include <QLineEdit>
#include <QPainter>
#include <QStyleOptionComboBox>
#include <QStylePainter>
#include <QWheelEvent>

#include "ui/theme/icons.h"

namespace canopy::ui {

ComboField::ComboField(QWidget* parent)
    : QComboBox(parent) {
    setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    setMinimumContentsLength(4);
}

void ComboField::setRightText(const QString& text) {
    m_right = text;
    update();
}

void ComboField::setTheme(const Theme& theme) {
    m_theme = theme;
    update();
}

void ComboField::paintEvent(QPaintEvent*) {
    QStylePainter painter(this);
    QStyleOptionComboBox option;
    initStyleOption(&option);
    painter.drawComplexControl(QStyle::CC_ComboBox, option);
    const int chevron = m_theme.px(12);
    const int gap = m_theme.px(8);
    QRect content = rect().adjusted(gap, 0, -gap - chevron - gap / 2, 0);
    const double ratio = devicePixelRatioF();
    painter.drawPixmap(width() - gap - chevron, (height() - chevron) / 2,
                       tintedPixmap(QStringLiteral("chevron-down"),
                                    m_theme.colour(isEnabled() ? Role::Text : Role::Text3), chevron, ratio));
    if (!m_right.isEmpty()) {
        const QFont small = m_theme.font(TextStyle::Caption);
        painter.setFont(small);
        const int width = QFontMetrics(small).horizontalAdvance(m_right);
        painter.setPen(m_theme.colour(Role::Text2));
        painter.drawText(content, Qt::AlignRight | Qt::AlignVCenter, m_right);
        content.adjust(0, 0, -width - gap, 0);
        painter.setFont(font());
    }
    if (!isEditable()) {
        painter.setPen(m_theme.colour(isEnabled() ? Role::Text : Role::Text3));
        painter.drawText(content, Qt::AlignLeft | Qt::AlignVCenter,
                         fontMetrics().elidedText(option.currentText, Qt::ElideRight, content.width()));
    }
}

void ComboField::wheelEvent(QWheelEvent* event) {
    hasFocus() ? QComboBox::wheelEvent(event) : event->ignore();
}

NumberField::NumberField(QWidget* parent)
    : QSpinBox(parent) {
    setButtonSymbols(QAbstractSpinBox::NoButtons);
    setFocusPolicy(Qt::StrongFocus);
}

void NumberField::wheelEvent(QWheelEvent* event) {
    hasFocus() ? QSpinBox::wheelEvent(event) : event->ignore();
}

RealField::RealField(QWidget* parent)
    : QDoubleSpinBox(parent) {
    setButtonSymbols(QAbstractSpinBox::NoButtons);
    setFocusPolicy(Qt::StrongFocus);
}

void RealField::wheelEvent(QWheelEvent* event) {
    hasFocus() ? QDoubleSpinBox::wheelEvent(event) : event->ignore();
}

QString RealField::textFromValue(double value) const {
    QString text = locale().toString(value, 'f', decimals());
    const QString point = locale().decimalPoint();
    if (text.contains(point)) { // "4.50" reads as "4.5", "5.00" as "5.0"
        while (text.endsWith(u'0') && !text.chopped(1).endsWith(point))
            text.chop(1);
    }
    return text;
}

LengthField::LengthField(QWidget* parent)
    : NumberField(parent)
    , m_frameCount(new QLabel(this)) {
    setRange(1, 1001);
    setSingleStep(4);
    m_frameCount->setProperty("look", "figure2");
    m_frameCount->setAttribute(Qt::WA_TransparentForMouseEvents);
    connect(this, &QSpinBox::valueChanged, this, [this](int frames) {
        // A value typed or set between the grid points moves to the nearest one.
        if (const int grid = rounded(frames); grid != frames)
            return setValue(grid);
        placeFrameCount();
    });
    placeFrameCount();
}

void LengthField::setFps(int fps) {
    m_fps = std::max(1, fps);
    const int frames = value();
    lineEdit()->setText(textFromValue(frames));
    placeFrameCount();
}

void LengthField::setGrid(int first, int step) {
    m_first = std::max(1, first);
    setSingleStep(std::max(1, step));
    setValue(rounded(value()));
}

int LengthField::rounded(double frames) const {
    const int step = std::max(1, singleStep());
    const int most = (maximum() - m_first) / step;
    const int k = std::clamp(int(std::lround((frames - m_first) / step)), 0, std::max(0, most));
    return k * step + m_first;
}

void LengthField::placeFrameCount() {
    m_frameCount->setText(tr("%1 f").arg(value()));
    m_frameCount->adjustSize();
    m_frameCount->move(width() - m_frameCount->width() - 8, (height() - m_frameCount->height()) / 2);
    m_frameCount->raise();
    lineEdit()->setTextMargins(0, 0, m_frameCount->width() + 4, 0);
}

void LengthField::resizeEvent(QResizeEvent* event) {
    NumberField::resizeEvent(event);
    placeFrameCount();
}

QString LengthField::textFromValue(int frames) const {
    return tr("%1 s").arg(locale().toString(double(frames) / m_fps, 'f', 2));
}

int LengthField::valueFromText(const QString& text) const {
    QString t = text.trimmed();
    const bool inFrames = t.endsWith(u'f');
    if (t.endsWith(u'f') || t.endsWith(u's'))
        t.chop(1);
    bool ok = false;
    const double number = locale().toDouble(t.trimmed(), &ok);
    if (!ok)
        return value();
    return rounded(inFrames ? number : number * m_fps);
}

QValidator::State LengthField::validate(QString& text, int&) const {
    QString t = text.trimmed();
    if (t.endsWith(u'f') || t.endsWith(u's'))
        t.chop(1);
    if (t.trimmed().isEmpty())
        return QValidator::Intermediate;
    bool ok = false;
    const double number = locale().toDouble(t.trimmed(), &ok);
    return ok && number >= 0 && number < 100000 ? QValidator::Acceptable : QValidator::Invalid;
}

void LengthField::fixup(QString& text) const {
    text = textFromValue(value());
}

void LengthField::stepBy(int steps) {
    setValue(rounded(value() + steps * singleStep()));
    selectAll();
}

PrimaryButton::PrimaryButton(const QString& text, const QString& keys, QWidget* parent)
    : QPushButton(parent)
    , m_text(text)
    , m_keys(keys) {
    setAccessibleName(text);
    setToolTip(keys);
}

void PrimaryButton::setTheme(const Theme& theme) {
    m_theme = theme;
    update();
}

void PrimaryButton::paintEvent(QPaintEvent*) {
    QStylePainter painter(this);
    QStyleOptionButton option;
    initStyleOption(&option);
    painter.drawControl(QStyle::CE_PushButton, option);
    const QFont strong = m_theme.font(TextStyle::Question);
    const QFont small = m_theme.monoFont(TextStyle::Caption);
    const int gap = m_theme.px(8);
    const int textWidth = QFontMetrics(strong).horizontalAdvance(m_text);
    const int keysWidth = QFontMetrics(small).horizontalAdvance(m_keys);
    const bool showKeys = !m_keys.isEmpty() && textWidth + gap + keysWidth < width() - 2 * gap;
    int x = (width() - textWidth - (showKeys ? gap + keysWidth : 0)) / 2;
    painter.setPen(m_theme.colour(isEnabled() ? Role::OnAccent : Role::Text3));
    painter.setFont(strong);
    painter.drawText(QRect(x, 0, textWidth + 2, height()), Qt::AlignVCenter | Qt::TextSingleLine, m_text);
    if (showKeys) {
        painter.setFont(small);
        painter.drawText(QRect(x + textWidth + gap, 0, keysWidth + 2, height()),
                         Qt::AlignVCenter | Qt::TextSingleLine, m_keys);
    }
}

ElidedLabel::ElidedLabel(QWidget* parent)
    : QLabel(parent) {
    setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
}

void ElidedLabel::setFullText(const QString& text) {
    if (m_full == text)
        return;
    m_full = text;
    setToolTip(text);
    setAccessibleName(text);
    updateGeometry();
    update();
}

QSize ElidedLabel::minimumSizeHint() const {
    return {fontMetrics().horizontalAdvance(u'…'), fontMetrics().height()};
}

QSize ElidedLabel::sizeHint() const {
    return {fontMetrics().horizontalAdvance(m_full) + 1, fontMetrics().height()};
}

void ElidedLabel::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setPen(palette().color(QPalette::WindowText));
    painter.drawText(rect(), int(alignment() | Qt::TextSingleLine),
                     fontMetrics().elidedText(m_full, Qt::ElideRight, width()));
}

} // namespace canopy::ui
