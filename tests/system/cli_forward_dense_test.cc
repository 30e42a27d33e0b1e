// `forward` of detectors and segmentors: the maps that other software is compared with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/weights/fill.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/command.h"
#include "tests/support/support.h"

namespace asmlp::test::cli_forward_dense_test {
namespace {

using testing::HasSubstr;

class ForwardDense : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() / name; }

  // The outputs for images [first, first + count) of three.
  TensorMap forward(const std::string& model, int64_t first, int64_t count,
                    std::vector<std::string> more = {}) const {
    const std::vector<float> all = to_f32(fill_tensor("input", {3, 3, 61, 90}));
    const int64_t size = 3 * 61 * 90;
    write_safetensors(
        path("x.safetensors"),
        {{"input", make_tensor({count, 3, 61, 90}, {all.begin() + first * size,
                                                    all.begin() + (first + count) * size})}});
    std::vector<std::string> words{"forward",
                                   "--model",
                                   data("models") / model,
                                   "--input",
                                   path("x.safetensors"),
                                   "--output",
                                   path("y.safetensors")};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return read_safetensors(path("y.safetensors")).tensors;
  }

  void expect_images_alone(const std::string& model) const {
    const TensorMap all = forward(model, 0, 3);
    for (const int64_t image : {0, 2}) {
      for (const auto& [name, tensor] : forward(model, image, 1)) {
        const std::vector<float> one = to_f32(tensor), many = to_f32(all.at(name));
        EXPECT_EQ(many.size(), 3 * one.size()) << name;
        EXPECT_TRUE(std::equal(one.begin(), one.end(),
                               many.begin() + image * static_cast<int64_t>(one.size())))
            << name;
      }
    }
  }

  TemporaryFolder folder_;
};

TEST_F(ForwardDense, OfADetectorGivesThePyramidAndTheRpn) {
  const TensorMap maps = forward("mask_rcnn_scenes.safetensors", 0, 2, {"--threads", "2"});
  ASSERT_EQ(maps.size() % 3, 0u);
  const Shape& finest = maps.at("pyramid.0").shape;
  ASSERT_EQ(finest.size(), 4u);
  EXPECT_EQ(finest[0], 2);
  EXPECT_EQ(maps.at("rpn.deltas.0").shape,
            (Shape{2, 4 * maps.at("rpn.logits.0").shape[1], finest[2], finest[3]}));
  expect_images_alone("mask_rcnn_scenes.safetensors");
}

TEST_F(ForwardDense, OfASegmentorGivesTheLogits) {
  const TensorMap maps = forward("upernet_scenes.safetensors", 0, 3, {"--precision", "bf16"});
  ASSERT_EQ(maps.size(), 1u);
  EXPECT_EQ(maps.at("logits").shape[0], 3);
  EXPECT_EQ(maps.at("logits").shape[1], 11);
  expect_images_alone("upernet_scenes.safetensors");
}

TEST_F(ForwardDense, SaysWhatItCannotDo) {
  forward("upernet_scenes.safetensors", 0, 1);
  const Outcome outcome =
      run({"forward", "--model", data("models/upernet_scenes.safetensors"), "--input",
           path("x.safetensors"), "--output", path("z.safetensors"), "--backend", "torch"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("leave --backend out"));
  EXPECT_FALSE(fs::exists(path("z.safetensors")));
}

}  // namespace
}  // namespace asmlp::test::cli_forward_dense_test
