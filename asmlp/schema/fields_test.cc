#include "asmlp/schema/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <locale>

#include "asmlp/schema/option_info.h"
#include "asmlp/schema/text.h"
#include "asmlp/schema/yaml.h"

namespace asmlp::fields_test {
namespace {

using testing::HasSubstr;

std::string error_of(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(JsonSize, CountsWhatAParserWouldMake) {
  EXPECT_EQ(json_size("7").values, 1u);
  EXPECT_EQ(json_size("7").depth, 0u);
  EXPECT_EQ(json_size(R"({"a":[1,2,{"b":"[[[,,,\\"]]"}]})").depth, 3u);
  EXPECT_GE(json_size(R"({"a":[1,2,{"b":3}]})").values, 6u);
  EXPECT_TRUE(is_parsable_json(std::string(64, '[')));
  EXPECT_FALSE(is_parsable_json(std::string(65, '[')));
  EXPECT_FALSE(is_parsable_json(std::string(1 << 18, ',')));
}

TEST(JsonText, TooManyValuesAreRefusedBeforeTheyAreParsed) {
  std::string json = "[", yaml;
  for (int i = 0; i < 300'000; ++i) {
    json += "1,";
    yaml += "- 1\n";
  }
  EXPECT_THAT(error_of([&] { json_from_text(json + "1]", "text"); }), HasSubstr("262144 values"));
  EXPECT_THAT(error_of([&] { json_from_yaml(yaml, "text"); }), HasSubstr("65536 lines"));
  EXPECT_THAT(error_of([&] { json_from_text(std::string(100'000, '['), "text"); }),
              HasSubstr("nested deeper than 16"));
}

// A host program may choose a locale whose numbers have a comma.
struct CommaNumbers : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

TEST(JsonText, NumbersHaveAPointInEveryLocale) {
  const std::locale before =
      std::locale::global(std::locale(std::locale::classic(), new CommaNumbers));
  const nlohmann::json yaml = json_from_yaml("a: 1.5\nb: 12345\nc: '1,5'", "text");
  const nlohmann::json json = json_from_text(R"({"a":1.5,"b":12345})", "text");
  const std::string dumped = json.dump();
  std::locale::global(before);
  EXPECT_EQ(yaml["a"], 1.5);
  EXPECT_EQ(yaml["b"], 12345);
  EXPECT_EQ(yaml["c"], "1,5");
  EXPECT_EQ(json["a"], 1.5);
  EXPECT_EQ(dumped, R"({"a":1.5,"b":12345})");
}

struct Knobs {
  int turns = 1;
  double share = 0.5;
  std::optional<double> rate = 2;
  std::array<double, 2> span{0, 1};

  static void visit(auto& self, auto&& field) {
    field("turns", self.turns, FieldInfo{.low = 1, .high = 9, .alias = "rounds"});
    field("the-share", self.share, FieldInfo{.high = 1, .above = 0});
    field("rate", self.rate, OptionInfo{{.low = 0}, "help"});
    field("span", self.span, FieldInfo{.low = 0, .below = 2});
  }
};

std::string read_error(const char* text) {
  Knobs knobs;
  return error_of([&] { read_json(nlohmann::json::parse(text), knobs, "k"); });
}

TEST(Fields, DashesAndUnderscoresAreTheSameInKeys) {
  for (const char* key : {"the-share", "the_share"}) {
    Knobs knobs;
    read_json(nlohmann::json{{key, 0.25}}, knobs, "k");
    EXPECT_EQ(knobs.share, 0.25) << key;
  }
  EXPECT_EQ(read_error(R"({"the-share": 1, "the_share": 1})"), "k: 'the-share' is given twice");
  EXPECT_EQ(read_error(R"({"turns": 1, "rounds": 1})"), "k: 'turns' is given twice");
  EXPECT_THAT(read_error(R"({"the.share": 1})"), HasSubstr("did you mean 'the-share'"));
}

TEST(Fields, NullTakesAnOptionalValueAway) {
  Knobs knobs;
  read_json(nlohmann::json{{"rate", nullptr}}, knobs, "k");
  EXPECT_FALSE(knobs.rate);
  EXPECT_TRUE(fields_to_json(knobs)["rate"].is_null());
  EXPECT_THAT(read_error(R"({"turns": null})"), HasSubstr("k: turns must be an integer"));
}

TEST(Fields, RangesAreToldAsTheyAre) {
  const auto error = [](auto edit, const char* where = "k") {
    Knobs knobs;
    edit(knobs);
    return error_of([&] { check_ranges(knobs, where); });
  };
  EXPECT_EQ(error([](Knobs&) {}), "no error");
  EXPECT_EQ(error([](Knobs& k) { k.turns = 10; }), "k: turns is 10, must be between 1 and 9");
  EXPECT_EQ(error([](Knobs& k) { k.share = 0; }),
            "k: the-share is 0, must be above 0 and at most 1");
  EXPECT_EQ(error([](Knobs& k) { k.rate = -1; }, ""), "rate is -1, must be at least 0");
  EXPECT_EQ(error([](Knobs& k) { k.rate = INFINITY; }), "k: rate is inf, must be at least 0");
  EXPECT_EQ(error([](Knobs& k) { k.share = NAN; }),
            "k: the-share is nan, must be above 0 and at most 1");
  EXPECT_EQ(error([](Knobs& k) { k.span[1] = 2; }), "k: span is 2, must be at least 0 and below 2");
}

}  // namespace
}  // namespace asmlp::fields_test
