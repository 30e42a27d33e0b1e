#include "asmlp/dataset/class_match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "asmlp/core/error.h"
#include "tests/support/support.h"

namespace asmlp::class_match_test {
namespace {

using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Names = std::vector<std::string>;

ClassSide data_of(const Names& names) {
  return {"the data D", names, static_cast<int>(names.size())};
}
ClassSide model_of(const Names& names) {
  return {"the model M", names, static_cast<int>(names.size())};
}
ClassMatch match(const Names& data, const Names& model) {
  return match_classes(data_of(data), model_of(model));
}

// Whatever the order, and however the names are written: a class is where its name is.
TEST(MatchClasses, FindsEveryOrderAndEverySubsetByName) {
  std::mt19937 random(3);
  Names model;
  for (int k = 0; k < 12; ++k) model.push_back("Kind_of-" + std::string(1, char('a' + k)));
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<int> order(model.size());
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    order.resize(1 + random() % order.size());
    Names data, loose;
    for (const int k : order) {
      data.push_back(model[static_cast<size_t>(k)]);
      loose.push_back("KIND of " + std::string(1, char('A' + k)));
    }
    EXPECT_EQ(match(data, model).places, order);
    const ClassMatch found = match(loose, model);
    EXPECT_EQ(found.places, order);
    EXPECT_EQ(found.subset, order.size() < model.size());
    EXPECT_THAT(found.notes.front(), HasSubstr("'" + loose[0] + "' is '" + data[0] + "'"));
  }
  EXPECT_THAT(match(model, model).notes, IsEmpty());
  EXPECT_THAT(match({"b", "a"}, {"a", "b"}).notes, ElementsAre(HasSubstr("different order")));
  EXPECT_THAT(match({"b"}, {"a", "b"}).notes, ElementsAre(HasSubstr("1 of the model's 2 classes")));
}

TEST(MatchClasses, KnowsSynonymsAndIdentifiers) {
  EXPECT_THAT(match({"goldfish", "tench"}, {"tench, Tinca tinca", "goldfish, Carassius"}).places,
              ElementsAre(1, 0));
  const std::vector<ClassAlias> aliases{{"n01440764", "tench"}, {"n01443537", "goldfish"}};
  const auto through = [&](const Names& data, const Names& model) {
    return match_classes(data_of(data), model_of(model), aliases);
  };
  const ClassMatch found = through({"n01440764", "n01443537"}, {"goldfish, Carassius", "tench"});
  EXPECT_THAT(found.places, ElementsAre(1, 0));
  EXPECT_THAT(found.notes, ElementsAre(HasSubstr("'n01440764' is 'tench'")));
  EXPECT_THAT(through({"Goldfish"}, {"n01440764", "n01443537"}).places, ElementsAre(1));
  EXPECT_THROW(through({"n01440765"}, {"tench"}), Error);
  // Two classes of one name.
  const std::vector<ClassAlias> cranes{{"n1", "crane"}, {"n2", "tench"}, {"n3", "crane"}};
  EXPECT_THAT(
      match_classes(data_of({"n3", "n2"}), model_of({"crane", "tench", "crane"}), cranes).places,
      ElementsAre(2, 1));
}

TEST(MatchClasses, TakesPlainNumbersByTheirValue) {
  const Names names{"zero", "one",   "two",   "three", "four", "five",
                    "six",  "seven", "eight", "nine",  "ten"};
  // As folders are sorted: by text.
  const Names folders{"0", "1", "10", "2", "3", "4", "5", "6", "7", "8", "9"};
  EXPECT_THAT(match(folders, names).places, ElementsAre(0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_THAT(match(folders, names).notes, ElementsAre(HasSubstr("numbers")));
  EXPECT_THAT(match(names, folders).places, ElementsAre(0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 2));
  EXPECT_THAT(match({"01", "02"}, {"a", "b"}).places, ElementsAre(0, 1));
  for (const Names& bad : {Names{"0", "2"}, {"2", "3"}, {"-1", "0"}, {"0", "0"}, {"0", "x"}}) {
    EXPECT_EQ(error_of([&] { match(bad, {"a", "b"}); }).code(), ErrorCode::kMismatch);
  }
  // Ten of a thousand numbers: which ones is not said.
  EXPECT_THROW(match({"0", "1"}, {"a", "b", "c"}), Error);
}

TEST(MatchClasses, WithoutNamesGoesByNumber) {
  const ClassSide unnamed{"the model M", {}, 3};
  const ClassMatch found = match_classes(data_of({"x", "y", "z"}), unnamed);
  EXPECT_THAT(found.places, ElementsAre(0, 1, 2));
  EXPECT_THAT(found.notes, ElementsAre(HasSubstr("the model M does not name its classes")));
  const ClassSide labels{"the data D", {}, 2};
  EXPECT_THAT(match_classes(labels, model_of({"a", "b"})).notes,
              ElementsAre(HasSubstr("the data D does not name its classes")));
  const Error error = error_of([&] { match_classes(data_of({"x", "y"}), unnamed); });
  EXPECT_EQ(error.code(), ErrorCode::kMismatch);
  EXPECT_THAT(error.what(), HasSubstr("the data D has 2 classes, the model M has 3"));
}

TEST(MatchClasses, OtherClassesAreAnErrorThatListsBoth) {
  const Error error = error_of([] {
    match({"tench", "church", "e1", "e2", "e3", "e4", "e5", "e6", "bag"},
          {"trouser", "Bag", "coat"});
  });
  EXPECT_EQ(error.code(), ErrorCode::kMismatch);
  EXPECT_THAT(error.what(), HasSubstr("only in the data (9 classes): tench, church, e1, e2, e3, e4 "
                                      "and 2 more"));
  EXPECT_THAT(error.what(), HasSubstr("only in the model (3 classes): trouser, coat"));
  // Two classes of one name (ImageNet has two cranes): one folder of it could be either.
  EXPECT_THROW(match({"crane"}, {"crane", "crane"}), Error);
  EXPECT_THAT(match({"crane", "crane"}, {"crane", "crane"}).places, ElementsAre(0, 1));
}

}  // namespace
}  // namespace asmlp::class_match_test
