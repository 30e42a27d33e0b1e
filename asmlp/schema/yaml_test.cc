#include "asmlp/schema/yaml.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "asmlp/core/error.h"

namespace asmlp::yaml_test {
namespace {

using testing::HasSubstr;
using Json = nlohmann::ordered_json;

std::string error_of(const std::string& text, ErrorCode code = ErrorCode::kInvalidArgument) {
  try {
    json_from_yaml(text, "a.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(Yaml, ScalarsAreThoseOfTheCoreSchema) {
  const nlohmann::json expected = nlohmann::json::parse(R"({
    "null": [null, null, null], "true": [true, true, true], "false": [false, false],
    "int": [0, -7, 12, 3], "float": [0.5, -1e-300, 2e3, 1.0],
    "text": ["yes", "0x10", ".inf", "-", "nan", "1 2", "1.2.3", "1_000"],
    "quoted": ["1", "true", "", "a\nb", "1", "5"], "block": "two\nlines\n", "folded": "one line"
  })");
  EXPECT_EQ(json_from_yaml("null: [null, Null, ~, ]\n"
                           "true: [true, True, TRUE]\nfalse: [false, False]\n"
                           "int: [0, -7, +12, 3]\nfloat: [0.5, -1e-300, 2e3, 1.0]\n"
                           "text: [yes, 0x10, .inf, \"-\", nan, 1 2, 1.2.3, 1_000]\n"
                           "quoted: ['1', \"true\", '', \"a\\nb\", !!str 1, ! '5']\n"
                           "block: |\n  two\n  lines\nfolded: >-\n  one\n  line\n",
                           "x"),
            expected);
}

TEST(Yaml, DocumentsWithoutAValueAreNull) {
  for (const char* text : {"", "# nothing\n", "---\n", "\xef\xbb\xbf"}) {
    EXPECT_EQ(json_from_yaml(text, "x"), nullptr) << text;
  }
  EXPECT_EQ(json_from_yaml("\xef\xbb\xbf{a: 1}", "x")["a"], 1);
  EXPECT_EQ(json_from_yaml("---\na: 1\n...\n", "x")["a"], 1);
  EXPECT_EQ(json_from_yaml("a:\r\n- 1\r\n- 2\r\n", "x")["a"], (nlohmann::json{1, 2}));
}

TEST(Yaml, AliasesAreExpandedAndBounded) {
  const auto value = json_from_yaml("a: &x [1, {b: &y two}]\nc: *x\nd: *y\n", "x");
  EXPECT_EQ(value["c"], value["a"]);
  EXPECT_EQ(value["d"], "two");
  EXPECT_EQ(json_from_yaml("a: &x 1\nb: &x 2\nc: *x\n", "x")["c"], 2);
  EXPECT_THAT(error_of("a: &x [*x]\n"), HasSubstr("no anchor &x"));
  EXPECT_THAT(error_of("a: *y\n"), HasSubstr("no anchor &y"));
  std::string wide = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n", deep = "a0: &a0 [1]\n";
  for (int k = 1; k < 12; ++k) {
    wide += fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", k, k - 1);
  }
  for (int k = 1; k < 40; ++k) deep += fmt::format("a{0}: &a{0} [*a{1}]\n", k, k - 1);
  EXPECT_THAT(error_of(wide, ErrorCode::kTooLarge), HasSubstr("aliases expand to more than"));
  EXPECT_THAT(error_of(deep), HasSubstr("nested deeper than 16"));
}

TEST(Yaml, SaysWhereItIsWrong) {
  EXPECT_THAT(error_of("a: 1\nb: [1, 2\nc: 3\n"), HasSubstr("a.yaml: not valid YAML: line 3"));
  EXPECT_THAT(error_of("a: 1\n\tb: 2\n"), HasSubstr("line 2"));
  EXPECT_THAT(error_of("a: 1\na: 2\n"), HasSubstr("'a' is given twice"));
  EXPECT_THAT(error_of("[a]: 1\n"), HasSubstr("a key is not plain text"));
  EXPECT_THAT(error_of("a: 1\n---\nb: 2\n"), HasSubstr("a second document"));
  EXPECT_THAT(error_of("a: \xff\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(error_of(std::string("a: \0", 4)), HasSubstr("not valid YAML"));
  EXPECT_THAT(error_of(std::string(100'000, '[')), HasSubstr("nested deeper than 16"));
  EXPECT_THAT(error_of(std::string(100'000, '{')), HasSubstr("a key is not plain text"));
  EXPECT_THAT(error_of(std::string(3 << 20, ' '), ErrorCode::kTooLarge), HasSubstr("at most"));
}

// A value of random shape, with what is awkward in YAML.
Json random_value(std::mt19937& random, int depth) {
  static const char* const kTexts[] = {"",          "true",        "null",
                                       "1e3",       "a: b",        "- x",
                                       "'q'",       "\"q\"",       "#",
                                       "tab\there", "line\nbreak", "\\",
                                       "\x1b[0m",   "b\xc3\xa4r",  "\xf0\x9f\x90\x88",
                                       " blanks ",  "*a",          "&a",
                                       "!b",        "%c",          "@"};
  const auto below = [&](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  switch (below(depth > 4 ? 5 : 8)) {
    case 0:
      return nullptr;
    case 1:
      return below(2) == 1;
    case 2:
      return int64_t(random()) * (below(2) == 1 ? -1 : 1);
    case 3:
      return std::ldexp(double(random()), int(below(120)) - 60);
    case 4:
      return kTexts[below(std::size(kTexts))];
    case 5:
    case 6: {
      Json list = Json::array();
      for (size_t k = below(4); k > 0; --k) list.push_back(random_value(random, depth + 1));
      return list;
    }
    default: {
      Json object = Json::object();
      for (size_t k = below(4); k > 0; --k) {
        object[fmt::format("{}{}", kTexts[below(std::size(kTexts))], k)] =
            random_value(random, depth + 1);
      }
      return object;
    }
  }
}

TEST(Yaml, WhatIsWrittenIsReadBack) {
  std::mt19937 random(23);
  for (int round = 0; round < 500; ++round) {
    Json value = Json::object();
    for (int k = 0; k < 5; ++k) value[fmt::format("key{}", k)] = random_value(random, 1);
    const std::string text = yaml_from_json(value);
    EXPECT_EQ(json_from_yaml(text, "x"), nlohmann::json(value)) << text;
  }
}

TEST(Yaml, LooksAsPeopleWriteIt) {
  EXPECT_EQ(yaml_from_json(Json::parse(R"({"b": 1, "a": {"c": [1, 2.5, "x"], "d": "y: z"}})")),
            "b: 1\na:\n  c: [1, 2.5, \"x\"]\n  d: \"y: z\"\n");
  // A file's name that is no UTF-8.
  EXPECT_EQ(yaml_from_json({{"data", "caf\xe9"}}), "data: \"caf\\\\xe9\"\n");
}

}  // namespace
}  // namespace asmlp::yaml_test
