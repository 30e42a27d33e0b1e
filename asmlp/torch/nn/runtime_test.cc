#include "asmlp/torch/nn/runtime.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"

namespace asmlp::nn {
namespace {

TEST(Runtime, SetsTheThreadsOfLibTorch) {
  EXPECT_EQ(configure_runtime(), available_cores());
  EXPECT_EQ(at::get_num_threads(), available_cores());
  EXPECT_EQ(configure_runtime(1), 1);
  EXPECT_EQ(at::get_num_threads(), 1);
  EXPECT_THROW(configure_runtime(-1), Error);
  EXPECT_THROW(configure_runtime(257), Error);
  EXPECT_EQ(configure_runtime(0), available_cores());
}

}  // namespace
}  // namespace asmlp::nn
