#include "ui/panels/comparison_panel.h"

#include <algorithm>
#include <cmath>

#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPainter>
#include <QPushButton>
#include <QScrollArea>
#include <QStyle>
#include <QToolButton>
#include <QVBoxLayout>

#include "core/project/similarity.h"
#include "ui/panels/pane_parts.h"
#include "ui/viewer/playback.h"

namespace canopy::ui {
namespace {

QString number(double value, int decimals) {
    return std::isfinite(value) ? QLocale().toString(value, 'f', decimals) : QStringLiteral("∞");
}

QString secondsText(double seconds) {
    return ComparisonPanel::tr("%1 s").arg(number(seconds, seconds < 10 ? 1 : 0));
}

QWidget* section(QVBoxLayout* into, QLayout* content) {
    auto* box = new QWidget;
    box->setLayout(content);
    into->addWidget(box);
    into->addWidget(rule());
    return box;
}

} // namespace

TimeBars::TimeBars(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("timeBars"));
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

void TimeBars::setTimes(double a, double b, std::optional<ComparisonResult::Prediction> predicted) {
    m_a = a;
    m_b = b;
    m_predicted = predicted;
    QString text = tr("A took %1, B took %2").arg(secondsText(a), secondsText(b));
    if (predicted)
        text += tr(", predicted %1 to %2").arg(secondsText(predicted->low), secondsText(predicted->high));
    setAccessibleName(text);
    updateGeometry();
    update();
}

void TimeBars::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

QSize TimeBars::sizeHint() const {
    return {m_theme.px(200), m_theme.px(m_predicted ? 66 : 50)};
}

void TimeBars::paintEvent(QPaintEvent*) {
    if (!m_hasTheme || (m_a <= 0 && m_b <= 0))
        return;
    QPainter painter(this);
    const double left = m_theme.px(18), h = m_theme.px(17);
    const double most = std::max({m_a, m_b, m_predicted ? m_predicted->high : 0.0});
    const double room = width() - left - m_theme.px(56);
    const auto xOf = [&](double seconds) { return left + room * seconds / most; };
    const auto bar = [&](double top, const QString& letter, double seconds, bool filled) {
        painter.setFont(m_theme.font(TextStyle::BodyStrong));
        painter.setPen(m_theme.colour(Role::Text));
        painter.drawText(QRectF(0, top, left, h), Qt::AlignLeft | Qt::AlignVCenter, letter);
        painter.setFont(m_theme.monoFont(TextStyle::Label));
        if (seconds <= 0) {
            painter.setPen(m_theme.colour(Role::Text2));
            painter.drawText(QRectF(left, top, width() - left, h), Qt::AlignLeft | Qt::AlignVCenter,
                             tr("time not known"));
            return;
        }
        const QRectF shape(left, top, std::max(2.0, xOf(seconds) - left), h);
        if (filled) {
            painter.fillRect(shape, m_theme.colour(Role::SeriesB));
        } else {
            painter.fillRect(shape, m_theme.colour(Role::Raised));
            painter.setPen(QPen(m_theme.colour(Role::Outline), 1));
            painter.drawRect(shape.adjusted(0.5, 0.5, -0.5, -0.5));
        }
        painter.setPen(m_theme.colour(Role::Text));
        painter.drawText(QRectF(shape.right() + m_theme.px(8), top, m_theme.px(56), h),
                         Qt::AlignLeft | Qt::AlignVCenter, secondsText(seconds));
    };
    bar(m_theme.px(2), QStringLiteral("A"), m_a, false);
    bar(m_theme.px(30), QStringLiteral("B"), m_b, true);
    if (!m_predicted)
        return;
    const double y = m_theme.px(53), x0 = std::round(xOf(m_predicted->low)),
                 x1 = std::round(xOf(m_predicted->high));
    painter.setPen(QPen(m_theme.colour(Role::Accent), 2));
    painter.drawPolyline(QPolygonF({{x0, y}, {x0, y + m_theme.px(6)}, {x1, y + m_theme.px(6)}, {x1, y}}));
}

ComparisonPanel::ComparisonPanel(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("comparisonPanel"));
    setAccessibleName(tr("Result of the comparison"));
    setProperty("pane", "dock");
    setAttribute(Qt::WA_StyledBackground);
    build();
    setResult({});
}

void ComparisonPanel::build() {
    auto* outer = new QVBoxLayout(this);
    outer->setContentsMargins(0, 0, 0, 0);
    outer->setSpacing(0);
    m_tableButton = iconButton(QStringLiteral("table"), tr("The frames as a table"),
                               QStringLiteral("fidelityTableButton"));
    m_exportButton = iconButton(QStringLiteral("box-arrow-up"), tr("Export the figures (CSV)"),
                                QStringLiteral("fidelityExport"));
    connect(m_tableButton, &QToolButton::clicked, this, &ComparisonPanel::tableRequested);
    connect(m_exportButton, &QToolButton::clicked, this, &ComparisonPanel::exportRequested);
    outer->addWidget(
        paneHeader(tr("Result"), {m_tableButton, m_exportButton}, QStringLiteral("resultHeader")));

    auto* scroll = new QScrollArea;
    scroll->setObjectName(QStringLiteral("resultScroll"));
    scroll->setProperty("pane", "dock");
    scroll->setWidgetResizable(true);
    scroll->setFocusPolicy(Qt::NoFocus);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    auto* content = new QWidget;
    auto* contentLayout = new QVBoxLayout(content);
    contentLayout->setContentsMargins(0, 0, 0, 0);
    contentLayout->setSpacing(0);
    m_waiting = textLabel({}, "label", QStringLiteral("comparisonWaiting"));
    m_waiting->setWordWrap(true);
    m_waiting->setContentsMargins(16, 16, 16, 16);
    m_waiting->setTextInteractionFlags(Qt::TextSelectableByMouse);
    contentLayout->addWidget(m_waiting);
    m_body = new QWidget;
    auto* body = new QVBoxLayout(m_body);
    body->setContentsMargins(0, 0, 0, 0);
    body->setSpacing(0);

    auto* times = new QVBoxLayout;
    dresser::setMargins(times, 16, 14, 16, 14, 8);
    auto* headline = new QHBoxLayout;
    dresser::setMargins(headline, 0, 0, 0, 0, 10);
    m_factor = textLabel({}, "hero", QStringLiteral("speedFactor"));
    m_factorWords = textLabel({}, "label", QStringLiteral("speedFactorWords"));
    m_promise = textLabel({}, "label", QStringLiteral("asPredicted"));
    headline->addWidget(m_factor, 0, Qt::AlignBottom);
    headline->addWidget(m_factorWords, 0, Qt::AlignBottom);
    headline->addStretch(1);
    headline->addWidget(m_promise, 0, Qt::AlignBottom);
    m_bars = new TimeBars;
    m_timeWords = textLabel({}, "caption", QStringLiteral("timeWords"));
    m_timeWords->setWordWrap(true);
    times->addLayout(headline);
    times->addWidget(m_bars);
    times->addWidget(m_timeWords);
    section(body, times);

    auto* likeness = new QGridLayout;
    dresser::setMargins(likeness, 16, 12, 16, 12, 6);
    likeness->setColumnStretch(1, 1);
    likeness->addWidget(textLabel(tr("Same shot?"), "label"), 0, 0, Qt::AlignTop);
    m_same = textLabel({}, "strongLabel", QStringLiteral("sameShot"));
    m_largest = new QPushButton;
    m_largest->setObjectName(QStringLiteral("largestChange"));
    m_largest->setProperty("kind", "link");
    m_largest->setAccessibleName(tr("Go to the largest change"));
    m_largest->setToolTip(tr("Go to the frame with the lowest PSNR"));
    connect(m_largest, &QPushButton::clicked, this, &ComparisonPanel::worstRequested);
    likeness->addWidget(m_same, 0, 1);
    likeness->addWidget(m_largest, 1, 1, Qt::AlignLeft);
    likeness->addWidget(textLabel(tr("Noise floor"), "label"), 2, 0, Qt::AlignTop);
    m_floor = textLabel({}, "label", QStringLiteral("noiseFloor"));
    m_floor->setWordWrap(true);
    likeness->addWidget(m_floor, 2, 1);
    section(body, likeness);

    auto* settings = new QVBoxLayout;
    dresser::setMargins(settings, 16, 12, 16, 12, 8);
    settings->addWidget(textLabel(tr("What differs in the settings"), "strongLabel"));
    m_table = new QWidget;
    m_table->setObjectName(QStringLiteral("settingsDifferences"));
    m_grid = new QGridLayout(m_table);
    dresser::setMargins(m_grid, 0, 0, 0, 0, 6);
    settings->addWidget(m_table);
    m_equal = textLabel({}, "label", QStringLiteral("equalSettings"));
    m_equal->setWordWrap(true);
    settings->addWidget(m_equal);
    section(body, settings);

    auto* fidelity = new QGridLayout;
    dresser::setMargins(fidelity, 16, 12, 16, 12, 8);
    for (int column = 1; column < 4; ++column)
        fidelity->setColumnStretch(column, 1);
    fidelity->addWidget(textLabel(tr("Fidelity to A"), "strongLabel"), 0, 0, 1, 2);
    m_planes = textLabel({}, "caption", QStringLiteral("fidelityPlanes"));
    fidelity->addWidget(m_planes, 0, 2, 1, 2, Qt::AlignRight);
    const QString heads[] = {tr("now"), tr("mean"), tr("worst")}, rows[] = {tr("PSNR, dB"), tr("SSIM")};
    for (int column = 0; column < 3; ++column)
        fidelity->addWidget(textLabel(heads[column], "strongLabel"), 1, column + 1, Qt::AlignRight);
    for (int row = 0; row < 2; ++row) {
        fidelity->addWidget(textLabel(rows[row], "label"), row + 2, 0);
        for (int column = 0; column < 3; ++column) {
            m_figures[row][column] = textLabel({}, "figure");
            m_figures[row][column]->setAccessibleName(rows[row] + u' ' + heads[column]);
            fidelity->addWidget(m_figures[row][column], row + 2, column + 1, Qt::AlignRight);
        }
    }
    section(body, fidelity);
    contentLayout->addWidget(m_body);
    contentLayout->addStretch(1);
    scroll->setWidget(content);
    outer->addWidget(scroll, 1);

    auto* foot = new QWidget;
    foot->setProperty("pane", "dock");
    auto* footLayout = new QVBoxLayout(foot);
    dresser::setMargins(footLayout, 16, 10, 16, 14, 8);
    m_making = textLabel({}, "label", QStringLiteral("comparisonMaking"));
    m_making->setWordWrap(true);
    m_twin = new QPushButton(tr("Make the dense twin"));
    m_twin->setObjectName(QStringLiteral("makeDenseTwin"));
    m_twin->setProperty("kind", "primarySmall");
    m_twin->setToolTip(tr("The same clip with dense attention: same prompt, seed, size, length and steps"));
    m_measure = new QPushButton(tr("Measure the noise floor"));
    m_measure->setObjectName(QStringLiteral("measureFloor"));
    m_measure->setToolTip(tr("Makes the dense clip once more in the other number format. How far the two lie "
                             "apart is what rounding alone does; smaller differences mean nothing."));
    m_keep = new QPushButton(tr("Keep B"));
    m_keep->setObjectName(QStringLiteral("keepB"));
    m_keep->setToolTip(tr("Gives B its star in the library"));
    for (auto* button : {m_twin, m_measure, m_keep})
        button->setAccessibleName(button->text());
    connect(m_twin, &QPushButton::clicked, this, &ComparisonPanel::twinRequested);
    connect(m_measure, &QPushButton::clicked, this, &ComparisonPanel::floorRequested);
    connect(m_keep, &QPushButton::clicked, this, &ComparisonPanel::keepRequested);
    auto* pair = new QHBoxLayout;
    dresser::setMargins(pair, 0, 0, 0, 0, 8);
    pair->addWidget(m_keep, 1);
    pair->addWidget(m_measure, 2);
    footLayout->addWidget(m_making);
    footLayout->addWidget(m_twin);
    footLayout->addLayout(pair);
    outer->addWidget(foot);
}

void ComparisonPanel::setResult(const ComparisonResult& result) {
    m_result = result;
    m_waiting->setText(result.waiting);
    m_waiting->setVisible(!result.waiting.isEmpty());
    m_body->setVisible(result.waiting.isEmpty());
    showTimes();
    showLikeness();
    showSettings();
    showFigures();
    showButtons();
}

void ComparisonPanel::setFrame(int frame) {
    m_result.frame = frame;
    showFigures();
}

void ComparisonPanel::showTimes() {
    const auto& r = m_result;
    const bool both = r.secondsA > 0 && r.secondsB > 0;
    const double factor = both ? r.secondsA / r.secondsB : 0;
    m_factor->setText(both ? tr("%1×").arg(number(factor, 2)) : QString());
    m_factor->setVisible(both);
    m_factorWords->setText(!both             ? tr("One of the clips does not say how long it took.")
                           : factor >= 1.005 ? tr("faster")
                           : factor <= 0.995 ? tr("as fast: B is slower")
                                             : tr("equally fast"));
    m_bars->setTimes(r.secondsA, r.secondsB, r.predictedB);
    m_bars->setVisible(r.secondsA > 0 || r.secondsB > 0);
    const bool promised = r.predictedB && r.secondsB > 0;
    const bool kept = promised && r.secondsB >= r.predictedB->low && r.secondsB <= r.predictedB->high;
    m_promise->setText(!promised ? QString() : kept ? tr("✓ as predicted") : tr("not as predicted"));
    m_promise->setProperty("look", promised && !kept ? "warning" : "label");
    m_promise->style()->unpolish(m_promise);
    m_promise->style()->polish(m_promise);
    QString words = tr("Measured while each was made: the whole job with decoding.");
    if (r.predictedB)
        words = tr("B predicted %1–%2 from measurements of this machine. ")
                    .arg(number(r.predictedB->low, 1), secondsText(r.predictedB->high)) +
                words;
    m_timeWords->setText(words);
}

void ComparisonPanel::showLikeness() {
    const auto& r = m_result;
    const auto* f = r.figures.get();
    if (!f) {
        m_same->setText(r.figuresWords);
    } else {
        const auto words = similarityWords(similarityOf(f->psnr, f->ssim, f->identical));
        m_same->setText(QString::fromUtf8(words.data(), qsizetype(words.size())));
    }
    m_largest->setVisible(f && !f->identical);
    if (f && !f->identical) {
        m_largest->setText(tr("largest change at frame %1").arg(f->psnrWorstFrame));
        m_largest->setAccessibleName(tr("Go to the largest change, frame %1").arg(f->psnrWorstFrame));
    }
    QString floor = r.floorWords;
    if (r.floor) {
        floor = r.floor->identical ? tr("identical: dense against dense is equal in every sample")
                                   : tr("%1 dB, dense against dense").arg(number(r.floor->psnr, 1));
        if (!r.floorWords.isEmpty())
            floor += tr(" (%1)").arg(r.floorWords);
        if (f && !f->identical && !r.floor->identical)
            floor += f->psnr >= r.floor->psnr ? tr(". B differs no more than rounding alone.")
                                              : tr(". B differs by more than rounding.");
    }
    m_floor->setText(floor);
}

void ComparisonPanel::showSettings() {
    while (auto* item = m_grid->takeAt(0)) {
        if (item->widget())
            item->widget()->deleteLater();
        delete item;
    }
    const auto& settings = m_result.settings;
    m_table->setVisible(settings && !settings->differences.empty());
    if (!settings) {
        m_equal->setText(tr("One of the files carries no settings."));
        return;
    }
    m_grid->setColumnStretch(0, 3);
    m_grid->setColumnStretch(1, 2);
    m_grid->setColumnStretch(2, 2);
    m_grid->addWidget(textLabel(QStringLiteral("A"), "strongLabel"), 0, 1);
    m_grid->addWidget(textLabel(QStringLiteral("B"), "strongLabel"), 0, 2);
    int row = 1;
    QStringList spoken;
    for (const auto& difference : settings->differences) {
        const auto text = [](const std::string& s) { return QString::fromStdString(s); };
        auto* name = textLabel(text(difference.label), "label");
        name->setWordWrap(true);
        m_grid->addWidget(name, row, 0);
        int column = 1;
        for (const auto& value : {difference.a, difference.b}) {
            auto* label = textLabel(text(value), value == "none" ? "hint" : "figure");
            label->setTextFormat(Qt::PlainText);
            label->setWordWrap(true);
            m_grid->addWidget(label, row, column++);
        }
        spoken << tr("%1: A %2, B %3").arg(text(difference.label), text(difference.a), text(difference.b));
        ++row;
    }
    m_table->setAccessibleName(spoken.join(QStringLiteral("; ")));
    QStringList equal;
    for (const auto& label : settings->equal)
        equal << QString::fromStdString(label).toLower();
    m_equal->setText(settings->differences.empty() ? tr("Nothing: all settings are equal.")
                     : equal.isEmpty()             ? QString()
                                                   : tr("Equal: %1").arg(equal.join(QStringLiteral(", "))));
}

void ComparisonPanel::showFigures() {
    const auto* f = m_result.figures.get();
    const auto at = std::size_t(std::max(0, m_result.frame));
    const bool now = f && at < f->psnrFrames.size();
    m_planes->setText(f ? QString::fromStdString(f->planes) : QString());
    m_figures[0][0]->setText(now ? number(f->psnrFrames[at], 1) : QString());
    m_figures[1][0]->setText(now ? number(f->ssimFrames[at], 3) : QString());
    m_figures[0][1]->setText(f ? number(f->psnr, 1) : QString());
    m_figures[1][1]->setText(f ? number(f->ssim, 3) : QString());
    m_figures[0][2]->setText(f ? number(f->psnrWorst, 1) : QString());
    m_figures[1][2]->setText(f ? number(f->ssimWorst, 3) : QString());
    m_tableButton->setEnabled(f != nullptr);
    m_exportButton->setEnabled(f != nullptr);
}

void ComparisonPanel::showButtons() {
    const auto& r = m_result;
    m_making->setText(r.making);
    m_making->setVisible(!r.making.isEmpty());
    m_twin->setVisible(r.canMakeTwin);
    m_twin->setEnabled(!r.isMaking);
    m_measure->setVisible(r.canMeasureFloor);
    m_measure->setEnabled(!r.isMaking);
    m_keep->setVisible(r.canKeepB);
    m_keep->setText(r.keptB ? tr("Kept") : tr("Keep B"));
    m_keep->setEnabled(!r.keptB);
}

QWidget* ComparisonPanel::focusTarget() const {
    return m_twin->isVisible() ? static_cast<QWidget*>(m_twin) : m_tableButton;
}

} // namespace canopy::ui
