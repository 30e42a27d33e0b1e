#include "asmlp/torch/nn/sync_batch_norm.h"

#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "asmlp/torch/nn/load_state.h"
#include "tests/support/gradients.h"
#include "tests/support/ranks.h"
#include "tests/support/weight_files.h"

namespace asmlp::nn::sync_batch_norm_test {
namespace {

using dist::run_ranks;

// Numbers that are not symmetric in anything, the same in every call.
torch::Tensor some(torch::IntArrayRef shape, double phase) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return torch::sin(torch::arange(count, torch::kFloat64) * 1.7 + phase).view(shape) * 2 + 0.5;
}

// A norm with weights, in fp64.
SyncBatchNorm2d some_norm(int channels) {
  SyncBatchNorm2d norm(channels);
  norm->to(torch::kFloat64);
  const torch::NoGradGuard no_grad;
  norm->weight.copy_(some({channels}, 0.2));
  norm->bias.copy_(some({channels}, 0.9));
  return norm;
}

// max |a - b|
double distance(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.numel() == 0 && b.numel() == 0) return 0;
  return (a - b).abs().max().item<double>();
}

TEST(SyncBatchNorm, OneProcessIsPlainBatchNorm) {
  constexpr int kChannels = 5;
  SyncBatchNorm2d ours(kChannels);
  torch::nn::BatchNorm2d plain(kChannels);
  EXPECT_TRUE(load_state(*plain, export_state(*ours), "ours").complete());
  EXPECT_EQ(export_state(*ours).size(), 5u);
  const auto x = some({3, kChannels, 4, 3}, 0).to(torch::kFloat);
  // Some roundings of numbers around 1.
  const auto near = [](const auto& a, const auto& b) { return torch::allclose(a, b, 1e-6, 1e-6); };
  const auto world = dist::single_world();
  for (dist::World* processes : {static_cast<dist::World*>(nullptr), world.get()}) {
    ours->set_world(processes);
    for (const bool training : {true, false}) {
      ours->train(training);
      plain->train(training);
      EXPECT_TRUE(near(ours(x), plain(x)));
    }
  }
  EXPECT_TRUE(near(ours->running_mean, plain->running_mean));
  EXPECT_TRUE(near(ours->running_var, plain->running_var));
  EXPECT_TRUE(torch::equal(ours->num_batches_tracked, plain->num_batches_tracked));
  EXPECT_EQ(ours->num_batches_tracked.item<int64_t>(), 2);
}

// Outputs, gradients and running statistics, for parts of any size, one of them empty.
TEST(SyncBatchNorm, SeveralProcessesArePlainBatchNormOfTheWholeBatch) {
  constexpr int kChannels = 3;
  const std::vector<std::vector<int64_t>> splits{{2, 3}, {0, 4}, {1, 1}, {3, 0, 2}};
  for (const auto& split : splits) {
    std::vector<torch::Tensor> parts;
    for (size_t rank = 0; rank < split.size(); ++rank) {
      parts.push_back(some({split[rank], kChannels, 2, 3}, 0.3 + static_cast<double>(rank)));
    }
    const auto whole = torch::cat(parts).requires_grad_();
    const auto direction = some(whole.sizes(), 2);
    SyncBatchNorm2d plain = some_norm(kChannels);
    const auto expected = plain(whole);
    (expected * direction).sum().backward();
    run_ranks(static_cast<int>(split.size()), [&](dist::World& world) {
      const auto rank = static_cast<size_t>(world.rank());
      int64_t first = 0;
      for (size_t r = 0; r < rank; ++r) first += split[r];
      const auto mine = [&](const torch::Tensor& t) {
        return t.slice(0, first, first + split[rank]);
      };
      SyncBatchNorm2d norm = some_norm(kChannels);
      set_world(*norm, &world);
      // Channels-last memory, as the feature maps have it.
      const auto x = parts[rank]
                         .permute({0, 2, 3, 1})
                         .contiguous()
                         .permute({0, 3, 1, 2})
                         .detach()
                         .requires_grad_();
      const auto y = norm(x);
      (y * mine(direction)).sum().backward();
      const double bound = 1e-13 * 30;  // of sums of 30 numbers near 1 in fp64
      EXPECT_LT(distance(y, mine(expected)), bound);
      EXPECT_LT(distance(x.grad(), mine(whole.grad())), bound);
      EXPECT_LT(distance(norm->running_mean, plain->running_mean), bound);
      EXPECT_LT(distance(norm->running_var, plain->running_var), bound);
      EXPECT_EQ(norm->num_batches_tracked.item<int64_t>(), 1);
      for (auto [own, all] : {std::pair{norm->weight, plain->weight}, {norm->bias, plain->bias}}) {
        auto sum = own.grad().clone();
        world.all_reduce(sum);
        EXPECT_LT(distance(sum, all.grad()), bound);
      }
      norm->eval();  // the running statistics, and nobody else is asked
      if (rank == 0) {
        plain->eval();
        EXPECT_LT(distance(norm(x), mine(plain(whole))), bound);
      }
    });
  }
}

TEST(SyncBatchNorm, TheGradientIsThatOfFiniteDifferences) {
  constexpr int kChannels = 2;
  constexpr double kStep = 1e-5;
  run_ranks(2, [&](dist::World& world) {
    SyncBatchNorm2d norm = some_norm(kChannels);
    norm->set_world(&world);
    const std::vector<int64_t> shape{2, kChannels, 1, 2};
    const auto x = some(shape, world.rank()).requires_grad_();
    const auto direction = some(shape, 5 + world.rank());
    (norm(x) * direction).sum().backward();
    // Whoever owns the number moves it; the loss is everyone's.
    const auto loss_at = [&](int owner, int64_t i, double offset) {
      const torch::NoGradGuard no_grad;
      auto moved = x.detach().clone();
      if (world.rank() == owner) moved.view(-1)[i] += offset;
      auto loss = (norm(moved) * direction).sum();
      world.all_reduce(loss);
      return loss.item<double>();
    };
    for (int owner = 0; owner < 2; ++owner) {
      for (int64_t i = 0; i < x.numel(); ++i) {
        const double numeric = (loss_at(owner, i, kStep) - loss_at(owner, i, -kStep)) / (2 * kStep);
        if (owner != world.rank()) continue;
        EXPECT_NEAR(x.grad().reshape(-1)[i].item<double>(), numeric, 1e-8) << i;
      }
    }
  });
}

// fp32 far from zero: a sum of squares in fp32 would leave nothing of the variance.
TEST(SyncBatchNorm, TheVarianceSurvivesALargeMean) {
  const auto x = some({8, 1, 16, 16}, 0) + 3000;
  const double expected = x.to(torch::kFloat).to(torch::kFloat64).var(true).item<double>();
  run_ranks(2, [&](dist::World& world) {
    SyncBatchNorm2d norm(1);
    norm->set_world(&world);
    norm(x.slice(0, 4 * world.rank(), 4 * world.rank() + 4).to(torch::kFloat));
    const double found = (norm->running_var.item<double>() - 0.9) / 0.1;
    EXPECT_NEAR(found / expected, 1, 1e-5);
  });
}

TEST(SyncBatchNorm, ErrorsSayWhatIsWrong) {
  SyncBatchNorm2d norm(3);
  test::expect_words(test::error_of(ErrorCode::kInvalidArgument,
                                    [&] {
                                      norm(torch::zeros({1, 3, 1, 1}));
                                    }),
                     {"1 value(s) per channel", "larger batch"});
  test::expect_words(test::error_of(ErrorCode::kInvalidArgument,
                                    [&] {
                                      norm(torch::zeros({2, 4, 1, 1}));
                                    }),
                     {"[2, 4, 1, 1]", "3 channels"});
  EXPECT_EQ(norm->num_batches_tracked.item<int64_t>(), 0);
  run_ranks(2, [](dist::World& world) {
    SyncBatchNorm2d shared(3);
    shared->set_world(&world);
    const auto one = torch::zeros({world.rank(), 3, 1, 1});
    test::error_of(ErrorCode::kInvalidArgument, [&] { shared(one); });
    const auto x = some({2, 3, 1, 1}, world.rank()).to(torch::kFloat).requires_grad_();
    const auto loss = shared(x).pow(2).sum();
    test::expect_words(test::error_of(ErrorCode::kUnsupported,
                                      [&] { torch::autograd::grad({loss}, {x}, {}, true, true); }),
                       {"gradients of gradients"});
  });
}

}  // namespace
}  // namespace asmlp::nn::sync_batch_norm_test
