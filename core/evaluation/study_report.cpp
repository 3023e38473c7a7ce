#include "core/evaluation/study_report.h"

#include <algorithm>
#include <set>

#include "core/base/value_codec.h"
#include "core/evaluation/html_text.h"
#include "core/evaluation/study_plot.h"

namespace canopy::evaluation {
namespace {

std::string withBand(const std::optional<Interval>& v, const char* number, double scale = 1) {
    if (!v)
        return "-";
    const auto text = [&](double x) {
        std::string out = format("%.*f", number[0] - '0', x * scale);
        return number[1] == '+' && x > 0 ? "+" + out : out;
    };
    return text(v->mean) + " (" + text(v->low) + " to " + text(v->high) + ")";
}

std::string share(const std::optional<double>& v) {
    return v ? format("%.1f %%", *v * 100) : "-";
}

/// Of the reference's seconds.
std::optional<double> timeSaved(const StudyRow& r) {
    return r.speedUp && !r.isReference ? std::optional(1 - 1 / r.speedUp->mean) : std::nullopt;
}

/// TFLOP by the cost model, and how far they lie from what was counted.
std::string estimateText(const StudyRow& r) {
    if (!r.flopEstimate)
        return "-";
    std::string text = format("%.2f", *r.flopEstimate / 1e12);
    if (r.flop && *r.flop > 0)
        text += format(" (%+.1f %%)", (*r.flopEstimate / *r.flop - 1) * 100);
    return text;
}

std::string blockText(const StudyRow& r) {
    std::string text;
    for (const double psnr : r.blockPsnr)
        text += format(text.empty() ? "%.1f" : " %.1f", psnr);
    return text.empty() ? "-" : text;
}

std::string matchedSentence(const MatchedFidelity& m) {
    std::string text =
        format("At equal fidelity, %.1f to %.1f dB, on %d clips: ", m.psnrLow, m.psnrHigh, m.clips) +
        m.family + format(" takes %.3f times the seconds", 1 / m.fasterBy);
    if (m.flopRatio)
        text += format(" and %.3f times the floating-point operations", 1 / *m.flopRatio);
    return text + " of " + m.other + ".";
}

struct Column {
    const char* name;
    std::string (*cell)(const StudyRow&);
};

constexpr Column kColumns[] = {
    {"Way", [](const StudyRow& r) { return r.arm; }},
    {"Clips", [](const StudyRow& r) { return std::to_string(r.clips); }},
    {"Seconds", [](const StudyRow& r) { return format("%.2f", r.denoiseSeconds); }},
    {"Speed-up",
     [](const StudyRow& r) { return r.isReference ? std::string("1") : withBand(r.speedUp, "2"); }},
    {"Density", [](const StudyRow& r) { return share(r.density); }},
    {"Reused", [](const StudyRow& r) { return share(r.reusedShare); }},
    {"Choosing", [](const StudyRow& r) { return share(r.estimateShare); }},
    {"PSNR dB", [](const StudyRow& r) { return withBand(r.psnr, "2"); }},
    {"Worst dB", [](const StudyRow& r) { return r.worstPsnr ? format("%.2f", *r.worstPsnr) : "-"; }},
    {"SSIM", [](const StudyRow& r) { return withBand(r.ssim, "4"); }},
    {"Steps reused", [](const StudyRow& r) { return share(r.hitRate); }},
    {"TFLOP", [](const StudyRow& r) { return r.flop ? format("%.2f", *r.flop / 1e12) : std::string("-"); }},
    {"Model of it", [](const StudyRow& r) { return estimateText(r); }},
    {"TFLOP saved", [](const StudyRow& r) { return r.isReference ? std::string("-") : share(r.flopSaved); }},
    {"Time saved", [](const StudyRow& r) { return share(timeSaved(r)); }},
    {"dB by block", [](const StudyRow& r) { return blockText(r); }},
    {"Prompt followed %", [](const StudyRow& r) { return withBand(r.followed, "1", 100); }},
};

constexpr Column kPairColumns[] = {
    {"Way", [](const StudyRow& r) { return r.arm; }},
    {"Against", [](const StudyRow& r) { return r.against; }},
    {"Faster by", [](const StudyRow& r) { return withBand(r.timeGain, "3"); }},
    {"PSNR dB", [](const StudyRow& r) { return withBand(r.psnrGain, "2+"); }},
    {"SSIM", [](const StudyRow& r) { return withBand(r.ssimGain, "4+"); }},
    {"Prompt followed, points", [](const StudyRow& r) { return withBand(r.followedGain, "1+", 100); }},
};

std::string headSentence(const StudyHead& h) {
    return h.modelLabel + " (" + h.modelId + "), " + std::to_string(h.prompts) + " prompts, " +
           std::to_string(h.seeds) + (h.seeds == 1 ? " seed" : " seeds") + ", every clip " +
           (h.repeats == 1 ? std::string("once") : std::to_string(h.repeats) + " times") + "; " +
           std::to_string(h.width) + "x" + std::to_string(h.height) + ", " + std::to_string(h.frames) +
           " frames, " + std::to_string(h.steps) + " steps; " + h.machine + "; Canopy " + h.programVersion +
           ".";
}

std::string followSentence(const StudyHead& h) {
    if (h.qaLabel.empty())
        return "Nobody asked about the clips.";
    std::string text = "Prompt followed: share of questions about the prompt that " + h.qaLabel +
                       " answers rightly on the clip";
    if (h.drawn.asked > 0)
        text += format("; on really drawn clips it answers %d of %d (%.1f %%)", h.drawn.right, h.drawn.asked,
                       100.0 * h.drawn.right / h.drawn.asked);
    else
        text += "; really drawn clips were not asked about";
    return text + ".";
}

const StudyRow* floorOf(const std::vector<StudyRow>& table) {
    const auto it = std::find_if(table.begin(), table.end(), [](const StudyRow& r) { return r.isFloor; });
    return it == table.end() ? nullptr : &*it;
}

template <std::size_t N>
std::string htmlTable(const Column (&columns)[N], const std::vector<const StudyRow*>& rows) {
    std::vector<const Column*> shown; // that say anything here
    for (const Column& c : columns)
        if (std::any_of(rows.begin(), rows.end(), [&](const StudyRow* row) { return c.cell(*row) != "-"; }))
            shown.push_back(&c);
    std::string out = "<table><tr>";
    for (const Column* c : shown)
        out += "<th>" + escaped(c->name) + "</th>";
    out += "</tr>\n";
    for (const StudyRow* row : rows) {
        out += row->isFloor ? "<tr class=\"floor\">" : "<tr>";
        for (const Column* c : shown)
            out += "<td>" + escaped(c->cell(*row)) + "</td>";
        out += "</tr>\n";
    }
    return out + "</table>\n";
}

/// Arms that have both figures.
Plot plotOf(const std::vector<StudyRow>& table, const char* title, const char* xLabel, const char* yLabel,
            std::optional<Interval> (*x)(const StudyRow&), std::optional<Interval> (*y)(const StudyRow&)) {
    Plot plot{title, xLabel, yLabel, {}, std::nullopt};
    for (const StudyRow& row : table) {
        const auto at = x(row), height = y(row);
        if (at && height)
            plot.points.push_back({row.arm, *at, *height, row.isFloor});
        if (row.isFloor && height)
            plot.floor = height->mean;
    }
    return plot;
}

std::optional<Interval> densityOf(const StudyRow& r) {
    if (!r.density)
        return std::nullopt;
    return Interval{*r.density, *r.density, *r.density, r.clips};
}
std::optional<Interval> speedUpOf(const StudyRow& r) {
    return r.isReference ? std::optional(Interval{1, 1, 1, r.clips}) : r.speedUp;
}
std::optional<Interval> psnrOf(const StudyRow& r) {
    return r.psnr;
}
std::optional<Interval> ssimOf(const StudyRow& r) {
    return r.ssim;
}
std::optional<Interval> followedOf(const StudyRow& r) {
    return r.followed;
}

std::string csvText(const std::string& text) {
    std::string out = "\"";
    for (const char c : text)
        out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + '"';
}
std::string csvNumber(const std::optional<double>& v) {
    return v ? format("%.9g", *v) : "";
}
std::string csvInterval(const std::optional<Interval>& v) {
    return v ? format("%.9g,%.9g,%.9g", v->mean, v->low, v->high) : ",,";
}

/// One column: figures with blanks between.
std::string blockList(const std::vector<double>& psnr) {
    std::string text;
    for (const double v : psnr)
        text += format(text.empty() ? "%.4g" : " %.4g", v);
    return text;
}

} // namespace

std::string studyClipsCsv(const StudyGrid& grid, const std::vector<StudyResult>& results) {
    std::set<std::string> figures;
    for (const StudyResult& r : results)
        for (const auto& [key, value] : r.summary.asMap())
            figures.insert(key);
    std::string out = "arm,prompt,seed,repeat,denoise_seconds,decode_seconds,density,reused_share,"
                      "estimate_seconds,attention_seconds,psnr,ssim,worst_psnr,hit_rate,flop,flop_estimate,"
                      "right,asked,block_psnr";
    for (const std::string& key : figures)
        out += "," + csvText("summary." + key);
    out += '\n';
    for (const StudyResult& r : results) {
        out += csvText(grid.arms[r.arm].name) + "," + csvText(grid.prompts[r.prompt].prompt) + "," +
               std::to_string(grid.seeds[r.seed]) + "," + std::to_string(r.repeat);
        for (const std::optional<double>& v :
             {std::optional(r.denoiseSeconds), std::optional(r.decodeSeconds), r.density, r.reusedShare,
              r.estimateSeconds, r.attentionSeconds, r.psnr, r.ssim, r.worstPsnr, r.hitRate, r.flop,
              r.flopEstimate})
            out += "," + csvNumber(v);
        out += r.followed ? format(",%d,%d", r.followed->right, r.followed->asked) : ",,";
        out += "," + blockList(r.blockPsnr);
        for (const std::string& key : figures)
            out += "," + csvNumber(r.summary[key].isNumber() ? std::optional(r.summary[key].asDouble())
                                                             : std::nullopt);
        out += '\n';
    }
    return out;
}

std::string studyTableCsv(const std::vector<StudyRow>& table) {
    std::string out =
        "arm,against,clips,denoise_seconds,density,reused_share,estimate_share,worst_psnr,hit_rate,flop,"
        "flop_estimate,flop_saved,right,asked,block_psnr";
    for (const char* name :
         {"speed_up", "psnr", "ssim", "followed", "time_gain", "psnr_gain", "ssim_gain", "followed_gain"})
        out += format(",%s,%s_low,%s_high", name, name, name);
    out += '\n';
    for (const StudyRow& r : table) {
        out += csvText(r.arm) + "," + csvText(r.against) + "," + std::to_string(r.clips);
        for (const std::optional<double>& v :
             {std::optional(r.denoiseSeconds), r.density, r.reusedShare, r.estimateShare, r.worstPsnr,
              r.hitRate, r.flop, r.flopEstimate, r.flopSaved})
            out += "," + csvNumber(v);
        out += format(",%d,%d,", r.followedCount.right, r.followedCount.asked) + blockList(r.blockPsnr);
        for (const auto& v :
             {r.speedUp, r.psnr, r.ssim, r.followed, r.timeGain, r.psnrGain, r.ssimGain, r.followedGain})
            out += "," + csvInterval(v);
        out += '\n';
    }
    return out;
}

std::string studyHtml(const StudyHead& head, const std::vector<StudyRow>& table,
                      const std::vector<MatchedFidelity>& matched) {
    const std::string title = head.title.empty() ? "Ways of making clips, compared" : head.title;
    std::string out =
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>" + escaped(title) +
        "</title><style>body{font:15px/1.5 Inter,sans-serif;margin:2rem auto;max-width:84rem;padding:0 1rem}"
        "table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .6rem;border-bottom:1px solid "
        "#ccc;text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td:first-child,"
        "th:first-child{text-align:left}tr.floor{color:#666}svg{display:block;margin:1.5rem 0;"
        "font-family:inherit}</style>\n<h1>" +
        escaped(title) + "</h1><p>" + escaped(headSentence(head)) + "</p>\n<p>" +
        escaped(followSentence(head)) +
        " Fidelity is taken in RGB on lossless frames against the reference; grey rows are the reference by "
        "other arithmetic, the distance at which equal methods lie. Seconds are medians of the denoising "
        "loop. In brackets: 95 % intervals over prompts.</p>\n";
    std::vector<const StudyRow*> all, paired;
    for (const StudyRow& row : table) {
        all.push_back(&row);
        if (!row.against.empty())
            paired.push_back(&row);
    }
    out += htmlTable(kColumns, all);
    if (!paired.empty())
        out += "<h2>What one change does</h2><p>Paired on the same prompts and seeds.</p>" +
               htmlTable(kPairColumns, paired);
    for (const MatchedFidelity& m : matched)
        out += "<p>" + escaped(matchedSentence(m)) + "</p>\n";
    out += svgScatter(plotOf(table, "Fidelity against speed", "speed-up", "PSNR, dB", speedUpOf, psnrOf));
    out += svgScatter(plotOf(table, "Structure against density", "density", "SSIM", densityOf, ssimOf));
    out += svgScatter(plotOf(table, "Prompt following against speed", "speed-up", "share of right answers",
                             speedUpOf, followedOf));
    return out + "</html>\n";
}

std::string studyText(const StudyHead& head, const std::vector<StudyRow>& table,
                      const std::vector<MatchedFidelity>& matched) {
    std::string out = headSentence(head) + "\n" + followSentence(head) + "\n\n";
    for (const StudyRow& r : table)
        out += format("%-36s %8.2f s  speed-up %-22s PSNR %-24s followed %s\n", r.arm.c_str(),
                      r.denoiseSeconds, kColumns[3].cell(r).c_str(), withBand(r.psnr, "2").c_str(),
                      withBand(r.followed, "1", 100).c_str());
    for (const MatchedFidelity& m : matched)
        out += '\n' + matchedSentence(m) + '\n';
    if (const StudyRow* floor = floorOf(table); floor && floor->psnr)
        out += format("\nEqual methods lie %.2f dB apart.\n", floor->psnr->mean);
    return out;
}

} // namespace canopy::evaluation
