#include "asmlp/torch/io/class_rows.h"

#include <gtest/gtest.h>

#include <numeric>

namespace asmlp::nn::class_rows_test {
namespace {

// `rows` rows of two values: 0, 1, 2, ...
Tensor counted(int64_t rows) {
  std::vector<float> values(static_cast<size_t>(2 * rows));
  std::iota(values.begin(), values.end(), 0.0f);
  return make_tensor({rows, 2}, std::move(values));
}

TEST(ClassRows, FollowTheNames) {
  const TensorMap before{{"roi_head.bbox_head.fc_cls.weight", counted(4)},
                         {"roi_head.bbox_head.0.fc_reg.weight", counted(12)},
                         {"roi_head.mask_head.conv_logits.weight", counted(3)},
                         {"decode_head.conv_seg.weight", counted(3)},
                         {"head.weight", counted(3)},
                         {"other.weight", counted(3)},
                         {"neck.fc_reg.weight", counted(4)}};
  TensorMap after = before;
  ASSERT_TRUE(reorder_class_rows(after, {"a", "b", "c"}, {"c", "a", "b"}));
  const std::vector<float> three{4, 5, 0, 1, 2, 3};
  for (const char* name :
       {"roi_head.mask_head.conv_logits.weight", "decode_head.conv_seg.weight", "head.weight"}) {
    EXPECT_EQ(to_f32(after.at(name)), three) << name;
  }
  EXPECT_EQ(to_f32(after.at("roi_head.bbox_head.fc_cls.weight")),
            (std::vector<float>{4, 5, 0, 1, 2, 3, 6, 7}));  // the background stays last
  const std::vector<float> boxes = to_f32(after.at("roi_head.bbox_head.0.fc_reg.weight"));
  EXPECT_EQ(boxes[0], 16);
  EXPECT_EQ(boxes[8], 0);
  for (const char* name : {"other.weight", "neck.fc_reg.weight"}) {
    EXPECT_EQ(to_f32(after.at(name)), to_f32(before.at(name))) << name;
  }
  // There and back.
  ASSERT_TRUE(reorder_class_rows(after, {"c", "a", "b"}, {"a", "b", "c"}));
  for (const auto& [name, tensor] : before) EXPECT_EQ(to_f32(after.at(name)), to_f32(tensor));
}

TEST(ClassRows, StayWhereNamesSayNothing) {
  TensorMap tensors{{"head.weight", counted(2)}};
  const std::vector<float> before = to_f32(tensors.at("head.weight"));
  using Names = std::vector<std::string>;
  for (const auto& [from, to] :
       {std::pair(Names{"a", "b"}, Names{"a", "b"}), std::pair(Names{"a", "b"}, Names{"a", "c"}),
        std::pair(Names{"a", "a"}, Names{"a", "b"}), std::pair(Names{}, Names{"a", "b"})}) {
    EXPECT_FALSE(reorder_class_rows(tensors, from, to));
  }
  EXPECT_EQ(to_f32(tensors.at("head.weight")), before);
}

}  // namespace
}  // namespace asmlp::nn::class_rows_test
