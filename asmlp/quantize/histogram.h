// How the values of a layer's input are distributed, and the range to keep of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace asmlp {

// A closed interval that contains 0.
struct ValueRange {
  float low = 0;
  float high = 0;
  bool operator==(const ValueRange&) const = default;
};

// Counts of values in kBins equal parts of a range. The counts are integers: they do not depend on
// the order of the values, nor on how they were divided among threads.
class Histogram {
 public:
  static constexpr int kBins = 4096;

  Histogram() : Histogram(ValueRange{}) {}
  // Values outside of `range` count in the first or the last bin.
  explicit Histogram(ValueRange range);

  ValueRange range() const { return range_; }
  float bin_width() const { return width_; }
  // The bin of a value; a NaN goes into the first.
  int bin_of(float value) const {
    const float place = (value - range_.low) * scale_;
    return place > 0 ? place < kBins ? static_cast<int>(place) : kBins - 1 : 0;
  }
  // Adds `counts`, kBins of them.
  void add(const uint32_t* counts);
  void add(float value) { ++counts_[static_cast<size_t>(bin_of(value))]; }

  int64_t count(int bin) const { return counts_[static_cast<size_t>(bin)]; }
  int64_t total() const;

 private:
  ValueRange range_;
  float width_, scale_;  // of a bin, and bins per unit
  std::vector<int64_t> counts_;
};

// The range that holds `percent` (above 0, at most 100) of the values, as many left out below as
// above, to the width of a bin. Always with 0.
ValueRange percentile_range(const Histogram& histogram, double percent);

// The range whose 255 steps represent the values with the least sum of squared errors: a value
// inside is off by a rounding (its square is step^2 / 12 on average), one outside by its distance
// to the end. Always with 0.
ValueRange least_squares_range(const Histogram& histogram);

// Scale and zero point of int8 values that cover a range: value = scale * (q - zero_point), q in
// -128..127, 0 exactly representable. A range without extent gets scale 1.
struct InputScale {
  float scale = 1;
  int zero_point = 0;
  bool operator==(const InputScale&) const = default;
};
InputScale input_scale(ValueRange range);

}  // namespace asmlp
