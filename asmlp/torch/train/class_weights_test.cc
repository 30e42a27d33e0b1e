#include "asmlp/torch/train/class_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "asmlp/core/error.h"
#include "asmlp/schema/fields.h"
#include "tests/support/support.h"

namespace asmlp::train::class_weights_test {
namespace {

using Kind = ClassWeights::Kind;
using testing::HasSubstr;

ClassWeights read(const nlohmann::json& json) {
  ClassWeights weights;
  read_json(json, weights, "class-weights");
  return weights;
}

TEST(ClassWeights, AreReadFromTextAndLists) {
  const ClassWeights list{Kind::kList, {1, 2.5, 0}};
  EXPECT_EQ(read("1,2.5,0"), list);
  EXPECT_EQ(read(" 1 2.5, 0"), list);
  EXPECT_EQ(read({1, 2.5, 0}), list);
  EXPECT_EQ(read("balanced").kind, Kind::kBalanced);
  EXPECT_EQ(read("none").kind, Kind::kNone);
  EXPECT_EQ(read(nullptr).kind, Kind::kUnset);
  for (const ClassWeights& weights : {list, read("balanced"), read("none"), ClassWeights{}}) {
    EXPECT_EQ(read(fields_to_json(weights)), weights);
  }
  for (const nlohmann::json& wrong :
       {nlohmann::json("1,x"), nlohmann::json("1;2"), nlohmann::json(""), nlohmann::json(3),
        nlohmann::json(true)}) {
    EXPECT_THAT(test::error_of(ErrorCode::kInvalidArgument, [&] { read(wrong); }),
                HasSubstr("class-weights"))
        << wrong;
  }
}

// The weighted numbers of all classes that occur are the same, and the mean weight of a sample
// is 1.
TEST(ClassWeights, BalancedGivesEveryClassTheSameShare) {
  const std::vector<int64_t> counts{90, 9, 1, 0};
  const std::vector<double> weights =
      weights_of({Kind::kBalanced}, {"a", "b", "c", "d"}, [&] { return counts; });
  for (int i = 0; i < 3; ++i) EXPECT_DOUBLE_EQ(weights[i] * double(counts[i]), 100.0 / 3);
  EXPECT_EQ(weights[3], 1);
}

TEST(ClassWeights, OfAnotherNumberOfClassesSayWhatToDo) {
  const auto counts = []() -> std::vector<int64_t> { throw std::logic_error("not needed"); };
  EXPECT_TRUE(weights_of({Kind::kNone}, {"a"}, counts).empty());
  EXPECT_EQ(weights_of({Kind::kList, {3}}, {"a"}, counts), std::vector<double>{3});
  EXPECT_THAT(test::error_of(ErrorCode::kInvalidArgument,
                             [&] {
                               weights_of({Kind::kList, {3, 4}}, {"cat", "dog", "cow"}, counts);
                             }),
              testing::AllOf(HasSubstr("2 numbers"), HasSubstr("3 classes (cat, dog, cow)"),
                             HasSubstr("balanced")));
}

}  // namespace
}  // namespace asmlp::train::class_weights_test
