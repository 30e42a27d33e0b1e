// The gathers against direct indexing of the whole image, for every shape near their block size.
#include "asmlp/kernels/gather.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "asmlp/core/aligned.h"
#include "tests/support/kernel_sets.h"

namespace asmlp::gather_test {
namespace {

// A value of its own for every element, so that a wrong index cannot give the right one.
float value_at(int64_t image, int64_t y, int64_t x, int64_t c) {
  return static_cast<float>(1 + c + 64 * (x + 16 * (y + 16 * image)));
}

// A map of such values; the room between pixels and behind the last one holds -1.
AlignedFloats numbered_map(int images, int h, int w, int channels, int64_t stride) {
  AlignedFloats map(images * h * w * stride + kGatherSlack);
  std::fill_n(map.data(), images * h * w * stride + kGatherSlack, -1.0f);
  for (int64_t r = 0; r < int64_t{images} * h * w; ++r) {
    for (int c = 0; c < channels; ++c) {
      map.data()[r * stride + c] = value_at(r / (h * w), r / w % h, r % w, c);
    }
  }
  return map;
}

// Groups of `width` channels (the last may be narrower) with a source that visits every position
// and the outside.
ShiftTable table_of(int channels, int width, int extent) {
  ShiftTable table;
  table.extent = extent;
  for (int begin = 0; begin < channels; begin += width) {
    const int g = static_cast<int>(table.groups.size());
    table.groups.push_back({begin, std::min(channels, begin + width)});
    for (int p = 0; p < extent; ++p) table.source.push_back((p * 3 + g) % (extent + 1) - 1);
  }
  return table;
}

// What lies behind the last row's slack must stay.
constexpr float kUntouched = -7.0f;

struct Rows {
  Rows(int64_t count, int64_t lda)
      : values(static_cast<size_t>(count * lda + kGatherSlack + 8), kUntouched) {}
  void expect_end_untouched() const {
    for (size_t i = values.size() - 8; i < values.size(); ++i) ASSERT_EQ(values[i], kUntouched);
  }
  std::vector<float> values;
};

TEST(GatherNeighbors, EqualsTheIndexMapForEveryPartOfTheDepth) {
  const int images = 2;
  const KernelSet& kernels = kernel_set(Isa::kReference);
  for (int kernel : {1, 3, 5}) {
    for (const auto& [h, w] : {std::pair{1, 1}, {3, 5}, {4, 2}}) {
      for (int channels : {1, 3, 16}) {
        for (int64_t stride : {channels, channels + 5}) {
          const AlignedFloats map = numbered_map(images, h, w, channels, stride);
          const MapView<float> view{map.data(), h, w, channels, stride};
          const int64_t depth = kernel * kernel * channels, all = int64_t{images} * h * w;
          for (int64_t from = 0; from < depth; from += 1 + depth / 5) {
            const int64_t to = std::min(depth, from + 1 + depth / 3), lda = to - from + 4;
            Rows a(all, lda);
            gather_neighbors(kernels, view, kernel, 1, all - 1, from, to, a.values.data(), lda,
                             to - from + 2);
            a.expect_end_untouched();
            for (int64_t r = 1; r < all; ++r) {
              for (int64_t k = from; k < to + 2; ++k) {
                const int64_t tap = k / channels, image = r / (h * w);
                const int64_t y = r / w % h + tap / kernel - kernel / 2;
                const int64_t x = r % w + tap % kernel - kernel / 2;
                const bool inside = k < to && y >= 0 && y < h && x >= 0 && x < w;
                ASSERT_EQ(a.values[(r - 1) * lda + k - from],
                          inside ? value_at(image, y, x, k % channels) : 0.0f)
                    << kernel << " " << h << " x " << w << " " << channels << " " << r << " " << k;
              }
            }
          }
        }
      }
    }
  }
}

TEST(GatherShifted, EqualsTheIndexMapForEveryGroupWidth) {
  const int images = 2, h = 3, w = 5;
  for (int channels = 1; channels <= 35; ++channels) {
    const int64_t stride = (channels + 15) / 16 * 16, all = int64_t{images} * h * w;
    const AlignedFloats map = numbered_map(images, h, w, channels, stride);
    const MapView<float> view{map.data(), h, w, channels, stride};
    for (int width : {1, 2, 7, 8, 9, 17, 35}) {
      for (Axis axis : {Axis::kH, Axis::kW}) {
        const ShiftTable table = table_of(channels, width, axis == Axis::kH ? h : w);
        for (int64_t begin : {int64_t{0}, int64_t{5}, all - 1}) {
          const int64_t lda = channels + 3;
          Rows a(all - begin, lda);
          const int64_t padded = channels + begin % 2;
          gather_shifted(view, table, axis, begin, all - begin, a.values.data(), lda, padded);
          a.expect_end_untouched();
          for (int64_t r = begin; r < all; ++r) {
            const int64_t y = r / w % h, x = r % w, image = r / (h * w);
            for (int c = 0; c < channels; ++c) {
              const int64_t from =
                  table.source[c / width * table.extent + (axis == Axis::kH ? y : x)];
              const float expected = from < 0           ? 0.0f
                                     : axis == Axis::kH ? value_at(image, from, x, c)
                                                        : value_at(image, y, from, c);
              ASSERT_EQ(a.values[(r - begin) * lda + c], expected)
                  << channels << " channels by " << width << ", row " << r << ", channel " << c;
            }
            if (padded > channels) {
              ASSERT_EQ(a.values[(r - begin) * lda + channels], 0.0f);
            }
          }
        }
      }
    }
  }
}

TEST(GatherPatches, EqualsDirectIndexingWithZerosOutside) {
  for (int patch : {1, 2, 3, 4}) {
    for (int height = 1; height <= 9; ++height) {
      for (int width = 1; width <= 9; ++width) {
        const int images = 2, channels = 3;
        std::vector<float> input(static_cast<size_t>(images) * channels * height * width);
        std::iota(input.begin(), input.end(), 1.0f);
        const int64_t out_h = (height + patch - 1) / patch, out_w = (width + patch - 1) / patch;
        const int64_t all = images * out_h * out_w, lda = channels * patch * patch + 2;
        Rows a(all, lda);
        std::vector<float> line(lda);
        gather_patches(reference_kernels(Precision::kFp32),
                       {input.data(), channels, height, width, patch}, 0, all, a.values.data(), lda,
                       lda - 1, line.data());
        a.expect_end_untouched();
        for (int64_t r = 0; r < all; ++r) {
          int64_t column = 0;
          for (int c = 0; c < channels; ++c) {
            for (int64_t y = r / out_w % out_h * patch, i = 0; i < patch; ++i) {
              for (int64_t x = r % out_w * patch, j = 0; j < patch; ++j, ++column) {
                const int64_t plane = r / (out_h * out_w) * channels + c;
                const bool inside = y + i < height && x + j < width;
                ASSERT_EQ(a.values[r * lda + column],
                          inside ? input[(plane * height + y + i) * width + x + j] : 0.0f)
                    << height << " x " << width << ", patch " << patch << ", row " << r;
              }
            }
          }
        }
      }
    }
  }
}

class NormalizingGathers : public testing::TestWithParam<const KernelSet*> {};

// Powers of two as factors and whole means: every result is exact, in any order of operations, in
// bf16 after one rounding.
TEST_P(NormalizingGathers, TakeTheRightPixelStatisticsAndFactors) {
  const KernelSet& kernels = *GetParam();
  const std::vector<ImageNorm> norms{{8.0f, 0.5f}, {1024.0f, 2.0f}};
  const int images = 2;
  for (int channels : {1, 5, 8, 16, 19}) {
    std::vector<float> gamma(4 * channels), beta(4 * channels);
    for (int i = 0; i < 4 * channels; ++i) {
      gamma[i] = i % 3 == 0 ? 1.0f : i % 3 == 1 ? 2.0f : -4.0f;
      beta[i] = static_cast<float>(i);
    }
    std::vector<float> scratch(fold_scratch(4 * channels));
    const MapNorm norm{norms.data(), gamma.data(), beta.data(), scratch.data()};
    const auto normed = [&](float value, int64_t image, int i) {
      return test::kept(kernels,
                        (value - norms[image].mean) * norms[image].rstd * gamma[i] + beta[i]);
    };
    for (int h = 1; h <= 5; ++h) {
      for (int w = 1; w <= 5; ++w) {
        const int64_t stride = (channels + 15) / 16 * 16;
        const AlignedFloats map = numbered_map(images, h, w, channels, stride);
        const MapView<float> view{map.data(), h, w, channels, stride};
        const int64_t all = int64_t{images} * h * w;
        Rows plain(all, channels);
        gather_normalized(kernels, view, norm, 0, all, plain.values.data(), channels, channels);
        plain.expect_end_untouched();
        for (int64_t r = 0; r < all; ++r) {
          for (int c = 0; c < channels; ++c) {
            const int64_t image = r / (h * w);
            ASSERT_EQ(test::panel_at(kernels, plain.values.data(), r * channels + c),
                      normed(value_at(image, r / w % h, r % w, c), image, c));
          }
        }
        const int64_t out_h = (h + 1) / 2, out_w = (w + 1) / 2,
                      merged_rows = images * out_h * out_w;
        Rows merged(merged_rows, 4 * channels);
        const std::vector<float> zeros(channels);
        gather_merged(kernels, view, norm, 0, merged_rows, merged.values.data(), 4 * channels,
                      4 * channels, zeros.data());
        merged.expect_end_untouched();
        for (int64_t r = 0; r < merged_rows; ++r) {
          const int64_t image = r / (out_h * out_w);
          for (int i = 0; i < 4 * channels; ++i) {
            const int quarter = i / channels, c = i % channels;
            const int64_t y = r / out_w % out_h * 2 + quarter % 2, x = r % out_w * 2 + quarter / 2;
            const float value = y < h && x < w ? value_at(image, y, x, c) : 0.0f;
            ASSERT_EQ(test::panel_at(kernels, merged.values.data(), r * 4 * channels + i),
                      normed(value, image, i))
                << h << " x " << w << ", row " << r << ", column " << i;
          }
        }
      }
    }
  }
}

// Of narrow elements, with a zero of their own: groups of any width, and nothing written behind the
// slack.
template <typename T>
void expect_narrow_shift(T zero) {
  const int h = 3, w = 4;
  for (int channels = 1; channels <= 70; ++channels) {
    const int64_t stride = channels + 3, all = h * w, lda = channels + 5;
    std::vector<T> map(all * stride + kGatherSlack);
    std::iota(map.begin(), map.end(), T{1});
    for (int width : {1, 3, 14, 32, 33}) {
      const ShiftTable table = table_of(channels, width, w);
      std::vector<T> a(all * lda + kGatherSlack + 8, T{99});
      gather_shifted<T>({map.data(), h, w, channels, stride}, table, Axis::kW, 0, all, a.data(),
                        lda, channels + 2, zero);
      for (int64_t r = 0; r < all; ++r) {
        for (int c = 0; c < channels; ++c) {
          const int64_t x = r % w, from = table.source[c / width * w + x];
          const T expected = from < 0 ? zero : map[(r - x + from) * stride + c];
          ASSERT_EQ(a[r * lda + c], expected) << channels << " by " << width << ", row " << r;
        }
        ASSERT_EQ(a[r * lda + channels], 0);
        ASSERT_EQ(a[r * lda + channels + 1], 0);
      }
      for (size_t i = a.size() - 8; i < a.size(); ++i) ASSERT_EQ(a[i], T{99});
    }
  }
}

TEST(GatherShifted, FillsTheOutsideOfInt8WithTheZeroPoint) {
  expect_narrow_shift<uint8_t>(131);
  expect_narrow_shift<uint16_t>(static_cast<uint16_t>(-7));
}

INSTANTIATE_TEST_SUITE_P(Sets, NormalizingGathers,
                         testing::ValuesIn(test::kernel_sets_under_test()),
                         [](const auto& info) { return test::name_of(*info.param); });

}  // namespace
}  // namespace asmlp::gather_test
