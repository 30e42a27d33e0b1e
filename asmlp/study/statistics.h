// What a study says about numbers that chance has a part in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

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

// A standard deviation, and how much is known about it.
struct Spread {
  double deviation = 0;
  int freedom = 0;  // degrees of freedom; 0: nothing is known
};

// The deviation within samples that are taken to spread alike (the analysis of variance's):
// sqrt(sum (n - 1) s^2 / sum (n - 1)). With two or three seeds each, a variant's own deviation is
// mostly chance; together they are usable.
Spread pool(const std::vector<Sample>& samples);

// The results of one configuration by seed.
using BySeed = std::map<uint64_t, double>;

// What is left of results[configuration][seed] after its configuration's and its seed's share: the
// deviation of the residuals of the additive fit a_c + b_s by least squares. Runs of one seed share
// the order of the images and, where they have the same shapes, the first weights; a seed that is
// good for all of them is no difference between them.
Spread residual_spread(const std::vector<BySeed>& results);

// `a` against `b` on the seeds that both have.
struct Comparison {
  int pairs = 0;
  double difference = 0;  // mean over the pairs
  // residual deviation x sqrt(2 / pairs); nothing when nothing is known about the spread.
  std::optional<double> standard_error;
  // "better", "worse": by more than two standard errors of at least two pairs; else "undecided".
  const char* verdict = "undecided";
};
// Nothing when they have no seed in common.
std::optional<Comparison> compare(const BySeed& a, const BySeed& b, const Spread& residuals);

// How often chance alone goes beyond two standard errors, when those come from so many degrees of
// freedom >= 1: P(|t| > 2) of Student's distribution. 0.295 of 1, 0.0546 of 30.
double chance_beyond_two_errors(int freedom);

}  // namespace asmlp::study
