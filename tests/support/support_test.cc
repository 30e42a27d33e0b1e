#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <vector>

namespace asmlp::test::support_test {

TEST(RelativeError, IsRelativeToTheReference) {
  const std::vector<float> a{1.0f, 2.5f}, b{1.0f, 2.0f};
  EXPECT_DOUBLE_EQ(relative_error(a, b), 0.25);
  EXPECT_EQ(relative_error(a, std::span(b).first(1)), INFINITY);
  EXPECT_EQ(relative_error(std::vector<float>{NAN}, std::vector<float>{1}), INFINITY);
}

}  // namespace asmlp::test::support_test
