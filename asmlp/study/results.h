// The results of a study: per group a row for each variant, compared with the baseline.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/study/plan.h"

namespace asmlp::study {

// A list of measurements of one thing.
struct Sample {
  int n = 0;
  double mean = 0;
  double deviation = 0;  // sample standard deviation (n - 1); 0 for n < 2
  double min = 0;
  double max = 0;
};
Sample describe_sample(const std::vector<double>& values);

// The deviation within samples that are taken to spread alike (the analysis of variance's):
// sqrt(sum (n - 1) s^2 / sum (n - 1)). With two or three seeds each, a variant's own deviation is
// mostly chance; together they are usable.
struct PooledDeviation {
  double deviation = 0;
  int freedom = 0;  // sum of n - 1; 0: nothing is known
};
PooledDeviation pool(const std::vector<Sample>& samples);

// `a` against `b`: difference of the means and its standard error s sqrt(1/n_a + 1/n_b).
struct Comparison {
  double difference = 0;
  double standard_error = 0;
  const char* verdict = "";  // "higher", "lower" (by more than two standard errors), "undecided"
};
// Nothing when a sample is empty or nothing is known about the spread.
std::optional<Comparison> compare(const Sample& a, const Sample& b, const PooledDeviation& spread);

// What is known about a run: StudyFolder::result.
using FindResult = std::function<std::optional<Json>(const StudyRun&)>;

// {"study", "epochs", "machine", "build", "date", "spread", "runs": {"planned", "finished",
// "failed", "missing"}, "groups": [{"name", "rows": [...]}]}; docs/guide/studies.md lists the keys.
// Top-1 is that of the last epoch in percent: no epoch is chosen by looking at the images it is
// reported on.
Json study_document(const StudyPlan& plan, const FindResult& find);

enum class StudyMarkup { kPlain, kMarkdown };
std::string study_text(const Json& document, StudyMarkup markup);

// One line per group and variant.
std::string study_csv(const Json& document);

}  // namespace asmlp::study
