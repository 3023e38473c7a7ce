#include "ui/compare/pair_view.h"

#include <QHBoxLayout>

#include "ui/viewer/video_view.h"

namespace canopy::ui {
namespace {

constexpr int kBlinkMillis = 700; ///< slow enough for photosensitive eyes (below 3 flashes a second)

} // namespace

class PairView::PlateLayer : public PictureLayer {
public:
    explicit PlateLayer(const PairLayer& pair)
        : m_pair(pair) {}
    void paintOver(QPainter& painter, const QRectF& picture, const QRectF& visible) override {
        m_pair.paintPlate(painter, picture, visible, true, false);
    }
    bool click(const QPointF&, const QRectF&) override { return false; }
    void hover(const QPointF&, const QRectF&) override {}
    void leave() override {}
    bool key(int, Qt::KeyboardModifiers) override { return false; }

private:
    const PairLayer& m_pair;
};

PairView::PairView(QWidget* parent)
    : QWidget(parent)
    , m_a(new VideoView)
    , m_b(new VideoView)
    , m_layer(new PairLayer(this))
    , m_plateB(std::make_unique<PlateLayer>(*m_layer)) {
    setObjectName(QStringLiteral("pairView"));
    m_a->setObjectName(QStringLiteral("pairViewA"));
    m_b->setObjectName(QStringLiteral("pairViewB"));
    m_a->setAccessibleName(tr("Clips A and B"));
    m_b->setAccessibleName(tr("Clip B"));
    m_b->setFocusPolicy(Qt::ClickFocus); // one stop for the Tab key is enough: the keys are the same
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_a, 1);
    layout->addWidget(m_b, 1);
    m_b->hide();
    m_a->setLayer(m_layer);
    m_b->setLayer(m_plateB.get());
    connect(m_layer, &PairLayer::changed, m_a, qOverload<>(&QWidget::update));
    connect(m_layer, &PairLayer::changed, m_b, qOverload<>(&QWidget::update));
    connect(m_layer, &PairLayer::pointerNearWipe, this,
            [this](bool near) { m_a->setCursor(near ? Qt::SplitHCursor : Qt::ArrowCursor); });
    for (auto [from, to] : {std::pair(m_a, m_b), std::pair(m_b, m_a)}) {
        connect(from, &VideoView::panned, to, [from = from, to = to] { to->follow(*from); });
        connect(from, &VideoView::zoomChanged, this, [this, from = from, to = to] {
            if (from->isVisible() && (from->hasFocus() || from == m_a))
                to->follow(*from);
            Q_EMIT zoomChanged();
        });
    }
    m_blink.setInterval(kBlinkMillis);
    connect(&m_blink, &QTimer::timeout, this, [this] { m_layer->setShowsB(!m_layer->showsB()); });
}

PairView::~PairView() = default;

void PairView::setMode(PairMode mode) {
    m_layer->setMode(mode);
    m_b->setVisible(mode == PairMode::SideBySide && !m_b->image().isNull());
    runBlink();
    Q_EMIT modeChanged(mode);
}

void PairView::setImages(const QImage& a, const QImage& b) {
    m_a->setImage(a);
    m_b->setImage(b);
    m_layer->setImages(a, b);
    m_b->setVisible(mode() == PairMode::SideBySide && !b.isNull());
}

void PairView::setHint(const QString& text) {
    m_a->setHint(text);
}

void PairView::blink() {
    m_blink.stop();
    m_layer->setShowsB(!m_layer->showsB());
}

void PairView::runBlink() {
    if (mode() == PairMode::Blink && isVisible())
        m_blink.start();
    else
        m_blink.stop();
}

QWidget* PairView::keyTarget() const {
    return m_a;
}

void PairView::setTheme(const Theme& theme) {
    m_layer->setTheme(theme);
}

void PairView::showEvent(QShowEvent*) {
    runBlink();
}

void PairView::hideEvent(QHideEvent*) {
    runBlink();
}

} // namespace canopy::ui
