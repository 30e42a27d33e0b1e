#include "asmlp/torch/detect/model/training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "asmlp/core/error.h"
#include "asmlp/schema/fields.h"
#include "asmlp/torch/detect/model/detector.h"
#include "asmlp/torch/detect/model/detector_net.h"
#include "asmlp/torch/detect/ops/iou.h"
#include "tests/support/support.h"

namespace asmlp::detect::training_test {
namespace {

using testing::HasSubstr;

DetectorConfig small_config(DetectorKind kind) {
  Config backbone;
  backbone.embed_dim = 8;
  backbone.depths = {1, 1};
  backbone.mlp_ratio = 2;
  DetectorConfig config = detector_config(kind, backbone);
  config.num_classes = 2;
  config.fpn_channels = config.rpn.channels = config.box_head.conv_channels = 16;
  config.mask_head.channels = 16;
  config.mask_head.convs = 1;
  config.box_head.convs = is_cascade(kind) ? 1 : 0;
  config.box_head.fc_channels = 32;
  config.rpn.anchors.strides = {4, 8};
  config.rpn.anchors.scale = 4;
  config.rpn.sample.count = 64;
  config.rpn.train_proposals.kept = config.rpn.test_proposals.kept = 50;
  config.roi.levels = 2;
  config.roi.finest_size = 16;
  for (StageConfig& stage : config.stages) stage.sample.count = 32;
  return config;
}

// A bright square of class 0 and a dark one of class 1 on gray noise.
struct Scene {
  torch::Tensor image = torch::randn({3, 64, 64}) * 0.1;
  data::ImageInfo info;

  explicit Scene(const std::vector<std::array<int64_t, 4>>& boxes) {
    info.height = info.width = info.padded_height = info.padded_width = 64;
    info.original_height = info.original_width = 64;
    const auto n = static_cast<int64_t>(boxes.size());
    info.boxes = torch::zeros({n, 4});
    info.labels = torch::arange(n, torch::kInt64) % 2;
    info.masks = torch::zeros({n, 64, 64}, torch::kUInt8);
    info.mask_rows = torch::arange(n, torch::kInt64);
    for (int64_t k = 0; k < n; ++k) {
      const auto [x1, y1, x2, y2] = boxes[k];
      for (int64_t i = 0; i < 4; ++i) info.boxes[k][i] = float(boxes[k][i]);
      info.masks[k].slice(0, y1, y2).slice(1, x1, x2).fill_(1);
      image.slice(1, y1, y2).slice(2, x1, x2).fill_(k % 2 == 0 ? 2.0 : -2.0);
    }
  }
};

// The same with outlines of these objects only.
data::ImageInfo outlined(data::ImageInfo info, const std::vector<int64_t>& objects) {
  info.masks = info.masks.index_select(0, torch::tensor(objects, torch::kInt64));
  info.mask_rows = torch::full_like(info.mask_rows, -1);
  for (size_t row = 0; row < objects.size(); ++row) {
    info.mask_rows[objects[row]] = static_cast<int64_t>(row);
  }
  return info;
}

torch::Tensor sum_of(const DetectorLosses& losses) {
  torch::Tensor total = torch::zeros({});
  for (const auto& [name, loss] : losses) total = total + loss;
  return total;
}

struct OneThread {
  int before = at::get_num_threads();
  OneThread() { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before); }
};

// Data parallel training waits for the gradient of every parameter, whatever is in the images.
TEST(DetectorTraining, EveryParameterHasAGradientAlsoWithoutObjects) {
  torch::manual_seed(1);
  const Scene two({{8, 8, 30, 28}, {36, 30, 60, 58}}), none({});
  Scene boxes = two;
  boxes.info = outlined(two.info, {});
  for (const auto& [kind, kind_name] : names_of(DetectorKind())) {
    DetectorNet net(small_config(kind));
    for (auto scenes :
         {std::vector{two, none}, std::vector{none, none}, std::vector{boxes, none}}) {
      net->zero_grad();
      if (!has_masks(kind)) scenes[0].info.masks = scenes[1].info.masks = torch::Tensor();
      const DetectorLosses losses =
          detector_losses(*net, torch::stack({scenes[0].image, scenes[1].image}),
                          {scenes[0].info, scenes[1].info}, {});
      const size_t stages = is_cascade(kind) ? 3 : 1, each = has_masks(kind) ? 3 : 2;
      EXPECT_EQ(losses.size(), 2 + stages * each) << kind_name;
      EXPECT_EQ(losses[0].first, "loss_rpn_cls");
      EXPECT_EQ(losses.back().first, std::string(is_cascade(kind) ? "s2." : "") +
                                         (has_masks(kind) ? "loss_mask" : "loss_bbox"));
      if (has_masks(kind) && scenes[0].info.masks.size(0) == 0) {
        EXPECT_EQ(losses.back().second.item<float>(), 0);
      }
      for (const auto& [name, loss] : losses) {
        EXPECT_TRUE(std::isfinite(loss.item<float>())) << name;
      }
      sum_of(losses).backward();
      for (const auto& item : net->named_parameters()) {
        ASSERT_TRUE(item.value().grad().defined()) << item.key();
        EXPECT_TRUE(torch::isfinite(item.value().grad()).all().item<bool>()) << item.key();
      }
    }
  }
}

// In a mixed set masks are learned from the objects that have an outline, and boxes from all.
TEST(DetectorTraining, TheMaskLossIsThatOfTheOutlinedObjects) {
  torch::manual_seed(6);
  const Scene a({{8, 8, 30, 28}, {36, 30, 60, 58}}), b({{4, 30, 40, 60}, {30, 4, 60, 26}});
  DetectorNet net(small_config(DetectorKind::kMaskRcnn));
  const auto losses = [&](const std::vector<Scene>& scenes) {
    std::vector<torch::Tensor> images;
    std::vector<data::ImageInfo> infos;
    for (const Scene& s : scenes) images.push_back(s.image), infos.push_back(s.info);
    std::map<std::string, double> values;
    for (const auto& [name, loss] : detector_losses(*net, torch::stack(images), infos, {})) {
      values[name] = loss.item<double>();
    }
    return values;
  };
  const auto only = [](Scene scene, const std::vector<int64_t>& objects) {
    scene.info = outlined(scene.info, objects);
    return scene;
  };
  const auto all = losses({a, b}), first = losses({a, only(b, {})}), alone = losses({a});
  for (const auto& [name, value] : all) {
    if (name == "loss_mask") continue;
    EXPECT_EQ(first.at(name), value) << name;
  }
  // An image without outlines is as good as no image; sums of some 10,000 terms, in another order.
  EXPECT_NEAR(first.at("loss_mask"), alone.at("loss_mask"), 1e-5 * alone.at("loss_mask"));
  EXPECT_GT(std::abs(all.at("loss_mask") - alone.at("loss_mask")), 1e-4);
  // Within an image, the loss of all is a mean of those of its objects, with whole weights: the
  // positives of each.
  const double both = alone.at("loss_mask"), one = losses({only(a, {0})}).at("loss_mask"),
               two = losses({only(a, {1})}).at("loss_mask");
  ASSERT_GT(std::abs(one - two), 1e-3);
  const double share = (both - two) / (one - two);
  int fits = 0;
  for (int n = 2; n <= 8; ++n) {  // a quarter of 32 samples at most
    for (int k = 1; k < n; ++k) fits += std::abs(share - double(k) / n) < 1e-3;
  }
  EXPECT_GT(fits, 0) << share;
  // The mask of the other object is not looked at.
  Scene strange = a;
  strange.info.masks[1].fill_(1);
  EXPECT_EQ(losses({only(strange, {0})}), losses({only(a, {0})}));
}

TEST(DetectorTraining, TheSeedDecidesTheSamples) {
  torch::manual_seed(2);
  const Scene scene({{8, 8, 30, 28}, {36, 30, 60, 58}});
  DetectorNet net(small_config(DetectorKind::kMaskRcnn));
  const auto loss = [&](uint64_t seed) {
    TrainingPass pass;
    pass.seed = seed;
    return sum_of(detector_losses(*net, scene.image.unsqueeze(0), {scene.info}, pass))
        .item<float>();
  };
  EXPECT_EQ(loss(7), loss(7));
  EXPECT_NE(loss(7), loss(8));
}

// Trains on one scene; the total loss before and after.
std::pair<float, float> learn(DetectorNet& net, const Scene& scene, uint64_t steps) {
  const OneThread quick;  // maps this small are not worth a barrier
  torch::optim::Adam optimizer(net->parameters(), torch::optim::AdamOptions(5e-3));
  std::pair<float, float> ends;
  for (uint64_t step = 0; step < steps; ++step) {
    optimizer.zero_grad();
    static_cast<torch::optim::AdamOptions&>(optimizer.param_groups()[0].options())
        .lr(5e-3 * (1 - double(step) / double(steps)));
    TrainingPass pass;
    pass.seed = step;
    const auto loss = sum_of(detector_losses(*net, scene.image.unsqueeze(0), {scene.info}, pass));
    loss.backward();
    optimizer.step();
    (step == 0 ? ends.first : ends.second) = loss.item<float>();
  }
  return ends;
}

// From the losses to the detections: what is learned by heart is found again.
TEST(DetectorTraining, WhatIsLearnedIsDetected) {
  torch::manual_seed(3);
  const Scene scene({{8, 8, 30, 28}, {36, 30, 60, 58}});
  DetectorNet net(small_config(DetectorKind::kMaskRcnn));
  learn(net, scene, 160);
  net->eval();
  data::TensorSample sample;
  sample.image = scene.image;
  sample.info = scene.info;
  const std::vector<Detection> found = detect(*net, sample);
  for (int label = 0; label < 2; ++label) {
    const auto best =
        std::ranges::find_if(found, [&](const Detection& d) { return d.label == label; });
    ASSERT_NE(best, found.end()) << "class " << label;
    EXPECT_GT(best->score, 0.5f);
    // In what order products are summed, and so where it ends, differs from machine to machine.
    const torch::Tensor box =
        torch::tensor({best->box[0], best->box[1], best->box[2], best->box[3]});
    EXPECT_GT(pairwise_iou(box.unsqueeze(0), scene.info.boxes[label].unsqueeze(0)).item<float>(),
              0.5f);
    const auto area = scene.info.masks[label].sum().item<int64_t>();
    EXPECT_NEAR(double(mask_area(best->mask)), double(area), 0.5 * double(area));
  }
}

TEST(DetectorTraining, TheLossesOfCascadesAndOfDetectorsOfBoxesFall) {
  for (const DetectorKind kind :
       {DetectorKind::kCascade, DetectorKind::kFasterRcnn, DetectorKind::kCascadeRcnn}) {
    torch::manual_seed(5);
    Scene scene({{8, 8, 30, 28}, {36, 30, 60, 58}});
    if (!has_masks(kind)) scene.info.masks = scene.info.mask_rows = torch::Tensor();
    DetectorNet net(small_config(kind));
    const auto [first, last] = learn(net, scene, 25);
    EXPECT_LT(last, 0.7f * first) << name_of(kind);
  }
}

TEST(DetectorTraining, RefusesWhatDoesNotFit) {
  const Scene scene({{8, 8, 30, 28}});
  DetectorNet net(small_config(DetectorKind::kMaskRcnn));
  const auto error = [&](std::vector<data::ImageInfo> infos) {
    return test::error_of(ErrorCode::kInvalidArgument,
                          [&] { detector_losses(*net, scene.image.unsqueeze(0), infos, {}); });
  };
  EXPECT_THAT(error({}), HasSubstr("objects of 0"));
  data::ImageInfo info = scene.info;
  info.masks = torch::Tensor();
  EXPECT_THAT(error({info}), HasSubstr("without its objects"));
  info = scene.info;
  info.labels = torch::full({1}, 2, torch::kInt64);
  EXPECT_THAT(error({info}), HasSubstr("not in 0..1"));
  net->eval();
  EXPECT_THAT(error({scene.info}), HasSubstr("training mode"));
}

TEST(MaskHead, UpsamplesAsATransposedConvolutionDoes) {
  torch::manual_seed(4);
  MaskHeadConfig config;
  config.convs = 0;
  config.channels = 6;
  MaskHead head(config, 6, 3);
  for (auto& p : head->parameters()) torch::nn::init::normal_(p);
  const auto x = torch::randn({5, 6, 4, 3});
  auto named = head->named_parameters();
  const auto up =
      torch::conv_transpose2d(x, named["upsample.weight"], named["upsample.bias"], {2, 2});
  const auto expected =
      torch::conv2d(up.relu(), named["conv_logits.weight"], named["conv_logits.bias"]);
  EXPECT_TRUE(torch::allclose(head(x), expected, 1e-5, 1e-5));
}

}  // namespace
}  // namespace asmlp::detect::training_test
