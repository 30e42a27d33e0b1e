#include "asmlp/quantize/storage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "asmlp/core/error.h"
#include "tests/support/quantized.h"

namespace asmlp::storage_test {
namespace {

TensorMap some_tensors() {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<float> values(6 * 35);
  for (float& value : values) value = normal(random);
  const int8_t bytes[] = {1, -2, 3, -4};
  const int64_t batches = 7;
  const double doubles[] = {1.5, -0.1};
  return {{"a.weight", make_tensor({6, 7, 5}, values)},
          {"a.bias", make_tensor({6}, {1.1f, 2.2f, -3.3f, 4.4f, 5.5f, 1e9f})},
          {"b.weight", test::make_bytes(DType::kI8, {2, 2}, bytes, sizeof bytes)},
          {"b.weight_scale", make_tensor({2}, {0.1f, 0.2f})},
          {"c.weight", test::make_bytes(DType::kF64, {1, 2}, doubles, sizeof doubles)},
          {"n", test::make_bytes(DType::kI64, {}, &batches, sizeof batches)}};
}

TEST(Storage, OnlyWeightsAreNarrowed) {
  const TensorMap own = some_tensors();
  for (const auto& [dtype, epsilon] : {std::pair{DType::kBF16, 0x1p-8f}, {DType::kF16, 0x1p-11f}}) {
    const TensorMap stored = stored_as(own, dtype);
    ASSERT_EQ(stored.size(), own.size());
    for (const auto& [name, tensor] : own) {
      const Tensor& now = stored.at(name);
      EXPECT_EQ(now.shape, tensor.shape);
      const bool weight = name == "a.weight" || name == "c.weight";
      EXPECT_EQ(now.dtype, weight ? dtype : tensor.dtype) << name;
      const std::vector<float> was = to_f32(tensor), is = to_f32(now);
      for (size_t i = 0; i < was.size(); ++i) {
        // Half a unit of the last of 8 or 11 bits; fp16's smallest step is 2^-24.
        EXPECT_LE(std::abs(is[i] - was[i]),
                  weight ? std::max(epsilon * std::abs(was[i]), 0x1p-25f) : 0)
            << name;
      }
    }
    // Once rounded, nothing is lost any more, whatever the way.
    const TensorMap wide = stored_as(stored, DType::kF32), again = stored_as(wide, dtype);
    for (const auto& [name, tensor] : stored) {
      EXPECT_EQ(to_f32(wide.at(name)), to_f32(tensor));
      EXPECT_TRUE(std::ranges::equal(again.at(name).bytes, tensor.bytes)) << name;
    }
    EXPECT_EQ(wide.at("c.weight").dtype, DType::kF32);
  }
}

TEST(Storage, Fp32WidensVectorsToo) {
  const uint16_t half = f32_to_f16(1.25f);
  const TensorMap wide =
      stored_as({{"v", test::make_bytes(DType::kF16, {1}, &half, sizeof half)}}, DType::kF32);
  EXPECT_EQ(wide.at("v").dtype, DType::kF32);
  EXPECT_EQ(to_f32(wide.at("v")), std::vector<float>{1.25f});
}

void expect_error(const TensorMap& tensors, DType dtype, ErrorCode code, const std::string& said) {
  try {
    stored_as(tensors, dtype);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    EXPECT_NE(std::string(error.what()).find(said), std::string::npos) << error.what();
  }
}

TEST(Storage, TooLargeNumbersAreNamed) {
  const TensorMap large{{"x.weight", make_tensor({1, 2}, {1, -65520})}};
  expect_error(large, DType::kF16, ErrorCode::kUnsupported, "x.weight");
  EXPECT_EQ(to_f32(stored_as(large, DType::kBF16).at("x.weight")), (std::vector<float>{1, -65536}));
  const TensorMap most{{"x.weight", make_tensor({1, 2}, {65519, -65504})}};
  EXPECT_EQ(to_f32(stored_as(most, DType::kF16).at("x.weight")),
            (std::vector<float>{65504, -65504}));
  const TensorMap huge{{"y.weight", make_tensor({1, 1}, {3.4e38f})}};
  expect_error(huge, DType::kBF16, ErrorCode::kUnsupported, "y.weight");
  const double beyond = 1e300;
  const TensorMap wide{{"z.weight", test::make_bytes(DType::kF64, {1, 1}, &beyond, sizeof beyond)}};
  expect_error(wide, DType::kF32, ErrorCode::kUnsupported, "z.weight");
  expect_error(large, DType::kI8, ErrorCode::kInvalidArgument, "int8");
}

TEST(Storage, SharesAreCounted) {
  const auto shares = storage_shares(stored_as(some_tensors(), DType::kBF16));
  ASSERT_EQ(shares.size(), 4u);
  EXPECT_EQ(shares[0].dtype, DType::kBF16);
  EXPECT_EQ(shares[0].elements, 212);
  EXPECT_EQ(shares[0].bytes, 424);
  EXPECT_EQ(shares[1].dtype, DType::kF32);
  EXPECT_EQ(shares[1].elements, 8);
  EXPECT_EQ(shares[2].dtype, DType::kI64);
  EXPECT_EQ(shares[3].bytes, 4);
  EXPECT_TRUE(storage_shares({}).empty());
}

}  // namespace
}  // namespace asmlp::storage_test
