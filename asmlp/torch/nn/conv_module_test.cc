#include "asmlp/torch/nn/conv_module.h"

#include <gtest/gtest.h>

#include "tests/support/modules.h"
#include "tests/support/weight_files.h"

namespace asmlp::nn::conv_module_test {
namespace {

TEST(FoldBatchNorm, ComputesTheSameWithoutNorms) {
  for (const int kernel : {1, 3}) {
    torch::nn::ModuleList net(ConvModule(5, 7, kernel, AfterConv::kBatchNormRelu),
                              ConvModule(7, 4, kernel, AfterConv::kRelu),
                              ConvModule(4, 6, kernel, AfterConv::kBatchNormRelu),
                              ConvModule(6, 3, kernel, AfterConv::kNothing));
    fill_module(*net);
    {
      const torch::NoGradGuard no_grad;  // statistics that matter; channel 2 hardly varied
      auto* norm = net->modules()[3]->as<SyncBatchNorm2d>();
      ASSERT_TRUE(norm != nullptr);
      norm->running_mean.copy_(filled("mean", {7}) * 3);
      norm->running_var.copy_(filled("var", {7}).square() + 0.1);
      norm->running_var[2] = 1e-7;
    }
    test::error_of(ErrorCode::kInvalidArgument, [&] { fold_batch_norm(*net); });
    net->eval();
    const torch::NoGradGuard no_grad;
    const auto forward = [&](torch::Tensor x) {
      for (const auto& conv : *net) x = conv->as<ConvModule>()->forward(x);
      return x;
    };
    const torch::Tensor x = filled("x", {2, 5, 9, 8});
    const torch::Tensor before = forward(x);
    fold_batch_norm(*net);
    EXPECT_EQ(export_state(*net).size(), 8u);  // four weights, four biases
    EXPECT_LT(difference(forward(x), before), 1e-5);
    EXPECT_FALSE(torch::equal(before, torch::zeros_like(before)));
    const torch::Tensor once = forward(x);
    fold_batch_norm(*net);  // nothing is left to fold
    EXPECT_TRUE(torch::equal(forward(x), once));
  }
}

}  // namespace
}  // namespace asmlp::nn::conv_module_test
