#include "asmlp/torch/train/resume_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "tests/support/support.h"

namespace asmlp::train::resume_options_test {
namespace {

using testing::HasSubstr;

TEST(ResumeOptions, AnotherNumberOfProcessesKeepsTheGlobalBatch) {
  for (const int before : {1, 2, 3, 4, 8}) {
    for (const int after : {1, 2, 3, 4, 8}) {
      for (const int batch : {1, 6, 8}) {
        TrainOptions saved;
        saved.schedule.batch_size = batch;
        saved.schedule.accumulation_steps = 2;
        ScheduleOptions now = saved.schedule;
        const auto note = keep_global_batch(saved, before, after, now);
        const int64_t global = saved.schedule.global_batch(before);
        EXPECT_EQ(note.has_value(), before != after);
        if (global % after == 0) {
          EXPECT_EQ(now.global_batch(after), global);
          EXPECT_LE(now.batch_size, batch);  // it fits into the memory
        } else {
          EXPECT_EQ(now.batch_size, batch);
          EXPECT_THAT(*note, HasSubstr("cannot stay"));
        }
      }
    }
  }
}

TEST(ResumeOptions, AStepIsNoLargerThanTheDataSet) {
  for (const int images : {1, 5, 40, 127, 128, 1000}) {
    for (const int world : {1, 2, 5}) {
      TrainOptions o;
      o.schedule.batch_size = 32;
      o.schedule.accumulation_steps = 4;
      if (images < world) {
        EXPECT_THAT(
            test::error_of(ErrorCode::kInvalidArgument, [&] { fit_batch(images, world, o); }),
            HasSubstr("--nproc"));
        continue;
      }
      const auto note = fit_batch(images, world, o);
      EXPECT_LE(o.schedule.global_batch(world), images);
      EXPECT_GE(o.schedule.global_batch(world), 1);
      EXPECT_EQ(note.has_value(), 32 * 4 * world > images);
      if (note) {
        EXPECT_THAT(*note, HasSubstr("--batch-size"));
      }
      EXPECT_FALSE(fit_batch(images, world, o));
    }
  }
  // An epoch of a fixed number of steps goes through the images more than once.
  TrainOptions o = default_options(Task::kSegment);
  o.schedule.accumulation_steps = 100;
  EXPECT_FALSE(fit_batch(4, 1, o));
}

// What a version before wrote for a run with nothing given but the number of epochs.
TEST(ResumeOptions, RunsOfEarlierVersionsGoOnAsPlanned) {
  for (const Task task : {Task::kClassify, Task::kDetect, Task::kSegment}) {
    TrainOptions now = default_options(task), saved = now;
    if (task == Task::kClassify) {
      saved.schedule.warmup_epochs = 20;
      saved.schedule.milestones.emplace();
    } else {
      const bool detects = task == Task::kDetect;
      saved.schedule.warmup_epochs = 0;
      saved.schedule.warmup_steps = detects ? 500 : 1500;
      saved.schedule.lr = detects ? 1e-4 : 6e-5;
      saved.schedule.milestones.emplace();
      if (detects) saved.schedule.milestones = {{8, 11}};
    }
    EXPECT_THROW(check_resumable(saved, now), Error);
    adopt_former_defaults(saved, now);
    EXPECT_TRUE(check_resumable(saved, now).empty());
    // What is given stays, and is compared.
    now.schedule.warmup_epochs = 3;
    adopt_former_defaults(saved, now);
    EXPECT_EQ(now.schedule.warmup_epochs, 3);
    EXPECT_THROW(check_resumable(saved, now), Error);
  }
}

}  // namespace
}  // namespace asmlp::train::resume_options_test
