#include "ui/tokens/token_layer.h"

#include <algorithm>

#include <QPainter>

namespace canopy::ui {

namespace {

constexpr double kMaxCachedPixels = 8e6; ///< enlarged pictures are drawn anew

} // namespace

TokenLayer::TokenLayer(QObject* parent)
    : QObject(parent) {
    connect(this, &TokenLayer::changed, this, [this] { m_painted = QImage(); });
}

void TokenLayer::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    Q_EMIT changed();
}

void TokenLayer::setRun(std::shared_ptr<const TokenRun> run) {
    if (run == m_scene.shared())
        return;
    m_scene = TokenScene(std::move(run));
    m_tree = -1;
    m_cursor = -1;
    m_other.reset();
    m_probe.reset();
    m_sample = m_scene.sampleAt(m_seconds);
    Q_EMIT sceneChanged();
    Q_EMIT treeSelected(-1);
    Q_EMIT cursorMoved({});
    Q_EMIT sampleChanged(m_sample);
    Q_EMIT changed();
}

bool TokenLayer::setKeep(double keep) {
    if (!m_scene.setKeep(keep))
        return false;
    // Merging below the number of roots joins trees: follow the selected one's root into its new tree.
    if (m_tree >= 0 && !m_scene.treeRow(m_tree))
        m_tree = -1;
    Q_EMIT sceneChanged();
    Q_EMIT cursorMoved(cursorWords());
    Q_EMIT changed();
    return true;
}

void TokenLayer::setLook(TokenLook look) {
    if (look == m_look)
        return;
    m_look = look;
    Q_EMIT lookChanged(look);
    Q_EMIT changed();
}

void TokenLayer::setSeconds(double seconds) {
    m_seconds = seconds;
    const int sample = m_scene.sampleAt(seconds);
    if (sample == m_sample)
        return;
    m_sample = sample;
    follow();
    Q_EMIT sampleChanged(sample);
    Q_EMIT changed();
}

void TokenLayer::follow() {
    if (m_cursor < 0 || m_sample < 0)
        return;
    CellPlace at = m_scene.place(m_cursor);
    at.sample = m_sample;
    m_cursor = m_scene.cell(at);
    Q_EMIT cursorMoved(cursorWords());
}

void TokenLayer::selectTree(int tree) {
    if (tree == m_tree)
        return;
    m_tree = tree;
    Q_EMIT treeSelected(tree);
    Q_EMIT changed();
}

void TokenLayer::setCursor(int cell) {
    if (cell == m_cursor)
        return;
    m_cursor = cell;
    Q_EMIT cursorMoved(cursorWords());
    Q_EMIT changed();
}

void TokenLayer::setOther(std::shared_ptr<const TokenRun> other) {
    m_other.reset();
    if (other && !m_scene.isEmpty() && other->frameIndex == m_scene.run().frameIndex &&
        other->rows == m_scene.run().rows && other->columns == m_scene.run().columns)
        m_other = other->kept;
    Q_EMIT changed();
}

std::pair<int, int> TokenLayer::difference() const {
    int mine = 0, theirs = 0;
    for (int cell = 0; m_other && cell < m_scene.run().cells(); ++cell) {
        const bool a = m_scene.state(cell) == CellState::Kept, b = (*m_other)[std::size_t(cell)] != 0;
        mine += a && !b;
        theirs += b && !a;
    }
    return {mine, theirs};
}

void TokenLayer::setProbe(const SimilarityProbe& probe) {
    m_probe = probe;
    Q_EMIT changed();
}

void TokenLayer::clearProbe() {
    if (!m_probe)
        return;
    m_probe.reset();
    Q_EMIT changed();
}

TokenPaint TokenLayer::what() const {
    TokenPaint what;
    what.look = m_look;
    what.sample = m_sample;
    what.tree = m_tree;
    what.cursor = m_cursor;
    what.other = m_other ? &*m_other : nullptr;
    if (m_probe && !m_probe->cosine.empty()) {
        what.cosine = &m_probe->cosine;
        what.probe = m_probe->cell;
    }
    return what;
}

OverlayExport TokenLayer::exportValue() const {
    OverlayExport value{m_scene, what(), {}, {}, m_theme};
    if (value.what.other)
        value.other = *value.what.other;
    if (value.what.cosine)
        value.cosine = *value.what.cosine;
    value.what.other = nullptr;
    value.what.cosine = nullptr;
    value.what.cursor = -1;
    // A picture without tokens is no export of tokens.
    if (value.what.look == TokenLook::Picture)
        value.what.look = TokenLook::Tokens;
    return value;
}

QString TokenLayer::cursorWords() const {
    if (m_cursor < 0)
        return {};
    QString words = m_scene.words(m_cursor);
    if (m_probe && std::size_t(m_cursor) < m_probe->cosine.size())
        words += tr(", similarity %1").arg(double(m_probe->cosine[std::size_t(m_cursor)]), 0, 'f', 2);
    return words;
}

void TokenLayer::paintOver(QPainter& painter, const QRectF& picture, const QRectF& visible) {
    if (!m_hasTheme || m_scene.isEmpty() || m_look == TokenLook::Picture)
        return;
    painter.save();
    painter.setClipRect(visible);
    const double ratio = painter.device()->devicePixelRatioF();
    if (picture.width() * picture.height() * ratio * ratio > kMaxCachedPixels) {
        paintTokens(painter, picture, m_scene, what(), m_theme);
    } else {
        if (m_painted.isNull() || m_paintedFor != picture || m_painted.devicePixelRatio() != ratio) {
            m_painted =
                QImage((picture.size() * ratio).toSize() + QSize(2, 2), QImage::Format_ARGB32_Premultiplied);
            m_painted.setDevicePixelRatio(ratio);
            m_painted.fill(Qt::transparent);
            m_paintedFor = picture;
            QPainter inner(&m_painted);
            paintTokens(inner, QRectF(QPointF(), picture.size()), m_scene, what(), m_theme);
        }
        painter.drawImage(picture.topLeft(), m_painted);
    }
    QString text = m_scene.sampleWords(m_sample);
    if (m_probe && !m_probe->cosine.empty())
        text = tr("Similarity with the chosen cell, contour at %1")
                   .arg(m_scene.run().settings.semanticThreshold);
    else if (m_probe && !m_probe->sentence.empty())
        text = QString::fromStdString(m_probe->sentence);
    else if (m_other) {
        const auto [mine, theirs] = difference();
        text = tr("Only here %1 (white corner), only there %2 (black corner)").arg(mine).arg(theirs);
    }
    painter.setFont(m_theme.font(TextStyle::Label));
    const QFontMetrics metrics(painter.font());
    const int w = metrics.horizontalAdvance(text) + m_theme.px(16), h = m_theme.px(20);
    const QRectF shown = picture.intersected(visible);
    const QRectF plate(shown.left(), shown.bottom() - h, w, h);
    painter.fillRect(plate, m_theme.maps().plate);
    painter.setPen(m_theme.maps().plateText);
    painter.drawText(plate, Qt::AlignCenter, text);
    painter.restore();
}

bool TokenLayer::click(const QPointF& point, const QRectF& picture) {
    if (m_scene.isEmpty() || m_look == TokenLook::Picture)
        return false;
    const int cell = cellAt(m_scene.run(), picture, m_sample, point);
    if (cell < 0)
        return false;
    setCursor(cell);
    choose(cell);
    return true;
}

void TokenLayer::choose(int cell) {
    if (m_probing)
        return Q_EMIT probeWanted(cell);
    const int tree = m_scene.tree(cell);
    selectTree(tree == m_tree ? -1 : tree); // again: lets go
}

void TokenLayer::setProbing(bool on) {
    if (on == m_probing)
        return;
    m_probing = on;
    if (!on)
        clearProbe();
    Q_EMIT probingChanged(on);
}

void TokenLayer::hover(const QPointF& point, const QRectF& picture) {
    if (m_scene.isEmpty() || m_look == TokenLook::Picture)
        return;
    setCursor(cellAt(m_scene.run(), picture, m_sample, point));
}

void TokenLayer::leave() {
    setCursor(-1);
}

void TokenLayer::moveCursor(int rows, int columns) {
    CellPlace at = m_cursor >= 0 ? m_scene.place(m_cursor)
                                 : CellPlace{m_sample, m_scene.run().rows / 2, m_scene.run().columns / 2};
    if (m_cursor >= 0) {
        at.row = std::clamp(at.row + rows, 0, m_scene.run().rows - 1);
        at.column = std::clamp(at.column + columns, 0, m_scene.run().columns - 1);
    }
    at.sample = m_sample;
    setCursor(m_scene.cell(at));
}

bool TokenLayer::key(int key, Qt::KeyboardModifiers modifiers) {
    if (m_scene.isEmpty())
        return false;
    // The plain arrow keys belong to the transport; with Ctrl they move the cell cursor.
    if (modifiers & Qt::ControlModifier) {
        if (m_look == TokenLook::Picture)
            return false;
        switch (key) {
        case Qt::Key_Left:
            moveCursor(0, -1);
            return true;
        case Qt::Key_Right:
            moveCursor(0, 1);
            return true;
        case Qt::Key_Up:
            moveCursor(-1, 0);
            return true;
        case Qt::Key_Down:
            moveCursor(1, 0);
            return true;
        default:
            return false;
        }
    }
    switch (key) {
    case Qt::Key_T:
        if (modifiers == Qt::ShiftModifier)
            setLook(m_look == TokenLook::Links ? TokenLook::Tokens : TokenLook::Links);
        else
            setLook(m_look == TokenLook::Picture ? TokenLook::Tokens : TokenLook::Picture);
        return true;
    case Qt::Key_Return:
    case Qt::Key_Enter:
        if (m_cursor < 0 || m_look == TokenLook::Picture)
            return false;
        choose(m_cursor);
        return true;
    case Qt::Key_Escape:
        if (m_probing) {
            setProbing(false);
            return true;
        }
        if (m_tree < 0)
            return false;
        selectTree(-1);
        return true;
    default:
        return false;
    }
}

} // namespace canopy::ui
