// Conversions of core/tensor.h against arithmetic that does not look at bits.
#include <cmath>
#include <limits>

#include "tests/support/weight_files.h"

namespace asmlp::tensor_values_test {
namespace {

// sign * mantissa * 2^exponent of a small binary format.
double decode(uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa != 0 ? NAN : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

void expect_same(float actual, double expected, uint32_t bits) {
  if (std::isnan(expected)) {
    ASSERT_TRUE(std::isnan(actual)) << bits;
  } else {
    ASSERT_EQ(actual, expected) << bits;
    ASSERT_EQ(std::signbit(actual), std::signbit(expected)) << bits;
  }
}

TEST(TensorValues, AllHalvesAndBfloats) {
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    expect_same(f16_to_f32(half), decode(half, 5, 10), bits);
    expect_same(bf16_to_f32(half), decode(half, 8, 7), bits);
  }
}

// Every half, the floats around it, and the middle to its neighbor with the floats around that.
TEST(TensorValues, FloatsBecomeTheNearestHalf) {
  const auto expect = [](float value, uint32_t half) {
    ASSERT_EQ(f32_to_f16(value), half) << value;
    ASSERT_EQ(f32_to_f16(-value), half | 0x8000u) << value;
  };
  for (uint32_t half = 0; half < 0x7c00; ++half) {
    const auto low = static_cast<float>(decode(static_cast<uint16_t>(half), 5, 10));
    const auto high = half == 0x7bff
                          ? 65536.0f
                          : static_cast<float>(decode(static_cast<uint16_t>(half + 1), 5, 10));
    const float middle = low + (high - low) / 2;  // exact: 12 bits
    expect(low, half);
    expect(std::nextafter(low, high), half);
    expect(std::nextafter(middle, low), half);
    expect(middle, half % 2 == 0 ? half : half + 1);
    expect(std::nextafter(middle, high), half + 1);
    expect(std::nextafter(high, low), half + 1);
  }
  expect(INFINITY, 0x7c00);
  expect(std::numeric_limits<float>::max(), 0x7c00);
  expect(std::numeric_limits<float>::denorm_min(), 0);
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(NAN))));
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(std::bit_cast<float>(0x7f800001u)))));
}

template <typename T>
Tensor tensor_of(DType dtype, std::vector<T> values) {
  auto owner = std::make_shared<std::vector<T>>(std::move(values));
  return Tensor{
      dtype, {static_cast<int64_t>(owner->size())}, std::as_bytes(std::span(*owner)), owner};
}

TEST(TensorValues, EveryTypeBecomesFloat) {
  const std::vector<float> expected{1, 0, -3};
  EXPECT_EQ(to_f32(tensor_of<double>(DType::kF64, {1, 0, -3})), expected);
  EXPECT_EQ(to_f32(tensor_of<float>(DType::kF32, {1, 0, -3})), expected);
  EXPECT_EQ(to_f32(tensor_of<uint16_t>(DType::kF16, {0x3c00, 0, 0xc200})), expected);
  EXPECT_EQ(to_f32(tensor_of<uint16_t>(DType::kBF16, {0x3f80, 0, 0xc040})), expected);
  EXPECT_EQ(to_f32(tensor_of<int64_t>(DType::kI64, {1, 0, -3})), expected);
  EXPECT_EQ(to_f32(tensor_of<int32_t>(DType::kI32, {1, 0, -3})), expected);
  EXPECT_EQ(to_f32(tensor_of<int16_t>(DType::kI16, {1, 0, -3})), expected);
  EXPECT_EQ(to_f32(tensor_of<int8_t>(DType::kI8, {1, 0, -3})), expected);
  EXPECT_EQ(to_f32(tensor_of<uint8_t>(DType::kU8, {1, 0, 255})), (std::vector<float>{1, 0, 255}));
  EXPECT_EQ(to_f32(tensor_of<uint8_t>(DType::kBool, {1, 0, 7})), (std::vector<float>{1, 0, 1}));

  // Unaligned memory, as in a mapped file.
  Tensor shifted = tensor_of<uint8_t>(DType::kU8, {9, 0, 0, 0x80, 0x3f});
  shifted.dtype = DType::kF32;
  shifted.shape = {1};
  shifted.bytes = shifted.bytes.subspan(1);
  EXPECT_EQ(to_f32(shifted), std::vector<float>{1});
  shifted.shape = {2};
  EXPECT_THROW(to_f32(shifted), Error);
}

TEST(TensorValues, CountsRefuseOverflow) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({3, 0, 2}), 0);
  EXPECT_EQ(element_count({3, 4}), 12);
  EXPECT_THROW(element_count({int64_t{1} << 32, int64_t{1} << 32}), Error);
  EXPECT_THROW(element_count({int64_t{1} << 32, 0, int64_t{1} << 32}), Error);
  EXPECT_THROW(element_count({-1}), Error);
  EXPECT_THROW(make_tensor({2}, {1}), Error);
}

}  // namespace
}  // namespace asmlp::tensor_values_test
