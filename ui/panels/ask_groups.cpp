#include "ui/panels/ask_groups.h"

#include <algorithm>
#include <cmath>

#include <QCoreApplication>
#include <QLocale>
#include <QRegularExpression>

namespace canopy::ui {
namespace {

QString trText(const char* text) {
    return QCoreApplication::translate("canopy::ui::AskGroups", text);
}

QString plainWords(const AskView& view) {
    QString text = QString::fromStdString(view.answer ? view.answer->text : view.text).simplified().toLower();
    while (text.endsWith(u'.'))
        text.chop(1);
    return text;
}

bool unpruned(const AskRequest& request) {
    return request.tokens.mode == TokenMode::All;
}

} // namespace

const AskView* AskGroup::find(JobId id) const {
    const auto found = std::find_if(asks.begin(), asks.end(), [id](const AskView& a) { return a.id == id; });
    return found == asks.end() ? nullptr : &*found;
}

const AskView* AskGroup::unprunedFor(const AskView& like) const {
    for (auto it = asks.rbegin(); it != asks.rend(); ++it)
        if (it->answer && unpruned(it->request) &&
            (!like.answer || it->answer->frames == like.answer->frames))
            return &*it;
    return nullptr;
}

const AskView* AskGroup::findRun(TokenMode mode, double keep) const {
    for (auto it = asks.rbegin(); it != asks.rend(); ++it)
        if (it->request.tokens.mode == mode &&
            (mode == TokenMode::All || std::abs(it->request.tokens.keep - keep) < 1e-9))
            return &*it;
    return nullptr;
}

std::vector<AskGroup> groupAsks(const std::vector<AskView>& asks, const std::string& videoPath) {
    std::vector<AskGroup> groups;
    for (const auto& ask : asks) {
        const auto& r = ask.request;
        if (r.videoPath != videoPath)
            continue;
        auto group = std::find_if(groups.begin(), groups.end(), [&](const AskGroup& g) {
            return g.question == r.question && g.options == r.options && g.modelId == r.modelId;
        });
        if (group == groups.end())
            group = groups.insert(groups.end(), {r.question, r.options, r.modelId, {}});
        group->asks.push_back(ask);
    }
    for (auto& group : groups)
        std::stable_sort(group.asks.begin(), group.asks.end(),
                         [](const AskView& a, const AskView& b) { return a.id < b.id; });
    std::stable_sort(groups.begin(), groups.end(), [](const AskGroup& a, const AskGroup& b) {
        return a.asks.front().id < b.asks.front().id;
    });
    return groups;
}

Agreement agreementOf(const AskView& a, const AskView& b) {
    if (!a.answer || !b.answer)
        return Agreement::NotKnown;
    return plainWords(a) == plainWords(b) ? Agreement::Same : Agreement::Differs;
}

QString percentText(double share) {
    const double percent = share * 100;
    const bool whole = std::abs(percent - std::round(percent)) < 0.05;
    return QStringLiteral("%1 %").arg(QLocale().toString(percent, 'f', whole ? 0 : 1));
}

QString settingsWords(const TokenSettings& settings) {
    if (settings.mode == TokenMode::All)
        return trText("nothing pruned");
    return trText("%1 kept, %2").arg(percentText(settings.keep), modeLabel(settings.mode));
}

QString modeLabel(TokenMode mode) {
    const auto label = tokenModeInfo(mode).label;
    return QString::fromUtf8(label.data(), qsizetype(label.size()));
}

QString timeText(double seconds) {
    const auto hundredths = qint64(std::floor(std::max(0.0, seconds) * 100 + 1e-6));
    return QStringLiteral("%1:%2.%3")
        .arg(hundredths / 6000)
        .arg(hundredths / 100 % 60, 2, 10, QLatin1Char('0'))
        .arg(hundredths % 100, 2, 10, QLatin1Char('0'));
}

QString mebibytes(double bytes) {
    const double mib = bytes / (1 << 20);
    return QStringLiteral("%1 MiB").arg(QLocale().toString(mib, 'f', mib < 10 ? 2 : mib < 100 ? 1 : 0));
}

QString flopText(double flop) {
    const bool tera = flop >= 1e12;
    const double value = flop / (tera ? 1e12 : 1e9);
    return QStringLiteral("%1 %2").arg(QLocale().toString(value, 'f', value < 100 ? 1 : 0),
                                       tera ? QStringLiteral("TFLOP") : QStringLiteral("GFLOP"));
}

std::vector<double> fullestTimes(const TokenRun& run) {
    constexpr std::size_t kMost = 3;
    constexpr double kClearly = 1.2; ///< times the average frame
    if (run.frames < 2 || run.settings.mode == TokenMode::All || run.keptCells == 0)
        return {};
    std::vector<std::pair<int, int>> counts; // (-kept, frame)
    const auto perFrame = std::size_t(run.rows * run.columns);
    for (std::size_t f = 0; f < std::size_t(run.frames); ++f) {
        const auto first = run.kept.begin() + std::ptrdiff_t(f * perFrame);
        counts.emplace_back(-int(std::count_if(first, first + std::ptrdiff_t(perFrame),
                                               [](std::uint8_t k) { return k != 0; })),
                            int(f));
    }
    std::sort(counts.begin(), counts.end());
    const double average = double(run.keptCells) / run.frames;
    std::vector<double> times;
    for (const auto& [negative, frame] : counts)
        if (times.size() < kMost && -negative >= kClearly * average)
            times.push_back(run.frameSeconds[std::size_t(frame)]);
    std::sort(times.begin(), times.end());
    return times;
}

std::vector<double> namedTimes(const QString& answer, double videoSeconds) {
    static const QRegularExpression clock(QStringLiteral("\\b(\\d{1,3}):(\\d{2}(?:\\.\\d+)?)\\b"));
    static const QRegularExpression plain(QStringLiteral("\\b(\\d+(?:\\.\\d+)?)\\s?(?:s|sec|seconds?)\\b"));
    std::vector<double> times;
    const auto take = [&](double seconds) {
        if (seconds >= 0 && seconds <= videoSeconds)
            times.push_back(seconds);
    };
    for (auto it = clock.globalMatch(answer); it.hasNext();) {
        const auto match = it.next();
        take(match.captured(1).toDouble() * 60 + match.captured(2).toDouble());
    }
    for (auto it = plain.globalMatch(answer); it.hasNext();)
        take(it.next().captured(1).toDouble());
    std::sort(times.begin(), times.end());
    times.erase(std::unique(times.begin(), times.end()), times.end());
    return times;
}

} // namespace canopy::ui
