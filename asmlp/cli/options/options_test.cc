#include "asmlp/cli/options/options.h"

#include <gtest/gtest.h>

#include <fstream>

#include "asmlp/cli/options/class_names.h"
#include "asmlp/core/error.h"
#include "tests/support/support.h"

namespace asmlp::cli::options_test {
namespace {

TEST(ShiftSizeOption, OneNumberOrTwo) {
  EXPECT_EQ(parse_shift_size("5"), (ShiftSize{5, 5}));
  EXPECT_EQ(parse_shift_size("3,7"), (ShiftSize{3, 7}));
  for (const char* wrong : {"", "0", "256", "-1", "5,", ",5", "5,6,7", "5x", "x", "5 6", "5,,6",
                            "99999999999999999999"}) {
    EXPECT_THROW(parse_shift_size(wrong), Error) << wrong;
  }
}

TEST(ClassMap, OneNamePerLineWhateverTheLineEnds) {
  test::TemporaryFolder folder;
  const auto file = folder.path() / "classes.txt";
  std::ofstream(file) << "cat\r\ndog, hound\n\nlast\n\n";
  EXPECT_EQ(read_class_map(file), (std::vector<std::string>{"cat", "dog, hound", "", "last"}));
}

TEST(ClassLabel, FallsBackToTheNumber) {
  EXPECT_EQ(class_label({"cat", "dog"}, 1), "dog");
  EXPECT_EQ(class_label({}, 17), "class 17");
}

}  // namespace
}  // namespace asmlp::cli::options_test
