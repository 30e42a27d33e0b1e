#include "asmlp/weights/fold_batch_norm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "asmlp/core/error.h"

namespace asmlp::fold_batch_norm_test {
namespace {

TensorMap layer_with_norm() {
  TensorMap tensors;
  tensors["a.conv.weight"] = make_tensor({2, 3, 1, 1}, {1, 2, 3, -1, 0.5f, 4});
  tensors["a.bn.weight"] = make_tensor({2}, {0.5f, 2});
  tensors["a.bn.bias"] = make_tensor({2}, {1, -3});
  tensors["a.bn.running_mean"] = make_tensor({2}, {0.25f, -1});
  tensors["a.bn.running_var"] = make_tensor({2}, {4, 0.01f});
  tensors["a.bn.num_batches_tracked"] = make_tensor({}, {7});
  tensors["b.weight"] = make_tensor({1}, {9});
  return tensors;
}

TEST(FoldBatchNorm, GivesTheValuesOfTheNorm) {
  const TensorMap folded = fold_batch_norms(layer_with_norm());
  ASSERT_EQ(folded.size(), 3u);
  EXPECT_EQ(to_f32(folded.at("b.weight"))[0], 9);
  const auto weight = to_f32(folded.at("a.conv.weight")), bias = to_f32(folded.at("a.conv.bias"));
  const float x[3] = {0.5f, -2, 1.5f}, w[6] = {1, 2, 3, -1, 0.5f, 4};
  const double gamma[2] = {0.5, 2}, beta[2] = {1, -3}, mean[2] = {0.25, -1}, var[2] = {4, 0.01f};
  for (int c = 0; c < 2; ++c) {
    double plain = 0, sum = bias[c];
    for (int k = 0; k < 3; ++k) plain += x[k] * w[3 * c + k], sum += x[k] * weight[3 * c + k];
    EXPECT_NEAR(sum, (plain - mean[c]) / std::sqrt(var[c] + 1e-5) * gamma[c] + beta[c], 1e-5);
  }
}

TEST(FoldBatchNorm, SaysWhichPartIsMissing) {
  for (const char* name : {"a.bn.bias", "a.bn.running_mean", "a.bn.running_var"}) {
    TensorMap tensors = layer_with_norm();
    tensors.erase(name);
    EXPECT_THAT([&] { fold_batch_norms(tensors); },
                testing::ThrowsMessage<Error>(testing::HasSubstr(name)));
    tensors[name] = make_tensor({3}, {1, 2, 3});
    EXPECT_THAT([&] { fold_batch_norms(tensors); },
                testing::ThrowsMessage<Error>(testing::HasSubstr(name)));
  }
  TensorMap tensors = layer_with_norm();
  tensors.erase("a.conv.weight");
  EXPECT_THROW(fold_batch_norms(tensors), Error);
}

}  // namespace
}  // namespace asmlp::fold_batch_norm_test
