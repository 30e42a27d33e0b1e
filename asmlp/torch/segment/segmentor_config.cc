#include "asmlp/torch/segment/segmentor_config.h"

#include "asmlp/core/error.h"
#include "asmlp/model/zoo.h"
#include "asmlp/torch/nn/dense_spec_json.h"

namespace asmlp::segment {

using nn::check_range;

namespace {

struct Entry {
  const char* name;
  const char* backbone;  // of model/zoo.h
  double drop_path;
};

constexpr Entry kEntries[]{
    {"upernet_asmlp_tiny", "asmlp_tiny_patch4_shift5_224", 0.3},
    {"upernet_asmlp_small", "asmlp_small_patch4_shift5_224", 0.3},
    {"upernet_asmlp_base", "asmlp_base_patch4_shift5_224", 0.5},
};

}  // namespace

SegmentorConfig upernet_config(const Config& backbone) {
  SegmentorConfig config;
  config.backbone = nn::without_head(backbone);
  return config;
}

nn::DenseInput segmentor_input() {
  nn::DenseInput input;
  input.short_side = 512;
  input.long_side = 2048;
  input.pad_multiple = 1;
  return input;
}

std::vector<std::string> zoo_segmentor_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) names.emplace_back(entry.name);
  return names;
}

SegmentorSpec zoo_segmentor(const std::string& name) {
  for (const Entry& entry : kEntries) {
    if (name != entry.name) continue;
    Config backbone = zoo_model(entry.backbone).config;
    backbone.drop_path = entry.drop_path;
    SegmentorSpec spec;
    spec.name = name;
    spec.config = upernet_config(backbone);
    spec.preprocessing = segmentor_input();
    return spec;
  }
  fail(ErrorCode::kNotFound, "unknown segmentor '{}'; did you mean '{}'?", name,
       nearest(name, zoo_segmentor_names()));
}

void validate(const SegmentorConfig& config) {
  asmlp::validate(config.backbone);
  require(config.backbone.num_classes == 0, ErrorCode::kInvalidArgument,
          "config: backbone.num_classes is {}, a backbone has none; set it to 0",
          config.backbone.num_classes);
  check_range("num_classes", config.num_classes, 1, 1 << 14);
  // 255 cannot be a class where it stands for none.
  check_range("ignore_label", config.ignore_label, -1, 1 << 20);
  require(config.ignore_label < 0 || config.ignore_label >= config.num_classes,
          ErrorCode::kInvalidArgument, "config: ignore_label {} is one of the {} classes",
          config.ignore_label, config.num_classes);
  const size_t weights = config.class_weights.size();
  require(weights == 0 || weights == static_cast<size_t>(config.num_classes),
          ErrorCode::kInvalidArgument,
          "config: {} class_weights for {} classes; give one per class or none", weights,
          config.num_classes);
  for (const double weight : config.class_weights) check_range("class_weights", weight, 0, 1e9);
  const UperHeadConfig& decode = config.decode_head;
  check_range("decode_head.channels", decode.channels, 1, 1 << 14);
  check_range("number of decode_head.pool_scales", static_cast<double>(decode.pool_scales.size()),
              1, 16);
  for (const int scale : decode.pool_scales) check_range("decode_head.pool_scales", scale, 1, 64);
  check_range("decode_head.dropout", decode.dropout, 0, 0.999);
  check_range("decode_head.loss_weight", decode.loss_weight, 0, 1e9);
  const FcnHeadConfig& auxiliary = config.auxiliary_head;
  check_range("auxiliary_head.stage", auxiliary.stage, 0, config.backbone.num_stages() - 1);
  check_range("auxiliary_head.channels", auxiliary.channels, 1, 1 << 14);
  check_range("auxiliary_head.convs", auxiliary.convs, 1, 32);
  check_range("auxiliary_head.dropout", auxiliary.dropout, 0, 0.999);
  check_range("auxiliary_head.loss_weight", auxiliary.loss_weight, 0, 1e9);
}

void validate(const SegmentorSpec& spec) { nn::validate_dense_spec(spec); }

std::string to_json(const SegmentorSpec& spec) { return nn::dense_spec_to_json(spec); }

SegmentorSpec resolve_segmentor(const std::string& model) {
  return nn::resolve_dense_spec<SegmentorSpec>(model, segmentor_from_json, zoo_segmentor);
}

SegmentorSpec segmentor_from_json(const std::string& text, const std::string& what) {
  return nn::dense_spec_from_json<SegmentorSpec>(text, what, zoo_segmentor);
}

}  // namespace asmlp::segment
