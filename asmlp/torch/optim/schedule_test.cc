#include "asmlp/torch/optim/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/torch/optim/grad_scaler.h"

namespace asmlp::train::schedule_test {
namespace {

TEST(GradScaler, FollowsTheRule) {
  GradScaler scaler(true);
  EXPECT_EQ(scaler.scale(), 65536);
  scaler.update(/*overflow=*/true);
  EXPECT_EQ(scaler.scale(), 32768);
  for (int i = 0; i < GradScaler::kInterval - 1; ++i) scaler.update(false);
  EXPECT_EQ(scaler.scale(), 32768);
  scaler.update(true);  // one step before it would have grown
  EXPECT_EQ(scaler.scale(), 16384);
  for (int i = 0; i < GradScaler::kInterval; ++i) scaler.update(false);
  EXPECT_EQ(scaler.scale(), 32768);
  EXPECT_EQ(scaler.good_steps(), 0);
  for (int i = 0; i < 7; ++i) scaler.update(false);

  GradScaler continued(true);
  continued.restore(scaler.scale(), scaler.good_steps());
  for (int i = 0; i < GradScaler::kInterval - 7; ++i) continued.update(false);
  EXPECT_EQ(continued.scale(), 65536);
  // It stays within what fp32 holds.
  for (int64_t i = 0; i < 200 * GradScaler::kInterval; ++i) continued.update(false);
  EXPECT_LT(continued.scale(), 0x1p127);
  EXPECT_TRUE(std::isfinite(static_cast<float>(continued.scale())));

  GradScaler off(false);
  off.update(true);
  off.restore(4096, 3);
  EXPECT_EQ(off.scale(), 1);
}

TEST(Schedule, WarmupThenCosine) {
  const Schedule s{.peak = 2, .first = 0.5, .last = 0.1, .warmup_steps = 10, .total_steps = 100};
  EXPECT_DOUBLE_EQ(s.lr(0), 0.5);
  EXPECT_DOUBLE_EQ(s.lr(5), 1.25);
  // The cosine counts from the start of the run, so it begins a little below the peak.
  EXPECT_NEAR(s.lr(10), 0.1 + 0.95 * (1 + std::cos(M_PI * 0.1)), 1e-12);
  EXPECT_NEAR(s.lr(50), 0.1 + 0.95, 1e-12);
  EXPECT_NEAR(s.lr(99), 0.1 + 0.95 * (1 + std::cos(M_PI * 0.99)), 1e-12);
  EXPECT_DOUBLE_EQ(s.lr(100), 0.1);
  EXPECT_DOUBLE_EQ(s.lr(100000), 0.1);
  for (int step = 1; step < 10; ++step) EXPECT_GT(s.lr(step), s.lr(step - 1));
  for (int step = 11; step <= 100; ++step) EXPECT_LT(s.lr(step), s.lr(step - 1));
  const Schedule no_warmup{.peak = 2, .first = 0.5, .last = 0, .warmup_steps = 0, .total_steps = 4};
  EXPECT_DOUBLE_EQ(no_warmup.lr(0), 2);
}

// A usual warmup takes at most a tenth, one that is given is kept as far as it fits.
TEST(Schedule, TheWarmupSuitsAnyLength) {
  for (int epochs = 1; epochs <= 30; ++epochs) {
    for (const int64_t steps : {1, 3, 10, 7330}) {
      ScheduleOptions o;
      o.epochs = epochs;
      std::string note;
      const auto warmup = [&] { return make_schedule(o, {.peak = 1}, steps, &note).warmup_steps; };
      EXPECT_EQ(warmup(), std::min<int64_t>(20 * steps, epochs * steps / 10));
      o.usual_warmup = {.steps = 500};
      EXPECT_EQ(warmup(), std::min<int64_t>(500, epochs * steps / 10));
      o.warmup_epochs = 0.5;
      EXPECT_EQ(warmup(), std::llround(0.5 * double(steps)));
      EXPECT_EQ(note, "");
      o.warmup_epochs = epochs + 1;
      EXPECT_EQ(warmup(), epochs * steps / 10);
      EXPECT_THAT(note, testing::HasSubstr("--warmup-steps"));
    }
  }
  ScheduleOptions whole;  // as the run itself is: allowed
  whole.epochs = 2;
  whole.warmup_steps = 20;
  EXPECT_EQ(make_schedule(whole, {.peak = 1}, 10).warmup_steps, 20);
}

TEST(Schedule, MilestonesKeepTheirShares) {
  ScheduleOptions o;
  o.decay = Decay::kMultistep;
  o.epochs = 12;
  const auto steps = [&] { return make_schedule(o, {.peak = 1}, 90).milestones; };
  EXPECT_EQ(steps(), (std::vector<int64_t>{8 * 90, 11 * 90}));
  o.epochs = 1;
  EXPECT_EQ(steps(), (std::vector<int64_t>{60, 83}));  // 82.5
  o.epochs = 4;
  o.milestones = {{27, 33}};
  o.warmup_epochs = 3;
  refit_schedule(o, 36);
  EXPECT_EQ(steps(), (std::vector<int64_t>{270, 330}));
  EXPECT_DOUBLE_EQ(*o.warmup_epochs, 3.0 / 9);
  o.epochs = 72;  // a longer run has no longer warmup
  o.warmup_steps = 100;
  refit_schedule(o, 36);
  EXPECT_EQ(o.warmup_steps, 100);
  o.milestones.emplace();
  EXPECT_TRUE(steps().empty());
}

}  // namespace
}  // namespace asmlp::train::schedule_test
