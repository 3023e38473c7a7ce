#include "app/cli/attention_options.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <vector>

#include "core/job/paper_preset.h"

namespace canopy::cli {
namespace {

using Method = AttentionMethod;

/// "off", "tmr", "freeze" or "every:N".
void parseReuse(const std::string& text, AttentionSettings& s) {
    constexpr std::string_view kEvery = "every:";
    if (text.starts_with(kEvery)) {
        const std::string count = text.substr(kEvery.size());
        int interval = 0;
        if (!CLI::detail::lexical_cast(count, interval) || interval < 1)
            throw CLI::ValidationError("--reuse", "'" + text + "' is not every:N with N of 1 or more");
        s.reuse = MaskReuse::Every;
        s.refreshInterval = interval;
        return;
    }
    const auto known = maskReuseFromName(text);
    if (!known || *known == MaskReuse::Every)
        throw CLI::ValidationError("--reuse", "'" + text + "' is not one of off, tmr, freeze, every:N");
    s.reuse = *known;
}

/// Refuses options that the other choices make meaningless, rather than ignoring them.
class Companions {
public:
    explicit Companions(const AttentionSettings& settings)
        : m_settings(settings) {}

    CLI::Option* only(CLI::Option* option, std::initializer_list<Method> methods) {
        m_methods.push_back({option, methods});
        return option;
    }
    CLI::Option* onlyTmr(CLI::Option* option) {
        m_tmr.push_back(option);
        return option;
    }
    void check() const {
        for (const auto& [option, methods] : m_methods) {
            if (option->count() == 0 ||
                std::find(methods.begin(), methods.end(), m_settings.method) != methods.end())
                continue;
            std::string names;
            for (const Method method : methods)
                names += (names.empty() ? "" : " or ") + std::string(attentionMethodName(method));
            throw CLI::ValidationError(option->get_name(), "needs --attention " + names);
        }
        for (const CLI::Option* option : m_tmr)
            if (option->count() > 0 && m_settings.reuse != MaskReuse::Tmr)
                throw CLI::ValidationError(option->get_name(), "needs --reuse tmr");
    }

private:
    struct Needs {
        CLI::Option* option;
        std::vector<Method> methods;
    };
    const AttentionSettings& m_settings;
    std::vector<Needs> m_methods;
    std::vector<CLI::Option*> m_tmr;
};

} // namespace

std::function<void()> addAttention(CLI::App& c, AttentionSettings& s, ThresholdsOption& thresholds) {
    const auto companions = std::make_shared<Companions>(s);
    c.add_option_function<std::string>(
         "--attention", [&s](const std::string& name) { s.method = *attentionMethodFromName(name); },
         "How video tokens attend to each other. Default: dense, all to all.")
        ->check(CLI::IsMember({"dense", "xattention", "svg2", "window", "topk"}))
        ->type_name("dense|xattention|svg2|window|topk");
    CLI::Option* preset =
        c.add_option_function<std::string>(
             "--preset",
             [&s](const std::string& name) { s = paperSettings(*paperVersionFromName(name), s.method); },
             "Start from the settings of " + std::string(paperVersionLabel(PaperVersion::V1)) + ", or " +
                 std::string(paperVersionLabel(PaperVersion::V2)) +
                 ", with temporal mask reuse; other options change them.")
            ->check(CLI::IsMember({"v1", "v2"}))
            ->type_name("v1|v2");
    companions->only(preset, {Method::XAttention, Method::Svg2});
    CLI::Option* tau = companions->only(
        c.add_option("--tau", s.tau, "Share of the estimated attention that is kept; 1 keeps all.")
            ->type_name("X"),
        {Method::XAttention, Method::Svg2});
    companions->only(c.add_option("--thresholds", thresholds.file,
                                  "A threshold for every head: a file that 'calibrate' wrote for this model, "
                                  "host and size. Its stride or clusters are taken over.")
                         ->excludes(tau)
                         ->type_name("F.json"),
                     {Method::XAttention, Method::Svg2});
    companions->only(
        c.add_option("--stride", s.stride, "Of the estimate: 8 is finer, 16 faster. Default: 16.")
            ->check(CLI::IsMember({8, 16}))
            ->type_name("S"),
        {Method::XAttention, Method::TopK});
    companions->only(c.add_option_function<std::vector<int>>(
                          "--clusters",
                          [&s](const std::vector<int>& counts) {
                              if (counts.size() != 2 || counts[0] < 1 || counts[1] < 1)
                                  throw CLI::ValidationError(
                                      "--clusters", "expects two numbers of 1 or more, as in 100,500");
                              s.queryClusters = counts[0];
                              s.keyClusters = counts[1];
                          },
                          "Clusters of queries and of keys. Default: by the clip's size.")
                         ->delimiter(',')
                         ->type_name("Q,K"),
                     {Method::Svg2});
    companions->only(c.add_option("--min-clusters", s.minimumShare,
                                  "Share of the key clusters that is kept in any case. Default: 0.1.")
                         ->type_name("R"),
                     {Method::Svg2});
    companions->only(
        c.add_option("--keep-blocks", s.keep, "Share of the key blocks that is kept. Default: 0.3.")
            ->type_name("R"),
        {Method::TopK});
    companions->only(
        c.add_option("--window-frames", s.windowFrames, "Latent frames seen to either side. Default: 4.")
            ->type_name("N"),
        {Method::Window});
    const std::initializer_list<Method> hosts = {Method::XAttention, Method::Svg2, Method::TopK};
    companions->only(
        c.add_option_function<std::string>(
             "--reuse", [&s](const std::string& text) { parseReuse(text, s); },
             "When a choice of keys serves later steps: never, while the head has drifted little "
             "(tmr), always (freeze), or for N steps.")
            ->type_name("off|tmr|freeze|every:N"),
        hosts);
    companions->onlyTmr(
        c.add_option("--delta", s.delta, "Drift above which a head chooses anew. Default: 30, svg2 8.")
            ->check(CLI::NonNegativeNumber)
            ->type_name("D"));
    companions->onlyTmr(
        c.add_option_function<std::vector<double>>(
             "--gate",
             [&s](const std::vector<double>& bounds) {
                 if (bounds.size() != 2)
                     throw CLI::ValidationError("--gate", "expects two shares, as in 0.4,0.8");
                 s.gateLow = bounds[0];
                 s.gateHigh = bounds[1];
             },
             "Shares of drifted heads: below the first a layer reuses all, above the second none.")
            ->delimiter(',')
            ->type_name("LO,HI"));
    companions->onlyTmr(
        c.add_option("--max-age", s.maxAge, "Most steps a choice is reused for. Default: any.")
            ->check(CLI::PositiveNumber)
            ->type_name("N"));
    companions->onlyTmr(
        c.add_flag("--hard-cap", s.hardCap, "Twice the drift chooses anew whatever the gate."));
    companions->only(c.add_option("--warmup", s.warmup, "First steps that stay dense. Default: one in ten.")
                         ->check(CLI::NonNegativeNumber)
                         ->type_name("N"),
                     hosts);
    return [companions, &c, &thresholds] {
        const auto isGiven = [&c](const char* name) { return c.get_option(name)->count() > 0; };
        thresholds.hasStride = isGiven("--stride");
        thresholds.hasClusters = isGiven("--clusters");
        thresholds.hasMinimumShare = isGiven("--min-clusters");
        companions->check();
    };
}

} // namespace canopy::cli
