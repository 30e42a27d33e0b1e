#include "asmlp/weights/dense_file.h"

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/model/palette_color.h"
#include "asmlp/model/params.h"
#include "asmlp/weights/quantized.h"

namespace asmlp {
namespace {

// True when the tensors under "backbone." have the names and shapes of this backbone's blocks,
// embedding and mergings, and no further ones. (The norms of the outputs, norm0, norm1, ..., are
// the network's own, a classifier has another one.)
bool has_backbone(const TensorMap& tensors, const Config& backbone) {
  const auto is_shared = [](const std::string& name) { return !name.starts_with("norm"); };
  std::vector<Param> table = parameter_table(without_head(backbone));
  std::erase_if(table, [&](const Param& param) { return !is_shared(param.name); });
  const TensorMap own = below_prefix(tensors, "backbone.");
  const auto found =
      std::ranges::count_if(own, [&](const auto& it) { return is_shared(it.first); });
  return found == std::ssize(table) && std::ranges::all_of(table, [&](const Param& param) {
           const auto it = own.find(param.name);
           return it != own.end() && it->second.shape == param.shape;
         });
}

template <typename Spec>
Spec spec_of_file(const WeightFile& file, const DenseLoadOptions<Spec>& options,
                  std::optional<Spec> (*recognize)(const TensorMap& tensors)) {
  const std::string what = file.path.string();
  if (auto description = file.description()) {
    require(std::holds_alternative<Spec>(description->model), ErrorCode::kMismatch,
            "{}: weights of a {}; another kind of model is needed here", what,
            model_kind(description->task()));
    Spec spec = std::get<Spec>(std::move(description->model));
    require(!options.spec || options.spec->config == spec.config, ErrorCode::kMismatch,
            "{}: describes itself as '{}' with another architecture than the one given ('{}'); "
            "give none",
            what, spec.name, options.spec ? options.spec->name : "");
    const ShiftSize found = spec.config.backbone.shift_size;
    require(!options.shift_size || *options.shift_size == found, ErrorCode::kMismatch,
            "{}: shift size {} was asked for, but the file says {}; give none", what,
            to_string(options.shift_size.value_or(found)), to_string(found));
    return spec;
  }
  std::optional<Spec> spec = options.spec ? options.spec : recognize(file.tensors);
  require(spec.has_value(), ErrorCode::kInvalidArgument,
          "{}: does not say its architecture, and it is none of the published ones; name it (a "
          "model of the zoo, or a description)",
          what);
  require(options.shift_size.has_value(), ErrorCode::kInvalidArgument,
          "{}: does not say its shift size, which weights do not show; give it (the authors' "
          "published detectors and segmentors: 5)",
          what);
  spec->config.backbone.shift_size = *options.shift_size;
  spec->origin["source"] = file.path.filename().string();
  if (spec->classes.empty()) {
    spec->classes = class_names_for(file, spec->config.num_classes, nullptr);
    if (!spec->classes.empty()) {
      for (const PaletteColor& c : file.classes.palette) {
        spec->palette.push_back(palette_text(c));
      }
    }
  }
  validate(*spec);
  return *spec;
}

}  // namespace

std::optional<DetectorSpec> recognized_detector(const TensorMap& tensors) {
  const bool masks = !below_prefix(tensors, "roi_head.mask_head.").empty();
  for (const std::string& name : zoo_detector_names()) {
    DetectorSpec spec = zoo_detector(name);
    const bool cascade = is_cascade(spec.config.kind);
    const auto classes =
        tensors.find(fmt::format("roi_head.bbox_head.{}fc_cls.bias", cascade ? "0." : ""));
    if (classes == tensors.end() || has_masks(spec.config.kind) != masks ||
        !has_backbone(tensors, spec.config.backbone)) {
      continue;
    }
    spec.config.num_classes = static_cast<int>(element_count(classes->second.shape)) - 1;
    return spec;
  }
  return std::nullopt;
}

std::optional<SegmentorSpec> recognized_segmentor(const TensorMap& tensors) {
  for (const std::string& name : zoo_segmentor_names()) {
    SegmentorSpec spec = zoo_segmentor(name);
    const auto classes = tensors.find("decode_head.conv_seg.bias");
    if (classes == tensors.end() || !has_backbone(tensors, spec.config.backbone)) continue;
    spec.config.num_classes = static_cast<int>(element_count(classes->second.shape));
    return spec;
  }
  return std::nullopt;
}

DetectorSpec detector_of_file(const WeightFile& file,
                              const DenseLoadOptions<DetectorSpec>& options) {
  return spec_of_file(file, options, recognized_detector);
}

SegmentorSpec segmentor_of_file(const WeightFile& file,
                                const DenseLoadOptions<SegmentorSpec>& options) {
  return spec_of_file(file, options, recognized_segmentor);
}

namespace {

void check_tensors(const TensorMap& tensors, const std::vector<Param>& table,
                   const std::string& what) {
  size_t known = 0;
  for (const Param& param : table) {
    const auto found = tensors.find(param.name);
    if (found == tensors.end()) {
      require(param.name.ends_with("num_batches_tracked"), ErrorCode::kMismatch,
              "{}: its tensors are not the network's: '{}' is missing; is the architecture another "
              "one?",
              what, param.name);
      continue;
    }
    ++known;
    require(found->second.shape == param.shape, ErrorCode::kMismatch,
            "{}: '{}' has shape {} there, the network needs {}; is it for another size or number "
            "of classes?",
            what, param.name, to_string(found->second.shape), to_string(param.shape));
  }
  if (known == tensors.size()) return;
  for (const auto& [name, tensor] : tensors) {
    const bool expected = std::ranges::any_of(
        table, [&name = name](const Param& param) { return param.name == name; });
    require(expected, ErrorCode::kMismatch,
            "{}: its tensors are not the network's: '{}' is unexpected ({} such); is the "
            "architecture another one?",
            what, name, tensors.size() - known);
  }
}

template <typename NetworkConfig>
void check_network_of(const TensorMap& tensors, const NetworkConfig& config,
                      std::vector<Param> table, const std::string& what) {
  const bool folded = std::none_of(tensors.begin(), tensors.end(), [](const auto& item) {
    return item.first.find(".bn.") != std::string::npos;
  });
  if (folded) table = without_batch_norms(table);
  TensorMap plain = tensors;
  for (const std::string& name : quantization_parameters(config, tensors)) plain.erase(name);
  check_tensors(plain, table, what);
  const std::string problem = quantization_problem(config, tensors);
  require(problem.empty(), ErrorCode::kMismatch, "{}: not a quantized model: {}", what, problem);
}

}  // namespace

void check_network(const TensorMap& tensors, const DetectorConfig& config,
                   const std::string& what) {
  check_network_of(tensors, config, parameter_table(config), what);
}

void check_network(const TensorMap& tensors, const SegmentorConfig& config,
                   const std::string& what) {
  std::vector<Param> table = parameter_table(config);
  if (!has_prefix(tensors, "auxiliary_head.")) {
    std::erase_if(table, [](const Param& p) { return p.name.starts_with("auxiliary_head."); });
  }
  check_network_of(tensors, config, table, what);
}

}  // namespace asmlp
