#include "ui/theme/theme.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include <QRegularExpression>

#include "core/base/value_codec.h"

namespace canopy::ui {
namespace {

QString qstring(std::string_view text) {
    return QString::fromUtf8(text.data(), qsizetype(text.size()));
}

Error malformed(const std::string& what) {
    return makeError(ErrorCode::Malformed, "The theme file " + what + ". Reinstall Canopy.");
}

void collectMetrics(const Value& value, const QString& prefix, std::map<QString, double>& out) {
    if (value.isNumber())
        out[prefix] = value.asDouble();
    for (const auto& [key, child] : value.asMap())
        collectMetrics(child, prefix + u'.' + QString::fromStdString(key), out);
}

double channel(double v) {
    return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
}

double luminance(const QColor& c) {
    return 0.2126 * channel(c.redF()) + 0.7152 * channel(c.greenF()) + 0.0722 * channel(c.blueF());
}

} // namespace

Result<Tokens> tokensFromJson(const QByteArray& json) {
    auto parsed = parseJson(std::string_view(json.constData(), size_t(json.size())));
    if (!parsed)
        return malformed("is no valid JSON: " + parsed.error().message);
    const Value& root = *parsed;
    Tokens tokens;
    for (size_t p = 0; p < kPaletteNames.size(); ++p) {
        const Value& palette = root["themes"][kPaletteNames[p]];
        for (size_t r = 0; r < kRoleNames.size(); ++r) {
            const QColor colour(QString::fromStdString(palette[kRoleNames[r]].asString()));
            if (!colour.isValid())
                return malformed("has no valid colour '" + std::string(kRoleNames[r]) + "' in '" +
                                 std::string(kPaletteNames[p]) + "'");
            tokens.colours[p][r] = colour;
        }
    }
    for (size_t s = 0; s < kTextStyleNames.size(); ++s) {
        const auto& entry = root["type"]["scale"][kTextStyleNames[s]].asArray();
        if (entry.size() != 3)
            return malformed("has no text style '" + std::string(kTextStyleNames[s]) + "'");
        tokens.type[s] = {int(entry[0].asInt()), int(entry[1].asInt()), int(entry[2].asInt())};
    }
    auto maps = mapTokensFromValue(root);
    if (!maps)
        return maps.error();
    tokens.maps = std::move(*maps);
    tokens.family = QString::fromStdString(root["type"]["family"].asString());
    tokens.numbers = QString::fromStdString(root["type"]["numbers"].asString());
    for (const char* group : {"spacing", "radius", "border", "size", "layout"})
        collectMetrics(root[group], QString::fromLatin1(group), tokens.metrics);
    tokens.minimumText = root["minimum"]["text"].asDouble();
    tokens.minimumMarks = root["minimum"]["marks"].asDouble();
    if (tokens.family.isEmpty() || tokens.numbers.isEmpty() || tokens.minimumText <= 0)
        return malformed("names no fonts or no minimum contrast");
    return tokens;
}

double contrast(const QColor& a, const QColor& b) {
    const double la = luminance(a), lb = luminance(b);
    return (std::max(la, lb) + 0.05) / (std::min(la, lb) + 0.05);
}

Theme::Theme(const Tokens& tokens, Palette palette, double scale)
    : m_tokens(tokens)
    , m_palette(palette)
    , m_scale(scale) {}

int Theme::px(double length) const {
    const int scaled = int(std::lround(length * m_scale));
    return length > 0 ? std::max(1, scaled) : scaled;
}

int Theme::metric(const QString& name) const {
    const auto found = m_tokens.metrics.find(name);
    assert(found != m_tokens.metrics.end());
    // Hairlines stay one pixel at every scale.
    return name == QLatin1String("border.line") ? 1 : px(found->second);
}

QFont Theme::font(TextStyle style) const {
    const auto& type = m_tokens.type[size_t(style)];
    if (type.size <= 0) // no tokens yet: a widget that was not dressed
        return {};
    QFont font(m_tokens.family);
    font.setPixelSize(px(type.size));
    font.setWeight(QFont::Weight(type.weight));
    return font;
}

QFont Theme::monoFont(TextStyle style) const {
    QFont result = font(style);
    result.setFamilies({m_tokens.numbers});
    return result;
}

QPalette Theme::qtPalette() const {
    QPalette p;
    const auto set = [&](QPalette::ColorRole role, Role ours) { p.setColor(role, colour(ours)); };
    set(QPalette::Window, Role::Window);
    set(QPalette::WindowText, Role::Text);
    set(QPalette::Base, Role::Raised);
    set(QPalette::AlternateBase, Role::Panel);
    set(QPalette::ToolTipBase, Role::Raised);
    set(QPalette::ToolTipText, Role::Text);
    set(QPalette::PlaceholderText, Role::Text3);
    set(QPalette::Text, Role::Text);
    set(QPalette::Button, Role::Raised);
    set(QPalette::ButtonText, Role::Text);
    set(QPalette::BrightText, Role::Error);
    set(QPalette::Light, Role::Hover);
    set(QPalette::Midlight, Role::Hover);
    set(QPalette::Mid, Role::Line);
    set(QPalette::Dark, Role::Outline);
    set(QPalette::Shadow, Role::Surround);
    set(QPalette::Highlight, Role::Selection);
    set(QPalette::HighlightedText, Role::SelectionText);
    set(QPalette::Link, Role::Accent);
    set(QPalette::LinkVisited, Role::Accent);
    for (auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText})
        p.setColor(QPalette::Disabled, role, colour(Role::Text3));
    return p;
}

Result<QString> Theme::expand(const QString& styleTemplate) const {
    static const QRegularExpression pattern(QStringLiteral("\\$\\(([^)]*)\\)"));
    QString out;
    qsizetype last = 0;
    for (auto it = pattern.globalMatch(styleTemplate); it.hasNext();) {
        const auto match = it.next();
        out += QStringView(styleTemplate).mid(last, match.capturedStart() - last);
        last = match.capturedEnd();
        const QString name = match.captured(1);
        bool isNumber = false;
        const double number = name.toDouble(&isNumber);
        if (isNumber) {
            out += QString::number(px(number));
            continue;
        }
        if (name == QLatin1String("family") || name == QLatin1String("numbers")) {
            out += u'"' + (name == QLatin1String("family") ? m_tokens.family : m_tokens.numbers) + u'"';
            continue;
        }
        const auto role =
            std::find_if(kRoleNames.begin(), kRoleNames.end(), [&](auto r) { return name == qstring(r); });
        if (role != kRoleNames.end()) {
            out += colour(Role(role - kRoleNames.begin())).name();
            continue;
        }
        const auto style = std::find_if(kTextStyleNames.begin(), kTextStyleNames.end(),
                                        [&](auto s) { return name == QLatin1String("type.") + qstring(s); });
        if (style != kTextStyleNames.end()) {
            out += QString::number(px(m_tokens.type[size_t(style - kTextStyleNames.begin())].size));
            continue;
        }
        if (!m_tokens.metrics.contains(name))
            return malformed("has no '" + name.toStdString() + "', which the style sheet uses");
        out += QString::number(metric(name));
    }
    out += QStringView(styleTemplate).mid(last);
    return out;
}

} // namespace canopy::ui
