#include "core/evaluation/report.h"

#include <set>

#include "core/evaluation/html_text.h"

namespace canopy::evaluation {
namespace {

std::string percent(const std::optional<double>& share) {
    return share ? format("%.1f", *share * 100) : std::string("-");
}

std::string testText(const McNemar& t) {
    return format("%d/%d (%+.1f, p %.3g)", t.better, t.worse, t.z, t.p);
}

const std::vector<std::string> kColumns = {"Way",          "Kept %",        "Tokens",    "Right %",
                                           "Retained %",   "Same answer %", "KL (nats)", "Against unpruned",
                                           "First word s", "Choosing s",    "Prefill s", "KV MB"};

std::vector<std::string> cells(const TableRow& row) {
    const McNemar* full = row.retained && !row.tests.empty() ? &row.tests.front() : nullptr;
    return {std::string(tokenModeInfo(row.arm.tokens.mode).label),
            format("%.10g", row.arm.tokens.keep * 100),
            format("%.0f", row.videoTokens),
            format("%.1f", row.accuracy * 100),
            percent(row.retained),
            percent(row.agreement),
            row.divergence ? format("%.4f", *row.divergence) : "-",
            full ? testText(*full) : "-",
            format("%.3f", row.firstWordSeconds),
            format("%.3f", row.selectSeconds),
            format("%.3f", row.prefillSeconds),
            format("%.2f", row.kvBytes / 1e6)};
}

std::string headSentence(const ReportHead& h) {
    return h.modelLabel + " (" + h.modelId + "), " + std::to_string(h.questions) + " questions on " +
           std::to_string(h.videos) + " videos, " + std::to_string(h.frames) + " frames each, " +
           h.precision + " on " + h.device + ", Canopy " + h.programVersion + ".";
}

Value valueOf(const TableRow& row) {
    Value v;
    v.set("arm", row.arm.name()).set("tokens", toValue(row.arm.tokens));
    v.set("questions", row.questions).set("right", row.right).set("accuracy", row.accuracy);
    if (row.retained)
        v.set("retained", *row.retained);
    if (row.agreement)
        v.set("agreement", *row.agreement);
    if (row.divergence)
        v.set("kl_nats", *row.divergence);
    v.set("video_tokens", row.videoTokens).set("first_word_seconds", row.firstWordSeconds);
    v.set("select_seconds", row.selectSeconds).set("prefill_seconds", row.prefillSeconds);
    v.set("kv_bytes", row.kvBytes);
    Value tests{Value::Array{}};
    for (const McNemar& t : row.tests)
        tests.push(Value{}
                       .set("against", t.against)
                       .set("better", t.better)
                       .set("worse", t.worse)
                       .set("z", t.z)
                       .set("p", t.p));
    v.set("mcnemar", std::move(tests));
    Value kinds{Value::Map{}};
    for (const auto& [kind, accuracy] : row.accuracyByKind)
        kinds.set(kind, accuracy);
    v.set("accuracy_by_kind", std::move(kinds));
    return v;
}

std::set<std::string> kindsOf(const std::vector<TableRow>& table) {
    std::set<std::string> kinds;
    for (const TableRow& row : table)
        for (const auto& [kind, accuracy] : row.accuracyByKind)
            kinds.insert(kind);
    return kinds;
}

} // namespace

Value reportValue(const ReportHead& h, const std::vector<TableRow>& table,
                  const std::vector<std::vector<ArmAnswer>>& answers) {
    Value head;
    head.set("model", h.modelLabel).set("model_id", h.modelId);
    head.set("videos", static_cast<std::int64_t>(h.videos));
    head.set("questions", static_cast<std::int64_t>(h.questions)).set("frames", h.frames);
    head.set("precision", h.precision).set("device", h.device).set("canopy", h.programVersion);
    Value rows{Value::Array{}};
    Value given{Value::Map{}};
    for (std::size_t i = 0; i < table.size(); ++i) {
        rows.push(valueOf(table[i]));
        Value list{Value::Array{}};
        for (const ArmAnswer& answer : answers[i])
            list.push(toValue(answer));
        given.set(table[i].arm.name(), std::move(list));
    }
    Value v;
    v.set("version", 1).set("head", std::move(head)).set("table", std::move(rows));
    v.set("answers", std::move(given));
    return v;
}

std::string reportMarkdown(const ReportHead& head, const std::vector<TableRow>& table) {
    std::string out = headSentence(head) + "\n\n|";
    for (const auto& column : kColumns)
        out += ' ' + column + " |";
    out += "\n|" + std::string("---|---:|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|") + '\n';
    for (const TableRow& row : table) {
        out += '|';
        for (const auto& cell : cells(row))
            out += ' ' + cell + " |";
        out += '\n';
    }
    return out;
}

std::string reportHtml(const ReportHead& head, const std::vector<TableRow>& table) {
    std::string out =
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Token pruning, "
        "compared</title><style>body{font:15px/1.5 Inter,sans-serif;margin:2rem auto;max-width:80rem;"
        "padding:0 1rem}table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .6rem;"
        "border-bottom:1px solid #ccc;text-align:right;font-variant-numeric:tabular-nums}"
        "td:first-child,th:first-child{text-align:left}tr.control{color:#666}</style>\n<h1>Token pruning, "
        "compared</h1><p>" +
        escaped(headSentence(head)) +
        "</p>\n<p>Retained: share of the unpruned right answers. Same answer: equal to the unpruned answer "
        "word for word. KL: from the unpruned letter probabilities to these, over questions with options. "
        "Against unpruned: right here only / right there only, with McNemar's z and exact two-sided p. "
        "Times are medians; controls are grey.</p>\n<table><tr>";
    for (const auto& column : kColumns)
        out += "<th>" + column + "</th>";
    out += "</tr>\n";
    for (const TableRow& row : table) {
        const bool control = tokenModeInfo(row.arm.tokens.mode).kind == TokenModeKind::Control;
        out += control ? "<tr class=\"control\">" : "<tr>";
        for (const auto& cell : cells(row))
            out += "<td>" + escaped(cell) + "</td>";
        out += "</tr>\n";
    }
    out += "</table>\n<h2>Against the controls</h2><table><tr><th>Way</th><th>Control</th><th>better / worse "
           "(z, p)</th></tr>\n";
    for (const TableRow& row : table) {
        if (tokenModeInfo(row.arm.tokens.mode).kind == TokenModeKind::Control)
            continue;
        for (const McNemar& test : row.tests)
            if (!row.retained || &test != &row.tests.front())
                out += "<tr><td>" + escaped(row.arm.name()) + "</td><td>" + escaped(test.against) +
                       "</td><td>" + escaped(testText(test)) + "</td></tr>\n";
    }
    out += "</table>\n<h2>Right answers by kind, %</h2><table><tr><th>Way</th>";
    const auto kinds = kindsOf(table);
    for (const auto& kind : kinds)
        out += "<th>" + escaped(kind.empty() ? std::string("(none)") : kind) + "</th>";
    out += "</tr>\n";
    for (const TableRow& row : table) {
        out += "<tr><td>" + escaped(row.arm.name()) + "</td>";
        for (const auto& kind : kinds) {
            const auto it = row.accuracyByKind.find(kind);
            out += "<td>" +
                   (it == row.accuracyByKind.end() ? std::string("-") : format("%.1f", it->second * 100)) +
                   "</td>";
        }
        out += "</tr>\n";
    }
    return out + "</table></html>\n";
}

} // namespace canopy::evaluation
