#include "ui/panels/keep_readout.h"

#include <algorithm>

#include <QLocale>

#include "core/job/ask_plan.h"
#include "ui/panels/ask_groups.h"

namespace canopy::ui {
QString KeepReadout::text() const {
    const QLocale locale;
    QString out = QCoreApplication::translate("canopy::ui::KeepReadout", "%1 of %2, KV %3")
                      .arg(locale.toString(qlonglong(videoTokens)),
                           locale.toString(qlonglong(unprunedTokens)), mebibytes(kvBytes));
    if (prefillFlop > 0)
        out += QStringLiteral(", ") + flopText(prefillFlop);
    if (predicted)
        out += QCoreApplication::translate("canopy::ui::KeepReadout", ", planned");
    return out;
}

KeepReadout readoutOf(const TokenScene& scene, const Answer& answer, const Qwen2Config* language) {
    KeepReadout out;
    out.videoTokens = scene.keep() >= 1 ? answer.unprunedTokens : scene.cut().modelTokens;
    out.unprunedTokens = answer.unprunedTokens;
    const std::int64_t text = std::max(0, answer.promptTokens - answer.videoTokens);
    const std::int64_t prompt = text + out.videoTokens;
    if (answer.promptTokens > 0)
        out.kvBytes = double(answer.kvBytes) / answer.promptTokens * double(prompt);
    if (language)
        out.prefillFlop = prefillFlop(*language, prompt);
    return out;
}

} // namespace canopy::ui
