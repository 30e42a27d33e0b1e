#include "asmlp/core/printable.h"

#include <gtest/gtest.h>

namespace asmlp::printable_test {
namespace {

std::string cell(std::string_view text) { return printable(text); }

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

TEST(Printable, AMessageKeepsOnlyBreaksBeforeAnIndentation) {
  const auto message = [](std::string_view text) { return printable(text, LineBreaks::kIndented); };
  EXPECT_EQ(message("two sides differ:\n  left: a\n  right: b"),
            "two sides differ:\n  left: a\n  right: b");
  EXPECT_EQ(message("a\nasmlp: error: forged: cannot read"),
            "a\\nasmlp: error: forged: cannot read");
  EXPECT_EQ(message("a\n b\n"), "a\\n b\\n");
  EXPECT_EQ(message("a\tb\r\n  c\x1b"), "a\\tb\\x0d\n  c\\x1b");
}

TEST(Printable, SeparatorsOfLinesAreEscaped) {
  EXPECT_EQ(cell("a\xe2\x80\xa8"
                 "b\xe2\x80\xa9\xd8\x9c"),
            "a\\u2028b\\u2029\\u061c");
}

TEST(Printable, JsonKeepsItsMeaningAndLayout) {
  EXPECT_EQ(printable_json("{\n  \"a\": \"\x7f\xc2\x9b\xe2\x80\xae\xc3\xa4\\u001b\"\n}\n"),
            "{\n  \"a\": \"\\u007f\\u009b\\u202e\xc3\xa4\\u001b\"\n}\n");
}

}  // namespace
}  // namespace asmlp::printable_test
