#include "asmlp/cli_torch/train/train_display.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "asmlp/report/table.h"

namespace asmlp::cli::train_display_test {
namespace {

// The step of a long run with many digits.
train::StepReport long_step() {
  train::StepReport r;
  r.epoch = 299;
  r.batch = 10008;
  r.batches = 10010;
  r.epochs = 300;
  r.images = 128;
  r.mean_loss = 6.9873;
  r.gradient_norm = 123456;
  r.lr = 1.234e-3;
  r.bad_samples = 1234;
  r.skipped = true;
  return r;
}

TEST(TrainDisplay, TheLongestLineOfAStepFitsEightyColumns) {
  std::ostringstream out;
  TrainDisplay display(1, 0, {&out, false, 80});
  display.on_step(long_step());
  std::string line = out.str();
  ASSERT_TRUE(line.ends_with('\n'));
  line.pop_back();
  EXPECT_LE(display_width(line), 80) << line;
  EXPECT_THAT(line, testing::StartsWith("epoch 300/300 step 10009/10010 "));
  EXPECT_THAT(line, testing::HasSubstr("loss 6.9873"));
  EXPECT_THAT(line, testing::HasSubstr("skipped 1 bad 1234"));

  // A short one is whole.
  out.str("");
  train::StepReport r = long_step();
  r.epoch = r.batch = r.bad_samples = 0;
  r.skipped = false;
  r.batches = 4;
  r.epochs = 3;
  TrainDisplay(1, 0, {&out, false, 120}).on_step(r);
  EXPECT_THAT(out.str(), testing::MatchesRegex(
                             "epoch 1/3 step 1/4 .* img/s loss 6.9873 lr 1.23e-03 ETA .* grad "
                             "1.23e\\+05\n"));
}

TEST(TrainDisplay, OnATerminalTheBarFitsTheWidth) {
  for (const int columns : {40, 80, 120}) {
    std::ostringstream out;
    TrainDisplay display(1, 0, {&out, true, columns});
    display.on_step(long_step());
    EXPECT_LT(display_width(out.str()), columns) << out.str();
    EXPECT_THAT(out.str(), testing::StartsWith("epoch 300/300 "));
    if (columns >= 80) {
      EXPECT_THAT(out.str(), testing::HasSubstr("skipped 1 bad 1234"));
    }
  }
}

}  // namespace
}  // namespace asmlp::cli::train_display_test
