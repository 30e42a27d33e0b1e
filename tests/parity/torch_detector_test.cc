// Detectors on the engine against the LibTorch path: every kind of head, odd sizes, batches, and
// the published architectures.
#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "asmlp/engine/heads/detector.h"
#include "asmlp/engine/heads/detector_forward.h"
#include "asmlp/torch/detect/model/detector.h"
#include "asmlp/torch/detect/model/rpn.h"
#include "asmlp/torch/detect/roi/roi_extractor.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/torch/ops/runtime.h"
#include "tests/support/detectors.h"
#include "tests/support/support.h"

namespace asmlp::test::torch_detector_test {
namespace {

using detect::Detection, detect::DetectorNet, detect::InputSizes;

double worst_map = 0;  // of all tests

// How far rows of pixels are from N x C x h x w, over the largest of these.
double difference(const HeadMap& map, int64_t first, int64_t columns, const torch::Tensor& other) {
  const auto values = other.permute({0, 2, 3, 1}).contiguous();
  EXPECT_EQ(values.size(1), map.h);
  EXPECT_EQ(values.size(2), map.w);
  EXPECT_EQ(values.size(3), columns);
  const float* expected = values.data_ptr<float>();
  double worst = 0, largest = 0;
  for (int64_t r = 0; r < values.numel() / columns; ++r) {
    for (int64_t c = 0; c < columns; ++c, ++expected) {
      const double off = std::abs(double{map.row(r)[first + c]} - *expected);
      worst = std::isfinite(off) ? std::max(worst, off) : INFINITY;
      largest = std::max(largest, std::abs(double{*expected}));
    }
  }
  return worst / largest;
}

// One network in both paths, at one input size.
class Both {
 public:
  Both(const DetectorConfig& config, int height, int width, int batch, unsigned seed)
      : height_(height), width_(width) {
    nn::configure_runtime();
    torch::manual_seed(seed);
    net_ = detect::lively_net(config);
    spec_.name = "both";
    spec_.config = config;
    spec_.preprocessing.mean.resize(config.backbone.in_chans, 0.0);
    spec_.preprocessing.std.resize(config.backbone.in_chans, 1.0);
    images_ = torch::randn({batch, config.backbone.in_chans, height, width});
    for (int i = 0; i < batch; ++i) {
      // The image does not fill its input; the file is larger in one direction, smaller in the
      // other.
      const int64_t h = std::max(1, height - 5 * i), w = std::max(1, width - 3 * i);
      sizes_.push_back({{h, w}, {h * 3 / 2 + 1, std::max<int64_t>(1, w * 2 / 3)}});
      data::ImageInfo info;
      info.height = h, info.width = w;
      info.original_height = sizes_[i].original.height;
      info.original_width = sizes_[i].original.width;
      infos_.push_back(info);
    }
  }

  std::span<const float> input() const {
    return {images_.data_ptr<float>(), static_cast<size_t>(images_.numel())};
  }
  std::shared_ptr<const PackedDetector> packed(Isa isa = Isa::kAuto) const {
    return PackedDetector::create(spec_, nn::export_state(*net_), {.isa = isa});
  }
  int batch() const { return static_cast<int>(sizes_.size()); }

  // Features, scores, deltas, box and mask heads within 1e-4 of the largest.
  void compare_networks(Isa isa = Isa::kAuto) {
    const torch::NoGradGuard no_grad;
    const DetectorConfig& config = spec_.config;
    ThreadPool pool(2);
    MemoryBlock memory;
    RegionMemory regions(pool.size());
    const auto model = packed(isa);
    DetectorPlan plan(config, model->weights(),
                      {.height = height_, .width = width_, .max_batch = batch()}, pool, memory);
    DetectorForward forward(config, model->weights(), plan, regions);
    const auto native = forward.run(input().data(), sizes_);

    const auto pyramid = net_->features(images_);
    const auto rpn = net_->rpn(pyramid);
    ASSERT_EQ(pyramid.size(), plan.pyramid.size());
    const auto anchors = static_cast<int64_t>(config.rpn.anchors.ratios.size());
    const auto check = [](double off, const char* what, size_t level) {
      EXPECT_LE(off, 1e-4) << what << " " << level;
      worst_map = std::max(worst_map, off);
    };
    for (size_t k = 0; k < pyramid.size(); ++k) {
      check(difference(plan.pyramid[k], 0, config.fpn_channels, pyramid[k]), "pyramid", k);
      check(difference(plan.rpn[k], 0, anchors, rpn.logits[k]), "RPN logits", k);
      check(difference(plan.rpn[k], anchors, 4 * anchors, rpn.deltas[k]), "RPN deltas", k);
    }
    // The regions that the last head has seen.
    std::vector<torch::Tensor> boxes;
    for (int i = 0; i < batch(); ++i) {
      const int64_t count = regions.first[i + 1] - regions.first[i];
      boxes.push_back(
          torch::from_blob(regions.boxes.data() + regions.first[i], {count, 4}).clone());
    }
    if (regions.boxes.empty()) return;
    if (has_masks(config.kind)) {
      const auto pooled =
          detect::pool_rois(config, pyramid, detect::rois_of(boxes), config.roi.mask_size);
      torch::Tensor sum;
      for (size_t k = 0; k < config.stages.size(); ++k) {
        const auto mask = torch::sigmoid(net_->masks(k, pooled));
        sum = sum.defined() ? sum + mask : mask;
      }
      const auto labels =
          torch::tensor(std::vector<int64_t>(regions.labels.begin(), regions.labels.end()));
      const auto mine = (sum / double(config.stages.size()))
                            .index({torch::arange(labels.size(0)), labels})
                            .contiguous();
      check(relative_error(regions.masks,
                           {mine.data_ptr<float>(), static_cast<size_t>(mine.numel())}),
            "masks", 0);
    } else if (!is_cascade(config.kind)) {
      const auto output = net_->boxes(
          0, detect::pool_rois(config, pyramid, detect::rois_of(boxes), config.roi.box_size));
      const auto expected =
          torch::cat({torch::softmax(output.logits, 1), output.deltas}, 1).contiguous();
      const int64_t columns = expected.size(1), rows = expected.size(0);
      const HeadMap outputs{regions.outputs.data(),
                            1,
                            1,
                            static_cast<int>(columns),
                            std::ssize(regions.outputs) / rows,
                            static_cast<int>(rows)};
      const auto as_map = [](const torch::Tensor& t) { return t.view({t.size(0), -1, 1, 1}); };
      check(difference(outputs, 0, config.num_classes + 1,
                       as_map(expected.slice(1, 0, config.num_classes + 1))),
            "class probabilities", 0);
      check(difference(outputs, config.num_classes + 1, 4 * config.num_classes,
                       as_map(expected.slice(1, config.num_classes + 1))),
            "box deltas", 0);
    }
  }

  // One to one: label, score, box, mask.
  void compare_detections(size_t at_least) {
    const torch::NoGradGuard no_grad;
    DetectorEngine engine(packed(), {.max_batch = batch(), .threads = 2});
    const auto native = engine.run(input(), height_, width_, sizes_);
    const auto torch_found = detect::detect(*net_, images_, infos_);
    size_t count = 0;
    for (int i = 0; i < batch(); ++i) {
      count += native[i].size();
      EXPECT_EQ(native[i].size(), torch_found[i].size());
      std::vector<bool> taken(torch_found[i].size());
      for (const Detection& d : native[i]) {
        bool matched = false;
        for (size_t j = 0; j < taken.size() && !matched; ++j) {
          if (taken[j] || !alike(d, torch_found[i][j])) continue;
          taken[j] = matched = true;
        }
        EXPECT_TRUE(matched) << "image " << i << ": " << d.label << " " << d.score << " at "
                             << d.box[0] << " " << d.box[1] << " " << d.box[2] << " " << d.box[3];
      }
    }
    EXPECT_GE(count, at_least);
  }

  DetectorSpec spec_;
  std::vector<InputSizes> sizes_;
  int height_, width_;

 private:
  static bool alike(const Detection& a, const Detection& b) {
    if (a.label != b.label || std::abs(a.score - b.score) > 1e-3) return false;
    for (int k = 0; k < 4; ++k) {
      if (std::abs(a.box[k] - b.box[k]) > 0.05) return false;
    }
    if (a.mask.height != b.mask.height || a.mask.width != b.mask.width) return false;
    if (a.mask == b.mask) return true;
    // Pixels whose probability is the threshold to the last bits fall to either side.
    const MaskRle both[] = {a.mask, b.mask};
    const int64_t all = mask_area(merge_masks(both, MaskMerge::kUnion));
    const int64_t shared = mask_area(merge_masks(both, MaskMerge::kIntersection));
    return all - shared <= 3 + all / 1000;
  }

  DetectorNet net_{nullptr};
  torch::Tensor images_;
  std::vector<data::ImageInfo> infos_;
};

constexpr DetectorKind kKinds[] = {DetectorKind::kMaskRcnn, DetectorKind::kCascade,
                                   DetectorKind::kFasterRcnn, DetectorKind::kCascadeRcnn};

TEST(TwoPathsOfDetectors, AgreeOnSmallNetworksOfEveryKind) {
  std::mt19937 random(3);
  for (const DetectorKind kind : kKinds) {
    for (int i = 0; i < 6; ++i) {
      DetectorConfig config = detect::small_spec(kind).config;
      config.backbone.in_chans = i % 2 == 0 ? 3 : 1;
      config.fpn_channels = 1 + random() % 40;
      config.rpn.channels = 1 + random() % 40;
      config.box_head.convs = random() % 3;
      config.box_head.conv_channels = 1 + random() % 40;
      // With few channels, none of which is above 0, every mask would be 1/2.
      config.mask_head.channels = 12 + random() % 30;
      config.num_classes = 1 + random() % 6;
      const int h = 1 + random() % 90, w = 1 + random() % 90, batch = 1 + random() % 3;
      SCOPED_TRACE(testing::Message() << "kind " << int(kind) << ", " << i << ": " << batch << " x "
                                      << h << " x " << w);
      Both both(config, h, w, batch, 10 + i);
      both.compare_networks();
      both.compare_detections(0);
    }
  }
}

TEST(TwoPathsOfDetectors, AgreeOnEveryIsa) {
  for (const Isa isa : available_isas()) {
    SCOPED_TRACE(to_string(isa));
    Both(detect::small_spec(DetectorKind::kCascade).config, 70, 53, 2, 5).compare_networks(isa);
  }
}

struct Published {
  const char* name;
  int height, width;
};
class PublishedDetectors : public testing::TestWithParam<Published> {};

TEST_P(PublishedDetectors, AgreeInBothPaths) {
  const auto [name, height, width] = GetParam();
  Both both(zoo_detector(name).config, height, width, 1, 2);
  worst_map = 0;
  both.compare_networks();
  both.compare_detections(1);
  std::printf("parity native-torch %s %d x %d %.2e\n", name, height, width, worst_map);
}

INSTANTIATE_TEST_SUITE_P(Zoo, PublishedDetectors,
                         testing::Values(Published{"mask_rcnn_asmlp_tiny", 480, 640},
                                         Published{"mask_rcnn_asmlp_tiny", 333, 500},
                                         Published{"mask_rcnn_asmlp_small", 160, 224},
                                         Published{"cascade_asmlp_tiny", 160, 224},
                                         Published{"cascade_asmlp_base", 96, 160},
                                         Published{"faster_rcnn_asmlp_base", 128, 160},
                                         Published{"cascade_rcnn_asmlp_small", 96, 128}));

}  // namespace
}  // namespace asmlp::test::torch_detector_test
