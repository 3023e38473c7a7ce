#pragma once

#include <array>
#include <map>
#include <string_view>

#include <QByteArray>
#include <QColor>
#include <QFont>
#include <QPalette>
#include <QString>

#include "core/base/result.h"
#include "ui/theme/map_tokens.h"

namespace canopy::ui {

/// Colour roles, in the order of kRoleNames. What each is for stands in resources/theme/tokens.json.
enum class Role {
    Window,
    Surround,
    Panel,
    Raised,
    Hover,
    Line,
    Outline,
    Text,
    Text2,
    Text3,
    Accent,
    OnAccent,
    AccentFill,
    Warning,
    Error,
    Selection,
    SelectionText,
    Playhead,
    Casing,
    Focus,
    FocusOnAccent,
    SeriesA,
    SeriesB,
    Computed,
    Reused,
    Forced,
    Compressed,
};
inline constexpr std::array<std::string_view, 27> kRoleNames = {
    "window",  "surround",  "panel",         "raised",   "hover",    "line",       "outline",
    "text",    "text2",     "text3",         "accent",   "onAccent", "accentFill", "warning",
    "error",   "selection", "selectionText", "playhead", "casing",   "focus",      "focusOnAccent",
    "seriesA", "seriesB",   "computed",      "reused",   "forced",   "compressed"};

enum class TextStyle { Caption, Label, Body, BodyStrong, Prompt, Question, Timecode, Readout, Hero };
inline constexpr std::array<std::string_view, 9> kTextStyleNames = {
    "caption", "label", "body", "bodyStrong", "prompt", "question", "timecode", "readout", "hero"};

enum class Palette { Dark, Light, HighContrastDark, HighContrastLight };
inline constexpr std::array<std::string_view, 4> kPaletteNames = {"dark", "light", "highContrastDark",
                                                                  "highContrastLight"};

/// Every value of tokens.json that the widgets use, at scale 1.
struct Tokens {
    struct Type {
        int size = 0;
        int lineHeight = 0;
        int weight = 0;
    };
    std::array<std::array<QColor, kRoleNames.size()>, kPaletteNames.size()> colours;
    std::array<Type, kTextStyleNames.size()> type;
    QString family;
    QString numbers;
    MapTokens maps;
    std::map<QString, double> metrics; ///< "spacing.m", "radius.button", "size.field", "layout.create.left"
    double minimumText = 0;            ///< contrast a text colour must reach
    double minimumMarks = 0;
};

/// Strict: a missing role or a malformed colour is an error that names it.
Result<Tokens> tokensFromJson(const QByteArray& json);

/// Relative contrast of two opaque colours by WCAG 2.
double contrast(const QColor& a, const QColor& b);

/// One palette at one scale: what painting and style sheets ask. A value; copy it freely.
class Theme {
public:
    Theme() = default;
    Theme(const Tokens& tokens, Palette palette, double scale);

    Palette palette() const { return m_palette; }
    bool isDark() const { return m_palette == Palette::Dark || m_palette == Palette::HighContrastDark; }
    bool isHighContrast() const { return m_palette >= Palette::HighContrastDark; }
    double scale() const { return m_scale; }

    QColor colour(Role role) const { return m_tokens.colours[size_t(m_palette)][size_t(role)]; }
    const MapTokens& maps() const { return m_tokens.maps; }
    /// Logical pixels of a length given at scale 1; at least 1 for a positive length.
    int px(double length) const;
    /// A metric of tokens.json in scaled pixels; asserts that it exists.
    int metric(const QString& name) const;
    QFont font(TextStyle style) const;
    QFont monoFont(TextStyle style) const; ///< for every figure that changes

    QPalette qtPalette() const;
    /// Replaces `$(name)` in a style sheet: a colour role gives its colour, a number or a metric scaled
    /// pixels, `type.NAME` a font size, `family` and `numbers` the fonts. An unknown name is an error.
    Result<QString> expand(const QString& styleTemplate) const;

private:
    Tokens m_tokens;
    Palette m_palette = Palette::Dark;
    double m_scale = 1;
};

} // namespace canopy::ui
