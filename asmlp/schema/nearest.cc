#include "asmlp/schema/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace asmlp {
namespace {

// The optimal string alignment distance (Damerau, 1964).
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> before, last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, substituted});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before = std::exchange(last, row);
  }
  return last.back();
}

// Leading dashes say nothing about which option was meant.
std::string without_dashes(const std::string& word) {
  return word.substr(std::min(word.find_first_not_of('-'), word.size()));
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string wanted = without_dashes(word);
  const size_t limit = std::max<size_t>(1, (wanted.size() + 1) / 3);
  constexpr size_t kShortestPrefix = 3;
  size_t least = limit + 1;
  std::string best;
  for (const std::string& candidate : candidates) {
    const std::string known = without_dashes(candidate);
    const bool abbreviated = wanted.size() >= kShortestPrefix && known.starts_with(wanted);
    const size_t distance = abbreviated ? 0 : edit_distance(wanted, known);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string best = nearest(word, candidates);
  return best.empty() ? "" : "; did you mean '" + best + "'?";
}

}  // namespace asmlp
