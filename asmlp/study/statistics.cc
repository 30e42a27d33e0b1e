#include "asmlp/study/statistics.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace asmlp::study {
namespace {

// How many groups of configurations have no seed in common: their levels cannot be compared, and
// the fit has as many free constants.
int unconnected_parts(const std::vector<BySeed>& results,
                      const std::map<uint64_t, size_t>& seed_index) {
  std::vector<size_t> parent(results.size() + seed_index.size());
  std::iota(parent.begin(), parent.end(), size_t{0});
  const auto root = [&](size_t k) {
    while (parent[k] != k) k = parent[k] = parent[parent[k]];
    return k;
  };
  for (size_t c = 0; c < results.size(); ++c) {
    for (const auto& [seed, value] : results[c]) {
      parent[root(c)] = root(results.size() + seed_index.at(seed));
    }
  }
  int parts = 0;
  for (size_t k = results.size(); k < parent.size(); ++k) parts += root(k) == k ? 1 : 0;
  return parts;  // every part has a seed, and its root is one: configurations hang below seeds
}

}  // namespace

Sample describe_sample(const std::vector<double>& values) {
  Sample sample;
  if (values.empty()) return sample;
  sample.n = static_cast<int>(values.size());
  for (double value : values) sample.mean += value / sample.n;
  double squares = 0;
  for (double value : values) squares += (value - sample.mean) * (value - sample.mean);
  if (sample.n > 1) sample.deviation = std::sqrt(squares / (sample.n - 1));
  sample.min = *std::min_element(values.begin(), values.end());
  sample.max = *std::max_element(values.begin(), values.end());
  return sample;
}

Spread pool(const std::vector<Sample>& samples) {
  Spread all;
  double squares = 0;
  for (const Sample& sample : samples) {
    if (sample.n < 2) continue;
    all.freedom += sample.n - 1;
    squares += (sample.n - 1) * sample.deviation * sample.deviation;
  }
  if (all.freedom > 0) all.deviation = std::sqrt(squares / all.freedom);
  return all;
}

Spread residual_spread(const std::vector<BySeed>& results) {
  std::map<uint64_t, size_t> seed_index;
  int runs = 0, used = 0;
  for (const BySeed& result : results) {
    used += result.empty() ? 0 : 1;
    for (const auto& [seed, value] : result) {
      seed_index.try_emplace(seed, seed_index.size());
      ++runs;
    }
  }
  const int freedom =
      runs - used - static_cast<int>(seed_index.size()) + unconnected_parts(results, seed_index);
  if (freedom <= 0) return {};
  // Least squares by turns: the means of what the other share leaves. With all runs there it is
  // exact after the first turn; with gaps every turn shrinks the error by a constant factor.
  std::vector<double> level(results.size(), 0), shift(seed_index.size(), 0);
  constexpr int kTurns = 2000;
  for (int turn = 0; turn < kTurns; ++turn) {
    for (size_t c = 0; c < results.size(); ++c) {
      double sum = 0;
      for (const auto& [seed, value] : results[c]) sum += value - shift[seed_index[seed]];
      if (!results[c].empty()) level[c] = sum / static_cast<double>(results[c].size());
    }
    std::vector<double> sums(shift.size(), 0), counts(shift.size(), 0);
    for (size_t c = 0; c < results.size(); ++c) {
      for (const auto& [seed, value] : results[c]) {
        sums[seed_index[seed]] += value - level[c];
        counts[seed_index[seed]] += 1;
      }
    }
    double moved = 0;
    for (size_t s = 0; s < shift.size(); ++s) {
      moved = std::max(moved, std::abs(sums[s] / counts[s] - shift[s]));
      shift[s] = sums[s] / counts[s];
    }
    if (moved < 1e-12) break;
  }
  double squares = 0;
  for (size_t c = 0; c < results.size(); ++c) {
    for (const auto& [seed, value] : results[c]) {
      const double residual = value - level[c] - shift[seed_index[seed]];
      squares += residual * residual;
    }
  }
  return {std::sqrt(squares / freedom), freedom};
}

std::optional<Comparison> compare(const BySeed& a, const BySeed& b, const Spread& residuals) {
  Comparison comparison;
  double sum = 0;
  for (const auto& [seed, value] : a) {
    const auto other = b.find(seed);
    if (other == b.end()) continue;
    sum += value - other->second;
    ++comparison.pairs;
  }
  if (comparison.pairs == 0) return std::nullopt;
  comparison.difference = sum / comparison.pairs;
  if (residuals.freedom == 0) return comparison;
  const double error = residuals.deviation * std::sqrt(2.0 / comparison.pairs);
  comparison.standard_error = error;
  if (comparison.pairs > 1 && std::abs(comparison.difference) > 2 * error) {
    comparison.verdict = comparison.difference > 0 ? "better" : "worse";
  }
  return comparison;
}

double chance_beyond_two_errors(int freedom) {
  // With t = sqrt(n) tan(u) the density becomes cos(u)^(n - 1) over an interval that ends at pi /
  // 2: the share of the integral beyond atan(2 / sqrt(n)), by Simpson's rule.
  const double n = freedom;
  const auto integral = [n](double low, double high) {
    constexpr int kSteps = 2000;
    double sum = 0;
    for (int k = 0; k <= kSteps; ++k) {
      const double u = low + (high - low) * k / kSteps;
      const double weight = k == 0 || k == kSteps ? 1 : k % 2 == 1 ? 4 : 2;
      sum += weight * std::pow(std::max(0.0, std::cos(u)), n - 1);
    }
    return sum * (high - low) / (3 * kSteps);
  };
  const double inside = integral(0, std::atan(2 / std::sqrt(n)));
  return 1 - inside / integral(0, std::numbers::pi / 2);
}

}  // namespace asmlp::study
