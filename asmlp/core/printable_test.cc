#include "asmlp/core/printable.h"

#include <gtest/gtest.h>

namespace asmlp::printable_test {
namespace {

std::string cell(std::string_view text) { return printable(text, LineBreaks::kEscape); }

TEST(Printable, LeavesNothingThatATerminalObeys) {
  EXPECT_EQ(cell("plain, \xc3\xa4\xe4\xb8\xad\xf0\x9f\x90\x88"),
            "plain, \xc3\xa4\xe4\xb8\xad\xf0\x9f\x90\x88");
  EXPECT_EQ(cell("\x1b[31mred\x07"), "\\x1b[31mred\\x07");
  EXPECT_EQ(cell(std::string_view("a\0b\x7f", 4)), "a\\x00b\\x7f");
  EXPECT_EQ(cell("a\nb\tc\r"), "a\\nb\\tc\\x0d");
  EXPECT_EQ(printable("a\nb\tc\r\x1b", LineBreaks::kKeep), "a\nb\tc\\x0d\\x1b");
  EXPECT_EQ(cell("\xc2\x9b"
                 "31m"),
            "\\x9b31m");  // the one-character form of ESC [
  EXPECT_EQ(cell("\x9b"
                 "31m"),
            "\\x9b31m");  // and as a byte that is no UTF-8
  EXPECT_EQ(cell("\xc0\x9b\xed\xa0\x80"), "\\xc0\\x9b\\xed\\xa0\\x80");  // overlong, a surrogate
  EXPECT_EQ(cell("\xe4\xb8"), "\\xe4\\xb8");                             // cut off
  EXPECT_EQ(cell("\xe2\x80\xae"
                 "gpj"),
            "\\u202egpj");  // right to left
  for (int c = 0; c < 256; ++c) {
    for (const unsigned char byte : cell(std::string(1, static_cast<char>(c)))) {
      EXPECT_GE(byte, 0x20) << c;
      EXPECT_LT(byte, 0x7f) << c;
    }
  }
}

}  // namespace
}  // namespace asmlp::printable_test
