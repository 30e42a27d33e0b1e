#include "asmlp/model/segmentor_config.h"

#include <fmt/ranges.h>

#include "asmlp/core/error.h"
#include "asmlp/model/config_fields.h"
#include "asmlp/model/zoo.h"
#include "asmlp/schema/nearest.h"

namespace asmlp {

namespace {

struct SegmentorEntry {
  const char* name;
  const char* backbone;  // of model/zoo.h
  double drop_path;
};

constexpr SegmentorEntry kSegmentors[]{
    {"upernet_asmlp_tiny", "asmlp_tiny_patch4_shift5_224", 0.3},
    {"upernet_asmlp_small", "asmlp_small_patch4_shift5_224", 0.3},
    {"upernet_asmlp_base", "asmlp_base_patch4_shift5_224", 0.5},
};

}  // namespace

SegmentorConfig upernet_config(const Config& backbone) {
  SegmentorConfig config;
  config.backbone = without_head(backbone);
  return config;
}

DenseInput segmentor_input() {
  DenseInput input;
  input.short_side = 512;
  input.long_side = 2048;
  input.pad_multiple = 1;
  return input;
}

std::vector<std::string> zoo_segmentor_names() {
  std::vector<std::string> names;
  for (const SegmentorEntry& entry : kSegmentors) names.emplace_back(entry.name);
  return names;
}

SegmentorSpec zoo_segmentor(const std::string& name) {
  for (const SegmentorEntry& entry : kSegmentors) {
    if (name != entry.name) continue;
    Config backbone = zoo_model(entry.backbone).config;
    backbone.drop_path = entry.drop_path;
    SegmentorSpec spec;
    spec.name = name;
    spec.config = upernet_config(backbone);
    spec.preprocessing = segmentor_input();
    return spec;
  }
  fail(ErrorCode::kNotFound, "unknown segmentor '{}'{} (known: {})", name,
       did_you_mean(name, zoo_segmentor_names()), fmt::join(zoo_segmentor_names(), ", "));
}

void validate(const SegmentorConfig& config) {
  asmlp::validate(config.backbone);
  require(config.backbone.num_classes == 0, ErrorCode::kInvalidArgument,
          "config: backbone.num_classes is {}, a backbone has none; set it to 0",
          config.backbone.num_classes);
  check_ranges(config);
  // 255 cannot be a class where it stands for none.
  require(config.ignore_label < 0 || config.ignore_label >= config.num_classes,
          ErrorCode::kInvalidArgument, "config: ignore_label {} is one of the {} classes",
          config.ignore_label, config.num_classes);
  const size_t weights = config.class_weights.size();
  require(weights == 0 || weights == static_cast<size_t>(config.num_classes),
          ErrorCode::kInvalidArgument,
          "config: {} class_weights for {} classes; give one per class or none", weights,
          config.num_classes);
  check_range("number of decode_head.pool_scales",
              static_cast<double>(config.decode_head.pool_scales.size()), 1, 16);
  check_range("auxiliary_head.stage", config.auxiliary_head.stage, 0,
              config.backbone.num_stages() - 1);
}

void validate(const SegmentorSpec& spec) { validate_dense_spec(spec); }

}  // namespace asmlp
