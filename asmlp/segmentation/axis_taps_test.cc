#include "asmlp/segmentation/axis_taps.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace asmlp::segment::axis_taps_test {
namespace {

TEST(AxisTaps, AreAveragesOfCellsNearby) {
  std::mt19937 random(4);
  for (int trial = 0; trial < 300; ++trial) {
    const auto below = [&](int most) { return 1 + static_cast<int64_t>(random() % most); };
    ViewAxis view{below(200), {}, 0, 0};
    std::optional<SlidingWindow> window;
    if (trial % 3 != 0) {
      window = SlidingWindow{static_cast<int>(below(60)), 1};
      window->stride = static_cast<int>(below(window->crop));
    }
    view.windows = windows_of(view.length, window);
    view.padded = view.windows[0].count() + below(20) - 1;
    view.cells = (view.padded + 3) / 4;
    const int64_t length = trial % 4 == 0 ? view.length : below(300);
    const AxisTaps taps = taps_of(view, length);
    ASSERT_EQ(std::ssize(taps.begin), length + 1);
    for (int64_t i = 0; i < length; ++i) {
      ASSERT_GE(taps.count(i), 1);
      double sum = 0, center = 0;
      for (int32_t k = taps.begin[size_t(i)]; k < taps.begin[size_t(i) + 1]; ++k) {
        const int32_t cell = taps.index[size_t(k)];
        const float weight = taps.weight[size_t(k)];
        ASSERT_GT(weight, 0);
        if (k > taps.begin[size_t(i)]) {
          ASSERT_GT(cell, taps.index[size_t(k) - 1]);
        }
        const auto of_window = static_cast<size_t>(cell / view.cells);
        ASSERT_LT(of_window, view.windows.size());
        const double pixels = static_cast<double>(view.padded) / static_cast<double>(view.cells);
        center += weight * (static_cast<double>(view.windows[of_window].first) +
                            (static_cast<double>(cell % view.cells) + 0.5) * pixels);
        sum += weight;
      }
      ASSERT_NEAR(sum, 1, 1e-6);
      // Bilinear weights keep places, but for the half cell at the edges of windows.
      const double place = (static_cast<double>(i) + 0.5) * static_cast<double>(view.length) /
                           static_cast<double>(length);
      ASSERT_NEAR(center, place, 3.0) << trial << ' ' << i;
    }
  }
}

}  // namespace
}  // namespace asmlp::segment::axis_taps_test
