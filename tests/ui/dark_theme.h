#pragma once

#include <memory>

#include "ui/theme/theme_manager.h"

namespace canopy::test {

/// The dark theme at scale 1, as applied; null where the theme's resources cannot be read.
inline std::unique_ptr<ui::ThemeManager> darkTheme() {
    auto tokens = ui::loadThemeResources();
    if (!tokens)
        return nullptr;
    auto themes = std::make_unique<ui::ThemeManager>(*tokens);
    themes->setChoice(ui::ThemeChoice::Dark);
    themes->setScale(1);
    themes->apply();
    return themes;
}

} // namespace canopy::test
