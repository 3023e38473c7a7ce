#include "ui/shell/ui_settings.h"

#include <algorithm>
#include <array>

#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/value_codec.h"

namespace canopy::ui {
namespace {

constexpr std::uint64_t kMaxBytes = 1u << 20;
constexpr std::array<std::string_view, 4> kThemeNames = {"system", "dark", "light", "high_contrast"};

QByteArray fromHex(const Value& value) {
    return QByteArray::fromHex(QByteArray::fromStdString(value.asString()));
}

} // namespace

UiSettings loadUiSettings(const std::filesystem::path& file, QString* note) {
    UiSettings s;
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored))
        return s;
    auto text = readTextFile(file, kMaxBytes);
    auto parsed = text ? parseJson(*text) : Result<Value>(text.error());
    if (!parsed || !parsed->isMap()) {
        const std::filesystem::path aside = file.string() + ".broken";
        std::filesystem::rename(file, aside, ignored);
        const std::string sentence =
            "The window's settings could not be read, so it starts with the defaults. The old file lies in " +
            aside.string();
        logWarning("ui", sentence);
        if (note)
            *note = QString::fromStdString(sentence);
        return s;
    }
    const Value& v = *parsed;
    const auto theme = std::find(kThemeNames.begin(), kThemeNames.end(), v["theme"].asString());
    if (theme != kThemeNames.end())
        s.theme = ThemeChoice(theme - kThemeNames.begin());
    s.scale = std::clamp(v["scale"].asDouble(1), 0.8, 3.0);
    s.clipFolder = QString::fromStdString(v["clip_folder"].asString());
    s.threads = int(std::clamp<std::int64_t>(v["threads"].asInt(), 0, 256));
    s.expert = v["expert"].asBool();
    s.loop = v["loop"].asBool(true);
    s.seedLocked = v["seed_locked"].asBool();
    for (const auto& prompt : v["prompts"].asArray())
        s.prompts << QString::fromStdString(prompt.asString());
    s.geometry = fromHex(v["geometry"]);
    s.docks = fromHex(v["docks"]);
    return s;
}

Result<void> saveUiSettings(const std::filesystem::path& file, const UiSettings& s) {
    Value v;
    v.set("version", 1);
    v.set("theme", kThemeNames[size_t(s.theme)]);
    v.set("scale", s.scale);
    v.set("clip_folder", s.clipFolder.toStdString());
    v.set("threads", s.threads);
    v.set("expert", s.expert);
    v.set("loop", s.loop);
    v.set("seed_locked", s.seedLocked);
    Value prompts(Value::Array{});
    for (const auto& prompt : s.prompts)
        prompts.push(prompt.toStdString());
    v.set("prompts", std::move(prompts));
    v.set("geometry", s.geometry.toHex().toStdString());
    v.set("docks", s.docks.toHex().toStdString());
    return writeFileAtomically(file, toJson(v, 2) + "\n");
}

} // namespace canopy::ui
