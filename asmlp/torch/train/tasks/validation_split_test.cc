#include "asmlp/torch/train/tasks/validation_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/image/encode.h"
#include "asmlp/torch/train/tasks/make_task.h"
#include "tests/support/trainer_runs.h"

namespace asmlp::train::validation_split_test {
namespace {

using testing::HasSubstr;

TEST(ValidationSplit, OfClassFoldersIsHeldOutPerClass) {
  const test::TemporaryFolder folder;
  for (const char* name : {"a", "b"}) {
    fs::create_directories(folder.path() / name);
    for (int i = 0; i < 10; ++i) {
      write_png(folder.path() / name / (std::to_string(i) + ".png"), Image(8, 8, 1));
    }
  }
  const auto world = dist::single_world();
  TrainOptions options = small_options();
  options.model.data = folder.path();
  EXPECT_THAT(test::error_of(ErrorCode::kNotFound, [&] { make_task(options, "x", *world); }),
              HasSubstr("--val-fraction 0.1"));
  options.model.val_fraction = 0.2;
  const auto task = make_task(options, "x", *world);
  EXPECT_EQ(task->facts().training_images, 16);
  EXPECT_EQ(task->facts().validation_images, 4);
}

}  // namespace
}  // namespace asmlp::train::validation_split_test
