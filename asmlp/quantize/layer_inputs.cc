#include "asmlp/quantize/layer_inputs.h"

#include <fmt/format.h>

namespace asmlp {

namespace {

// Of a backbone whose names begin with `prefix`.
std::vector<LayerInput> backbone_inputs(const Config& config, const std::string& prefix) {
  std::vector<LayerInput> inputs;
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    const int64_t dim = config.dim(stage);
    const std::string layer = fmt::format("{}layers.{}.", prefix, stage);
    for (int i = 0; i < config.depths[stage]; ++i) {
      const std::string block = fmt::format("{}blocks.{}.", layer, i);
      const std::string shift = block + "axial_shift.";
      inputs.push_back({{shift + "conv1"}, block + "norm1", dim});
      if (config.connection == Connection::kParallel) {
        inputs.push_back({{shift + "conv2_1", shift + "conv2_2"}, "", dim});
      } else {
        inputs.push_back({{shift + "conv2_1"}, "", dim});
        inputs.push_back({{shift + "conv2_2"}, "", dim});
      }
      inputs.push_back({{shift + "conv3"}, shift + "norm2", dim});
      inputs.push_back({{block + "mlp.fc1"}, block + "norm2", dim});
      inputs.push_back({{block + "mlp.fc2"}, "", config.hidden_dim(stage)});
    }
    if (stage + 1 < config.num_stages()) {
      const bool merging = config.downsample == Downsample::kMerging;
      inputs.push_back({{layer + "downsample.reduction"},
                        merging ? layer + "downsample.norm" : "",
                        (merging ? 4 : 9) * dim});
    }
  }
  return inputs;
}

// The inputs of a network in the order in which they are added, and, where there are weights, who
// reads them.
class Collector {
 public:
  Collector(std::vector<LayerInput> inputs, InputReaders readers)
      : inputs_(std::move(inputs)), readers_(std::move(readers)) {}

  void add(const std::string& layer, const PackedMatrix* reader, int64_t depth,
           const std::string& norm = "") {
    inputs_.push_back({{layer}, norm, depth});
    readers_.push_back({reader});
  }
  std::vector<LayerInput> inputs() { return std::move(inputs_); }
  InputReaders readers() { return std::move(readers_); }

 private:
  std::vector<LayerInput> inputs_;
  InputReaders readers_;
};

const PackedMatrix* matrix_of(const std::vector<PackedConv>* convs, size_t index) {
  return convs == nullptr ? nullptr : &(*convs)[index].matrix;
}

// `weights` may be null, when only the inputs are wanted.
Collector collect(const DetectorConfig& config, const DetectorWeights* weights) {
  Collector all(backbone_inputs(config.backbone, "backbone."),
                weights == nullptr ? InputReaders() : input_readers(config.backbone, *weights));
  const int64_t c = config.fpn_channels;
  const auto part = [&](auto member) { return weights == nullptr ? nullptr : &(weights->*member); };
  for (int k = 0; k < config.backbone.num_stages(); ++k) {
    all.add(fmt::format("neck.lateral_convs.{}.conv", k),
            matrix_of(part(&DetectorWeights::laterals), k), config.backbone.dim(k),
            fmt::format("backbone.norm{}", k));
    all.add(fmt::format("neck.fpn_convs.{}.conv", k), matrix_of(part(&DetectorWeights::outputs), k),
            9 * c);
  }
  all.add("rpn_head.rpn_conv", weights == nullptr ? nullptr : &weights->rpn_conv.matrix, 9 * c);
  for (size_t k = 0; k < config.stages.size(); ++k) {
    const std::string stage = is_cascade(config.kind) ? fmt::format(".{}", k) : "";
    const BoxHeadWeights* box = weights == nullptr ? nullptr : &weights->box_heads[k];
    int64_t channels = c;
    for (int i = 0; i < config.box_head.convs; ++i, channels = config.box_head.conv_channels) {
      all.add(fmt::format("roi_head.bbox_head{}.shared_convs.{}.conv", stage, i),
              matrix_of(box == nullptr ? nullptr : &box->convs, i), 9 * channels);
    }
    int64_t depth = channels * config.roi.box_size * config.roi.box_size;
    for (int i = 0; i < config.box_head.fcs; ++i, depth = config.box_head.fc_channels) {
      all.add(fmt::format("roi_head.bbox_head{}.shared_fcs.{}", stage, i),
              matrix_of(box == nullptr ? nullptr : &box->fcs, i), depth);
    }
    if (!has_masks(config.kind)) continue;
    const MaskHeadWeights* mask = weights == nullptr ? nullptr : &weights->mask_heads[k];
    channels = c;
    for (int i = 0; i < config.mask_head.convs; ++i, channels = config.mask_head.channels) {
      all.add(fmt::format("roi_head.mask_head{}.convs.{}.conv", stage, i),
              matrix_of(mask == nullptr ? nullptr : &mask->convs, i), 9 * channels);
    }
  }
  return all;
}

Collector collect(const SegmentorConfig& config, const SegmentorWeights* weights) {
  Collector all(backbone_inputs(config.backbone, "backbone."),
                weights == nullptr ? InputReaders() : input_readers(config.backbone, *weights));
  const int64_t c = config.decode_head.channels, top = config.backbone.num_features();
  const auto part = [&](auto member) { return weights == nullptr ? nullptr : &(weights->*member); };
  const auto one = [&](auto member) {
    return weights == nullptr ? nullptr : &(weights->*member).matrix;
  };
  const auto scales = std::ssize(config.decode_head.pool_scales);
  for (int k = 0; k < scales; ++k) {
    all.add(fmt::format("decode_head.psp_modules.{}.1.conv", k),
            matrix_of(part(&SegmentorWeights::pooling), k), top);
  }
  all.add("decode_head.bottleneck.conv", one(&SegmentorWeights::bottleneck),
          9 * (top + scales * c));
  const int stages = config.backbone.num_stages();
  for (int k = 0; k + 1 < stages; ++k) {
    all.add(fmt::format("decode_head.lateral_convs.{}.conv", k),
            matrix_of(part(&SegmentorWeights::laterals), k), config.backbone.dim(k),
            fmt::format("backbone.norm{}", k));
    all.add(fmt::format("decode_head.fpn_convs.{}.conv", k),
            matrix_of(part(&SegmentorWeights::outputs), k), 9 * c);
  }
  all.add("decode_head.fpn_bottleneck.conv", one(&SegmentorWeights::fusion), 9 * stages * c);
  return all;
}

}  // namespace

std::vector<LayerInput> layer_inputs(const Config& config) { return backbone_inputs(config, ""); }
std::vector<LayerInput> layer_inputs(const DetectorConfig& config) {
  return collect(config, nullptr).inputs();
}
std::vector<LayerInput> layer_inputs(const SegmentorConfig& config) {
  return collect(config, nullptr).inputs();
}

InputReaders input_readers(const DetectorConfig& config, const DetectorWeights& weights) {
  return collect(config, &weights).readers();
}
InputReaders input_readers(const SegmentorConfig& config, const SegmentorWeights& weights) {
  return collect(config, &weights).readers();
}

InputReaders input_readers(const Config& config, const BackboneWeights& weights) {
  InputReaders readers;
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    for (const PackedBlock& block : weights.stages[stage].blocks) {
      readers.push_back({&block.conv1});
      if (config.connection == Connection::kParallel) {
        readers.push_back({&block.conv2_1, &block.conv2_2});
      } else {
        readers.push_back({&block.conv2_1});
        readers.push_back({&block.conv2_2});
      }
      readers.push_back({&block.conv3});
      readers.push_back({&block.fc1});
      readers.push_back({&block.fc2});
    }
    if (stage + 1 < config.num_stages()) readers.push_back({&weights.stages[stage].reduction});
  }
  return readers;
}

}  // namespace asmlp
