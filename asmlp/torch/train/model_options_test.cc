#include "asmlp/torch/train/model_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/torch/train/options.h"
#include "tests/support/support.h"

namespace asmlp::train::model_options_test {
namespace {

using testing::HasSubstr;

TEST(ModelOptions, OwnDataIsTurnedUprightUnlessSomebodySaysOtherwise) {
  TrainOptions o;
  const auto exif = [&] { return resolve_model(o, 10).spec.preprocessing.exif; };
  o.model.choice = "asmlp_tiny_patch4_shift5_224";
  EXPECT_EQ(exif(), Exif::kApply);
  o.model.choice =
      R"({"model": "asmlp_tiny_patch4_shift5_224", "preprocessing": {"exif": "ignore"}})";
  EXPECT_EQ(exif(), Exif::kIgnore);
  o.model.exif = Exif::kApply;
  EXPECT_EQ(exif(), Exif::kApply);
  o.model.exif = Exif::kIgnore;
  EXPECT_EQ(o.model.decoding().exif, Exif::kIgnore);
  o.model.max_pixels = 1000;
  EXPECT_EQ(o.model.decoding().max_pixels, 1000);
}

TEST(ModelOptions, TheModelTakesTheOptionsIntoAccount) {
  TrainOptions o;
  o.model.choice = "asmlp_tiny_patch4_shift5_224";
  EXPECT_EQ(resolve_model(o, 10).spec.config.num_classes, 10);
  o.model.num_classes = 12;
  o.model.drop_path = 0.25;
  o.classification.img_size = 64;
  const ModelSpec spec = resolve_model(o, 10).spec;
  EXPECT_EQ(spec.config.num_classes, 12);
  EXPECT_EQ(spec.preprocessing.size, 64);
  EXPECT_EQ(spec.config.drop_path, 0.25);
  EXPECT_TRUE(spec.classes.empty());
  o.model.choice = "asmlp_tinny";
  EXPECT_THAT(test::error_of(ErrorCode::kNotFound, [&] { resolve_model(o, 10); }),
              HasSubstr("asmlp_tiny"));
  // A description of another task.
  o.model.choice = R"({"model": "upernet_asmlp_tiny"})";
  EXPECT_THAT(test::error_of(ErrorCode::kUnsupported, [&] { resolve_model(o, 10); }),
              HasSubstr("segmentor"));
}

}  // namespace
}  // namespace asmlp::train::model_options_test
