#include "asmlp/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "asmlp/report/chart.h"
#include "asmlp/report/html.h"
#include "asmlp/report/palette.h"
#include "asmlp/report/table.h"

namespace asmlp {
namespace {

using Json = nlohmann::ordered_json;

// Behind the palettes' properties, which style_sheet() puts in front.
constexpr const char* kPageStyle =
    R"(body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 1240px; margin: 0 auto; padding: 1.5em 1.2em 3em; }
h1 { font-size: 1.5em; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1em; margin: 1.8em 0 .6em; }
.lead { color: var(--muted); margin: .1em 0 1.2em; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(11em, 1fr)); gap: .8em;
  margin-bottom: 1em; }
.tiles div { background: var(--paper); border-radius: 8px; padding: .6em 1em; }
.tiles b { display: block; font-size: 1.45em; font-weight: 600; white-space: nowrap; }
.tiles span { color: var(--muted); font-size: .85em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr));
  gap: 1em; }
.card, .charts figure { background: var(--paper); border-radius: 8px; padding: .8em 1em; }
.card { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2em 1.4em .2em 0; vertical-align: top;
  overflow-wrap: anywhere; }
th { color: var(--muted); font-weight: 500; } td.n, th.n { text-align: right; white-space: nowrap; }
tr + tr > * { border-top: 1px solid var(--grid); }
pre, code { font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; margin: 0; }
summary { cursor: pointer; }
)";

std::string style_sheet() {
  return fmt::format(
      ":root {{ color-scheme: light dark; {} }}\n"
      "@media (prefers-color-scheme: dark) {{ :root {{ {} }} }}\n{}{}{}",
      css_properties(kLight), css_properties(kDark), kPageStyle, kChartStyle, kPictureStyle);
}

std::string word(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    std::string text;
    for (const Json& item : value) text += (text.empty() ? "" : ", ") + word(item);
    return text;
  }
  if (value.is_number_float()) return fmt::format("{:.6g}", value.get<double>());
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string duration(double seconds) {
  const auto s = std::llround(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
}

std::string tile(const std::string& value, const std::string& label) {
  return fmt::format("<div><b>{}</b><span>{}</span></div>\n", escape_html(value),
                     escape_html(label));
}

std::string tiles(const ReportData& data) {
  const EpochSummary *best = nullptr, *last = nullptr;
  const auto value = [&](const EpochSummary& e) { return value_of(e.metrics, data.eval_metric); };
  for (const EpochSummary& e : data.history) {
    if (!e.validated()) continue;
    last = &e;
    if (!best || value(e) > value(*best)) best = &e;
  }
  std::string html = "<div class=\"tiles\">\n";
  if (best) {
    html += tile(
        eval_metric_text({data.eval_metric, value(*best)}),
        fmt::format("best {}, epoch {}", eval_metric_info(data.eval_metric).label, best->number()));
    for (const EvalMetric& metric : last->metrics) {
      html += tile(eval_metric_text(metric),
                   fmt::format("{} of epoch {}, validation", eval_metric_info(metric.name).label,
                               last->number()));
    }
  }
  if (!data.history.empty()) {
    html += tile(fmt::format("{:.4g}", data.history.back().train_loss), "loss, training");
  }
  html +=
      tile(fmt::format("{} of {}", data.history.size(), word(data.run.value("epochs", Json("?")))),
           "epochs");
  if (!data.steps.empty()) {
    const StepLine& end = data.steps.back();
    double images = 0, seconds = 0;
    for (const StepLine& line : data.steps) {
      if (!(line.images_per_second > 0)) continue;
      images += 1;
      seconds += 1 / line.images_per_second;
    }
    html += tile(group_digits(end.step), "steps");
    if (seconds > 0) html += tile(fmt::format("{:.4g}", images / seconds), "images/s, training");
    html += tile(duration(end.seconds), "running time");
  }
  const Json& result = data.run.value("result", Json::object());
  html += tile(word(result.value("skipped_steps", Json(0))), "steps skipped (not finite)");
  html += tile(word(result.value("bad_samples", Json(0))), "bad samples");
  return html + "</div>\n";
}

template <typename Item, typename X, typename Y>
Series series(const char* name, const std::vector<Item>& items, const X& x, const Y& y) {
  Series result{name, {}};
  for (const Item& item : items) result.points.emplace_back(x(item), y(item));
  return result;
}

std::vector<Chart> charts_of(const ReportData& data) {
  const auto of_steps = [&](const char* name, double StepLine::*field) {
    return series(
        name, data.steps, [](const StepLine& l) { return l.epoch; },
        [field](const StepLine& l) { return l.*field; });
  };
  std::vector<Chart> all{{"Loss", "epoch", "loss", {of_steps("training", &StepLine::loss)}}};
  // An epoch's metrics are those of its end.
  for (const EvalMetric& metric : columns_of(data.history)) {
    const EvalMetricInfo& info = eval_metric_info(metric.name);
    Series points{metric.name == "loss" ? "validation" : info.label, {}};
    for (const EpochSummary& e : data.history) {
      if (e.validated()) points.points.emplace_back(e.number(), value_of(e.metrics, metric.name));
    }
    auto chart = std::ranges::find(all, info.chart, &Chart::title);
    if (chart == all.end()) {
      const bool percent = *info.unit != '\0';
      chart = all.insert(chart, {.title = info.chart,
                                 .x_label = "epoch",
                                 .y_label = percent ? info.unit : "fraction",
                                 .series = {},
                                 .limits = percent ? kPercentages : kFractions});
    }
    chart->series.push_back(std::move(points));
  }
  all.push_back({"Learning rate", "epoch", "learning rate", {of_steps("rate", &StepLine::lr)}});
  all.push_back({.title = "Gradient norm before clipping",
                 .x_label = "epoch",
                 .y_label = "norm",
                 .series = {of_steps("norm", &StepLine::gradient_norm)},
                 .may_be_logarithmic = true});
  all.push_back({.title = "Speed",
                 .x_label = "epoch",
                 .y_label = "images/s",
                 .series = {of_steps("training", &StepLine::images_per_second)},
                 .from_zero = true});
  return all;
}

std::string charts(const ReportData& data) {
  std::string html;
  for (const Chart& chart : charts_of(data)) html += chart_html(chart);
  return html.empty() ? "" : "<div class=\"charts\">\n" + html + "</div>\n";
}

std::string epoch_table(const std::vector<EpochSummary>& history) {
  if (history.empty()) return "";
  const auto heading = [](const std::string& text) {
    return "<th class=\"n\">" + escape_html(text) + "</th>";
  };
  const auto cell = [](const std::string& text) { return "<td class=\"n\">" + text + "</td>"; };
  const EvalMetrics columns = columns_of(history);
  std::string html =
      "<h2>Epochs</h2>\n<details class=\"card\"><summary>Table</summary>\n<table><tr>" +
      heading("epoch") + heading("training loss");
  for (const EvalMetric& column : columns) {
    const EvalMetricInfo& info = eval_metric_info(column.name);
    html += heading(std::string(column.name == "loss" ? "validation loss" : info.label) +
                    (*info.unit ? std::string(" ") + info.unit : ""));
  }
  html += heading("learning rate") + "</tr>\n";
  for (const EpochSummary& e : history) {
    html += "<tr>" + cell(std::to_string(e.number())) + cell(fmt::format("{:.4f}", e.train_loss));
    for (const EvalMetric& column : columns) {
      const bool percent = *eval_metric_info(column.name).unit != '\0';
      const double value = value_of(e.metrics, column.name);
      html += cell(!e.validated() ? ""
                   : percent      ? fmt::format("{:.3f}", value)
                                  : fmt::format("{:.4f}", value));
    }
    html += cell(fmt::format("{:.3g}", e.lr)) + "</tr>\n";
  }
  return html + "</table></details>\n";
}

// An object as two columns; objects inside it are spelled out with their keys.
std::string rows(const Json& object, const std::string& prefix = "") {
  std::string html;
  for (const auto& [key, value] : object.items()) {
    std::string name = prefix + key;
    for (char& c : name) c = c == '_' ? ' ' : c;
    if (value.is_object()) {
      html += rows(value, name + " ");
    } else if (value.is_number_integer()) {
      // A seed and a port are names, not amounts; they are short in practice.
      html += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", escape_html(name),
                          key == "seed" ? word(value) : group_digits(value.get<int64_t>()));
    } else if (!value.is_array() || value.empty() || !value[0].is_object()) {
      html += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", escape_html(name),
                          key == "command" ? "<code>" + escape_html(word(value)) + "</code>"
                                           : escape_html(word(value)));
    }
  }
  return html;
}

std::string starts(const Json& list) {
  std::string html;
  for (size_t i = 0; i < list.size(); ++i) {
    html += fmt::format("<h2>{}</h2>\n<div class=\"card\"><table>{}</table></div>\n",
                        i == 0 ? "Start" : fmt::format("Resumed ({} of {})", i, list.size() - 1),
                        rows(list[i]));
  }
  return html;
}

}  // namespace

std::string report_html(const ReportData& data) {
  Json about = data.run;
  const std::string model = word(about.value("model", Json("run")));
  const std::string outcome = word(about.value("outcome", Json("running")));
  const Json list = about.value("starts", Json::array());
  about.erase("starts");
  about.erase("result");
  about.erase("images");
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{0}</title>\n<style>\n{1}</style>\n</head>\n<body>\n"
      "<h1>{0}</h1>\n<p class=\"lead\">{2} on {3}</p>\n{4}{5}{6}{7}"
      "<h2>Run</h2>\n<div class=\"card\"><table>{8}</table></div>\n{9}"
      "<h2>Recipe</h2>\n<div class=\"card\"><pre>{10}</pre></div>\n</body>\n</html>\n",
      escape_html(model), style_sheet(), escape_html(outcome),
      escape_html(word(about.value("data", Json("")))), tiles(data), charts(data),
      pictures_html(data.pictures), epoch_table(data.history), rows(about), starts(list),
      escape_html(data.recipe));
}

std::string curves_svg(const ReportData& data) { return charts_svg(charts_of(data)); }

}  // namespace asmlp
