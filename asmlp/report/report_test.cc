#include "asmlp/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <regex>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/report/chart.h"
#include "asmlp/report/machine.h"
#include "asmlp/report/run_json.h"
#include "tests/support/support.h"

namespace asmlp::report_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

// Every start tag of the page has its end tag, in order (void elements apart).
void expect_well_formed(const std::string& html) {
  std::vector<std::string> open;
  for (size_t at = 0; (at = html.find('<', at)) != html.npos; ++at) {
    const size_t end = html.find('>', at);
    ASSERT_NE(end, html.npos);
    std::string tag = html.substr(at + 1, end - at - 1);
    const bool single = tag.ends_with('/') || tag.starts_with("meta") || tag.starts_with('!');
    if (single) continue;
    const bool closing = tag.starts_with('/');
    tag = tag.substr(closing, tag.find_first_of(" \n", closing) - closing);
    if (!closing) {
      open.push_back(tag);
      continue;
    }
    ASSERT_FALSE(open.empty()) << tag;
    ASSERT_EQ(open.back(), tag) << html.substr(at > 200 ? at - 200 : 0, 220);
    open.pop_back();
  }
  EXPECT_TRUE(open.empty());
}

TEST(Chart, DrawsEveryFiniteRunOfPoints) {
  Chart chart{"t",
              "x",
              "y",
              {{"a", {{1, 2}, {2, NAN}, {3, 4}, {4, INFINITY}, {5, 1}}}, {"without points", {}}}};
  const std::string html = chart_html(chart);
  expect_well_formed(html);
  EXPECT_THAT(html, Not(HasSubstr("nan")));
  EXPECT_THAT(html, Not(HasSubstr("inf")));
  EXPECT_THAT(html, Not(HasSubstr("without points")));
  // Three pieces: three times the pen is set down.
  const size_t line = html.find("<path fill=\"none\"");
  const std::string path = html.substr(line, html.find("/>", line) - line);
  EXPECT_EQ(std::count(path.begin(), path.end(), 'M'), 3);
  EXPECT_THAT(html, HasSubstr("x 3\na: 4"));

  EXPECT_EQ(chart_html({"t", "x", "y", {{"a", {{1, NAN}}}}}), "");
  expect_well_formed(chart_html({"one point", "x", "y", {{"a", {{0, 0}}}}}));
  // Many points stay a small drawing.
  Series many{"m", {}};
  for (int i = 0; i < 100'000; ++i) many.points.emplace_back(i, std::exp(i * 1e-4));
  const std::string drawing = chart_html({"m", "x", "y", {many}, true});
  expect_well_formed(drawing);
  EXPECT_LT(drawing.size(), 100'000u);
  EXPECT_THAT(drawing, HasSubstr("(log)"));
}

TEST(Chart, RefusesMoreSeriesThanColors) {
  EXPECT_THROW(chart_html({"t", "x", "y", std::vector<Series>(5)}), Error);
}

// An accuracy of 100 % alone gave an axis to 110.
TEST(Chart, PercentagesEndAtAHundred) {
  ReportData data;
  data.history = {{0, 1, 1e-3, {{"top1", 100}}}};
  const std::string svg = curves_svg(data);
  EXPECT_THAT(svg, HasSubstr(">100</text>"));
  EXPECT_THAT(svg, Not(HasSubstr(">105</text>")));
}

TEST(History, CountsEpochsFromOne) {
  test::TemporaryFolder folder;
  const fs::path path = folder.path() / "summary.csv";
  write_summary(path, {{0, 1.5, 1e-3, {{"top1", 50}}}, {1, 1.25, 1e-4, {}}});
  EXPECT_EQ(read_file(path), "epoch,train_loss,eval_top1,lr\n1,1.5,50,0.001\n2,1.25,,0.0001\n");
}

TEST(Report, IsOneWellFormedPageWhateverTheNames) {
  const std::string evil = "</pre><script>alert('x')</script>&\"\x01\xff";
  ReportData data;
  data.run = {
      {"model", evil},
      {"data", evil},
      {"epochs", 3},
      {"seed", 1234567},
      {"parameters", 28282696},
      {evil, evil},
      {"outcome", "stopped"},
      {"result", {{"skipped_steps", 2}, {"bad_samples", 5}}},
      {"starts", {{{"command", evil}, {"machine", {{"cpu", evil}}}}, {{"command", "again"}}}}};
  data.recipe = evil;
  data.steps = {{0.5, 5, 40, 2.0, 1e-3, 3, 100, 1}, {1, 10, 80, NAN, 1e-3, NAN, NAN, 65}};
  data.history = {{0, 1.5, 1e-3, {{"loss", 1.25}, {"top1", 50}, {"top5", 90}}}, {1, 1.0, 1e-4, {}}};
  const std::string html = report_html(data);
  expect_well_formed(html);
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("http")));  // nothing of the network
  EXPECT_THAT(html, HasSubstr("28,282,696"));
  EXPECT_THAT(html, HasSubstr("1234567"));
  EXPECT_THAT(html, HasSubstr("50.000 %"));
  EXPECT_THAT(html, HasSubstr("best top-1, epoch 1<"));
  EXPECT_THAT(html, HasSubstr("1 min 05 s"));
  EXPECT_THAT(html, HasSubstr("Resumed (1 of 1)"));
  EXPECT_THAT(html, HasSubstr("<b>5</b><span>bad samples"));
  // Nothing yet: a page all the same.
  expect_well_formed(report_html({}));
}

// Programs other than browsers know no style sheet and no custom properties: rsvg-convert drew
// nothing but black dots.
void expect_colors_as_attributes(const std::string& svg) {
  EXPECT_THAT(svg, Not(HasSubstr("var(")));
  EXPECT_THAT(svg, Not(HasSubstr("<style")));
  EXPECT_THAT(svg, Not(HasSubstr("class=")));
  const std::regex element("<(path|text|circle|rect) [^>]*>");
  int lines = 0;
  for (std::sregex_iterator e(svg.begin(), svg.end(), element), end; e != end; ++e) {
    const std::string tag = e->str();
    EXPECT_TRUE(tag.find(" fill=\"#") != tag.npos || tag.find(" stroke=\"#") != tag.npos) << tag;
    if (tag.find(" fill=\"none\"") == tag.npos) continue;
    ++lines;
    EXPECT_THAT(tag, testing::AllOf(HasSubstr(" stroke=\"#"), HasSubstr(" stroke-width=")));
  }
  EXPECT_GT(lines, 0);
  EXPECT_THAT(svg, HasSubstr("font-family="));
}

// Six metrics of a detector are more than one chart has colors for.
TEST(Report, TheCurvesAreAPictureOfTheirOwn) {
  ReportData data;
  data.eval_metric = "bbox_AP";
  data.history = {{0,
                   1.5,
                   1e-3,
                   {{"bbox_AP", 0.1},
                    {"bbox_AP50", 0.2},
                    {"bbox_AP75", 0.3},
                    {"segm_AP", 0.4},
                    {"segm_AP50", 0.5},
                    {"segm_AP75", 0.6}}}};
  const std::string svg = curves_svg(data);
  expect_well_formed(svg);
  EXPECT_THAT(svg, testing::StartsWith("<svg xmlns="));
  EXPECT_THAT(svg, HasSubstr(">Boxes</text>"));
  EXPECT_THAT(svg, HasSubstr("mask AP75 0.6"));
  expect_colors_as_attributes(svg);
  expect_well_formed(curves_svg({}));
}

TEST(RunJson, SurvivesAnything) {
  test::TemporaryFolder folder;
  const fs::path path = folder.path() / "run.json";
  EXPECT_TRUE(read_run_json(path).empty());
  write_run_json(path, {{"data", "not UTF-8: \xff"}, {"machine", machine_facts()}});
  const auto run = read_run_json(path);
  EXPECT_GT(run["machine"]["cores"], 0);
  EXPECT_NE(run["machine"]["host"], "");
  for (const char* text : {"", "[]", "{", "null"}) {
    std::ofstream(path, std::ios::trunc) << text;
    EXPECT_THROW(read_run_json(path), Error) << text;
  }
}

}  // namespace
}  // namespace asmlp::report_test
