// The axes of all charts: their range, and ticks at multiples of 1, 2 or 5 times a power of ten.
#pragma once

#include <limits>
#include <string>
#include <vector>

namespace asmlp {

// From `low` to `high`. A new one is empty.
struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double value);
  bool empty() const { return low > high; }
  // The value, or the nearer end.
  double clamp(double value) const;
};

// What an axis may show at most.
inline constexpr Range kUnlimited{-std::numeric_limits<double>::infinity(),
                                  std::numeric_limits<double>::infinity()};
inline constexpr Range kFractions{0, 1};
inline constexpr Range kPercentages{0, 100};

enum class AxisKind {
  kTight,        // ends at the values; ticks lie between
  kRound,        // ends at ticks
  kLogarithmic,  // ends at the values, which are positive; ticks at powers of ten
};

struct Axis {
  double low = 0;  // low < high
  double high = 1;
  std::vector<double> ticks;  // ascending, within [low, high]
  bool logarithmic = false;

  // The place of a value: 0 at `low`, 1 at `high`. Values beyond are placed at the ends.
  double share(double value) const;
};

// An axis of `values`, cut at the limits, with about `count` >= 1 ticks. Values that are all
// (nearly) the same get a range around them. Error(kInvalidArgument) when `values` is empty, not
// finite, or not positive where it must be.
Axis make_axis(Range values, int count, AxisKind kind, const Range& limits = kUnlimited);

// A number in a few letters: "0.25", "1250", "1.5e-4".
std::string short_number(double value);

}  // namespace asmlp
