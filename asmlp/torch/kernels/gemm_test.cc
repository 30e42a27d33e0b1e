#include "asmlp/torch/kernels/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace asmlp::nn::gemm_test {
namespace {

template <typename T>
std::vector<T> random_values(std::mt19937& random, int64_t count) {
  std::uniform_real_distribution<T> uniform(-1, 1);
  std::vector<T> values(static_cast<size_t>(count));
  for (T& value : values) value = uniform(random);
  return values;
}

template <typename T>
class Product : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(Product, Types);

// Sums of n products of values within 1: n eps for each term's and each addition's rounding.
template <typename T>
double bound(int64_t depth) {
  return 2 * static_cast<double>(depth + 2) * std::numeric_limits<T>::epsilon();
}

TYPED_TEST(Product, RightFactorEqualsTheSums) {
  using T = TypeParam;
  std::mt19937 random(61);
  const auto size = [&](int limit) { return static_cast<int64_t>(1 + random() % limit); };
  for (int i = 0; i < 80; ++i) {
    const int64_t rows = size(70), depth = size(i % 8 ? 70 : 900), cols = size(100);
    const int64_t lda = depth + random() % 3;
    const bool transposed = i % 2, add = i % 3 == 0, biased = i % 5 != 0;
    const auto a = random_values<T>(random, rows * lda), b = random_values<T>(random, depth * cols);
    const auto bias = random_values<T>(random, cols), old = random_values<T>(random, rows * cols);
    PackedWeights<T> factor(b.data(), depth, cols, transposed, biased ? bias.data() : nullptr);
    factor.pack(0, factor.panels());
    auto c = old;
    factor.multiply(a.data(), lda, rows, c.data(), add);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < cols; ++j) {
        double sum = add ? old[r * cols + j] : biased ? bias[j] : T(0);
        for (int64_t k = 0; k < depth; ++k) {
          sum += double{a[r * lda + k]} * (transposed ? b[j * depth + k] : b[k * cols + j]);
        }
        ASSERT_NEAR(c[r * cols + j], sum, bound<T>(depth)) << i << " " << r << " " << j;
      }
    }
  }
}

TYPED_TEST(Product, TransposedEqualsTheSums) {
  using T = TypeParam;
  std::mt19937 random(62);
  const auto size = [&](int limit) { return static_cast<int64_t>(1 + random() % limit); };
  for (int i = 0; i < 80; ++i) {
    const int64_t rows = size(70), depth = size(i % 8 ? 70 : 900), cols = size(100);
    const int64_t lda = rows + random() % 3, ldb = cols + random() % 3, ldc = cols + random() % 3;
    const bool add = i % 2;
    const auto a = random_values<T>(random, depth * lda), b = random_values<T>(random, depth * ldb);
    const auto old = random_values<T>(random, rows * ldc);
    auto c = old;
    // Exactly as much memory as the last row needs: no read may go beyond (AddressSanitizer).
    const std::vector<T> a_cut(a.begin(), a.begin() + (depth - 1) * lda + rows);
    const std::vector<T> b_cut(b.begin(), b.begin() + (depth - 1) * ldb + cols);
    multiply_transposed(a_cut.data(), lda, b_cut.data(), ldb, depth, rows, cols, c.data(), ldc,
                        add);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < ldc; ++j) {
        double sum = add || j >= cols ? old[r * ldc + j] : T(0);
        for (int64_t k = 0; j < cols && k < depth; ++k) {
          sum += double{a[k * lda + r]} * b[k * ldb + j];
        }
        ASSERT_NEAR(c[r * ldc + j], sum, bound<T>(depth)) << i << " " << r << " " << j;
      }
    }
  }
}

}  // namespace
}  // namespace asmlp::nn::gemm_test
