#include "asmlp/torch/io/class_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace asmlp::nn::class_rows_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const ClassList kPets{{"cat", "dog", "cow"}, 3};

TEST(ClassRows, AHeadIsKeptWhenTheFileHasAllClasses) {
  ClassMatch match = match_classes(kPets, kPets);
  EXPECT_THAT(match.source, ElementsAre(0, 1, 2));
  EXPECT_EQ(match.note, "");
  match = match_classes(kPets, {{"dog", "cow", "cat"}, 3});
  EXPECT_THAT(match.source, ElementsAre(1, 2, 0));
  EXPECT_THAT(match.note, HasSubstr("another order"));
  EXPECT_THAT(match_classes({{"Sea cow", "DOG", "cat"}, 3}, {{"sea_cow", "cat", "dog"}, 3}).source,
              ElementsAre(0, 2, 1));
  EXPECT_THAT(match_classes({{"Cat", "CAT"}, 2}, {{"cat", "dog"}, 2}).source, IsEmpty());
  match = match_classes(kPets, {{"cow", "cat"}, 2});
  EXPECT_THAT(match.source, ElementsAre(2, 0));
  EXPECT_THAT(match.note, HasSubstr("2 classes of the file's 3"));
  match = match_classes(kPets, {{"cow", "emu", "cat"}, 3});
  EXPECT_THAT(match.source, IsEmpty());
  EXPECT_THAT(match.note, HasSubstr("2 of the 3 classes, not 'emu'"));
}

TEST(ClassRows, WithoutNamesTheNumberDecides) {
  EXPECT_THAT(match_classes({{}, 3}, kPets).source, ElementsAre(0, 1, 2));
  EXPECT_THAT(match_classes({{}, 3}, kPets).note, HasSubstr("no class names"));
  EXPECT_THAT(match_classes(kPets, {{}, 3}).source, ElementsAre(0, 1, 2));
  EXPECT_THAT(match_classes({{}, 4}, kPets).source, IsEmpty());
  EXPECT_THAT(match_classes({}, kPets).note, HasSubstr("the file has none"));
}

// Rows of two numbers, the first of which is 10 times the row's number.
Tensor rows(int64_t count) {
  std::vector<float> values(static_cast<size_t>(2 * count));
  for (int64_t i = 0; i < count; ++i) values[static_cast<size_t>(2 * i)] = 10.0f * float(i);
  return make_tensor({count, 2}, std::move(values));
}
std::vector<int> numbers(const Tensor& tensor) {
  std::vector<int> result;
  const std::vector<float> values = to_f32(tensor);
  for (size_t i = 0; i < values.size(); i += 2) result.push_back(int(values[i]) / 10);
  return result;
}

TEST(ClassRows, EveryHeadFollowsItsRule) {
  const auto file = [] {
    return TensorMap{{"head.weight", rows(3)},
                     {"roi_head.bbox_head.0.fc_cls.weight", rows(4)},
                     {"roi_head.bbox_head.0.fc_reg.weight", rows(12)},
                     {"roi_head.bbox_head.1.fc_reg.weight", rows(4)},  // for all classes
                     {"roi_head.mask_head.conv_logits.weight", rows(3)},
                     {"decode_head.conv_seg.weight", rows(3)},
                     {"roi_head.mask_head.convs.0.weight", rows(3)}};
  };
  TensorMap tensors = file();
  EXPECT_EQ(apply_match(tensors, {{2, 0}, ""}, 3), 0u);
  EXPECT_THAT(numbers(tensors.at("head.weight")), ElementsAre(2, 0));
  EXPECT_THAT(numbers(tensors.at("roi_head.bbox_head.0.fc_cls.weight")), ElementsAre(2, 0, 3));
  EXPECT_THAT(numbers(tensors.at("roi_head.bbox_head.0.fc_reg.weight")),
              ElementsAre(8, 9, 10, 11, 0, 1, 2, 3));
  EXPECT_EQ(tensors.at("roi_head.bbox_head.1.fc_reg.weight").shape[0], 4);
  EXPECT_THAT(numbers(tensors.at("roi_head.mask_head.conv_logits.weight")), ElementsAre(2, 0));
  EXPECT_THAT(numbers(tensors.at("decode_head.conv_seg.weight")), ElementsAre(2, 0));
  EXPECT_EQ(tensors.at("roi_head.mask_head.convs.0.weight").shape[0], 3);
  tensors = file();
  EXPECT_EQ(apply_match(tensors, {}, 3), 5u);
  EXPECT_EQ(tensors.size(), 2u);
}

}  // namespace
}  // namespace asmlp::nn::class_rows_test
