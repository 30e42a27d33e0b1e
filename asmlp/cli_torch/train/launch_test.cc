#include "asmlp/cli_torch/train/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asmlp::cli::launch_test {
namespace {

using testing::HasSubstr;

TEST(Launch, DividesTheCores) {
  const WorkerThreads divided = divide_threads(2, 0, nullptr, 5);
  EXPECT_EQ(divided.threads, 2);
  EXPECT_EQ(divided.note, "2 processes of 2 threads each (5 cores divided)");
  EXPECT_EQ(divide_threads(2, 0, "", 2).note, "2 processes of 1 thread each (2 cores divided)");
}

TEST(Launch, TakesTheNumberThatIsGiven) {
  EXPECT_EQ(divide_threads(2, 0, "3", 16).threads, 3);
  EXPECT_EQ(divide_threads(2, 0, "3,2", 16).note,
            "2 processes of 3 threads each (OMP_NUM_THREADS)");
  EXPECT_EQ(divide_threads(2, 4, "3", 16).note, "2 processes of 4 threads each (--threads)");
}

TEST(Launch, SaysWhenThereAreTooManyThreads) {
  const WorkerThreads given = divide_threads(2, 0, "8", 8);
  EXPECT_EQ(given.threads, 8);
  EXPECT_EQ(given.note,
            "2 processes of 8 threads each (OMP_NUM_THREADS) are more than the 8 cores that this "
            "machine gives: they wait for one another; leave OMP_NUM_THREADS out, which makes it 4 "
            "threads each");
  const WorkerThreads many = divide_threads(3, 0, nullptr, 2);
  EXPECT_EQ(many.threads, 1);
  EXPECT_THAT(many.note, HasSubstr("3 processes of 1 thread each are more than the 2 cores"));
  EXPECT_THAT(many.note, HasSubstr("--nproc 2 is faster"));
  EXPECT_THAT(divide_threads(3, 2, nullptr, 2).note, HasSubstr("--nproc 2 is faster"));
}

}  // namespace
}  // namespace asmlp::cli::launch_test
