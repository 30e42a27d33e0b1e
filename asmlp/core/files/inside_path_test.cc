#include "asmlp/core/files/inside_path.h"

#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "asmlp/core/utf8.h"

namespace asmlp::test::inside_path_test {
namespace {

TEST(InsidePath, OnlyNamesBelowTheFolderStayInside) {
  for (const char* name : {"a", "a/b.jpg", "a/../b", "./a", "a/..", "..a/b", "a..", "..."}) {
    EXPECT_TRUE(stays_inside(name)) << name;
  }
  for (const char* name : {"", "..", "../a", "a/../../b", "/etc/passwd", "//x", "./../x"}) {
    EXPECT_FALSE(stays_inside(name)) << name;
  }
  EXPECT_FALSE(stays_inside(std::string_view("a\0b", 3)));
  EXPECT_THROW(require_inside("../x", "a.json: file_name"), Error);
  EXPECT_NO_THROW(require_inside("x", "a.json: file_name"));
}

TEST(Utf8, IsToldFromOtherBytes) {
  for (const char* text : {"", "plain", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  for (const char* text : {"\xe4", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "a\x80",
                           "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80"}) {
    EXPECT_FALSE(is_utf8(text));
  }
}

}  // namespace
}  // namespace asmlp::test::inside_path_test
