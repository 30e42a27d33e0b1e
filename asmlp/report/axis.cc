#include "asmlp/report/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

// The distance of about `count` ticks over `span`.
double tick_step(double span, int count) {
  const double rough = span / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double digit = rough / power;
  return power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
}

std::vector<double> multiples(double step, double low, double high) {
  std::vector<double> positions;
  // By whole multiples: sums of `step` would drift. A hair beyond the ends still counts.
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (double k = first; k <= last; ++k) positions.push_back(k * step);
  return positions;
}

std::vector<double> powers_of_ten(double low, double high) {
  std::vector<double> positions;
  for (double power = std::ceil(std::log10(low)); power <= std::log10(high); ++power) {
    positions.push_back(std::pow(10, power));
  }
  return positions;
}

}  // namespace

void Range::add(double value) {
  low = std::min(low, value);
  high = std::max(high, value);
}

double Range::clamp(double value) const { return std::min(std::max(value, low), high); }

double Axis::share(double value) const {
  const double inside = Range{low, high}.clamp(value);
  if (!logarithmic) return (inside - low) / (high - low);
  return (std::log10(inside) - std::log10(low)) / (std::log10(high) - std::log10(low));
}

Axis make_axis(Range values, int count, AxisKind kind, const Range& limits) {
  require(!values.empty() && std::isfinite(values.low) && std::isfinite(values.high),
          ErrorCode::kInvalidArgument, "an axis from {} to {}: needs finite values", values.low,
          values.high);
  Axis axis{limits.clamp(values.low), limits.clamp(values.high), {}, false};
  // Ticks of a narrower range would be multiples beyond 2^53, which double cannot count.
  const double size = std::max(std::abs(axis.low), std::abs(axis.high));
  if (axis.high - axis.low <= size * 1e-12) {
    const double margin = size == 0 ? 1 : size * 0.1;
    axis.low = limits.clamp(axis.low - margin);
    axis.high = limits.clamp(axis.high + margin);
  }
  if (kind == AxisKind::kLogarithmic) {
    require(axis.low > 0, ErrorCode::kInvalidArgument,
            "a logarithmic axis from {} to {}: needs positive values", axis.low, axis.high);
    axis.logarithmic = true;
    axis.ticks = powers_of_ten(axis.low, axis.high);
    return axis;
  }
  const double step = tick_step(axis.high - axis.low, count);
  if (kind == AxisKind::kRound) {
    // A hair beyond a tick is no reason for another step.
    axis.low = limits.clamp(std::floor(axis.low / step + 1e-9) * step);
    axis.high = limits.clamp(std::ceil(axis.high / step - 1e-9) * step);
  }
  axis.ticks = multiples(step, axis.low, axis.high);
  return axis;
}

std::string short_number(double value) {
  if (value == 0) return "0";
  const double size = std::abs(value);
  if (size < 1e6 && size >= 1e-2) return fmt::format("{:.5g}", value);
  std::string text = fmt::format("{:.2e}", value);  // 1.50e-04 -> 1.5e-4
  const size_t e = text.find('e');
  std::string mantissa = text.substr(0, e);
  mantissa.erase(mantissa.find_last_not_of('0') + 1);
  if (mantissa.back() == '.') mantissa.pop_back();
  return fmt::format("{}e{}", mantissa, std::stoi(text.substr(e + 1)));
}

}  // namespace asmlp
