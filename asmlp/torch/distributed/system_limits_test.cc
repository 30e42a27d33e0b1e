#include "asmlp/torch/distributed/system_limits.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include "asmlp/core/error.h"

namespace asmlp::dist::system_limits_test {
namespace {

TEST(SystemLimits, DescriptorsAreCountedBeforeTheyAreMissed) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int unused = free_descriptors();
  const int opened = ::dup(0);
  ASSERT_GE(opened, 0);
  EXPECT_EQ(free_descriptors(), unused - 1);
  require_system_limits(0, 2);
  // As many as two processes need, less one.
  rlimit few = before;
  few.rlim_cur = 0;
  while (::setrlimit(RLIMIT_NOFILE, &few) == 0 && free_descriptors() < descriptors_needed(2) - 1) {
    ++few.rlim_cur;
  }
  std::string said;
  try {
    require_system_limits(1, 2);
  } catch (const Error& error) {
    said = error.what();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ::close(opened);
  EXPECT_THAT(said, testing::AllOf(testing::HasSubstr("rank 1 of 2"),
                                   testing::HasSubstr("raise `ulimit -n` by 1")));
}

}  // namespace
}  // namespace asmlp::dist::system_limits_test
