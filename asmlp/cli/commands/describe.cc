#include "asmlp/cli/commands/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"
#include "asmlp/model/description/description_json.h"
#include "asmlp/model/description/model_name.h"
#include "asmlp/model/params.h"
#include "asmlp/quantize/storage.h"
#include "asmlp/report/table.h"
#include "asmlp/schema/fields.h"

namespace asmlp::cli {
namespace {

// Rows of "key  value".
class Lines {
 public:
  void add(const std::string& key, const std::string& value) { table_.add_row({key, value}); }
  std::string str() const { return table_.str(); }

 private:
  Table table_{{{}, {}}};
};

std::string shift_in_words(const ShiftSize& shift) {
  return shift.h == shift.w ? fmt::format("{}", shift.h)
                            : fmt::format("{} vertical, {} horizontal", shift.h, shift.w);
}

std::string classes_text(const Description& model) {
  const std::vector<std::string>& names = model.classes();
  if (model.num_classes() == 0) return "none (a backbone)";
  if (names.empty()) return fmt::format("{} (no names)", model.num_classes());
  return truncated(fmt::format("{}: {}", names.size(), fmt::join(names, ", ")), 160);
}

std::string count_text(int64_t count) {
  return count >= 100'000'000 ? fmt::format("{:.2f} G", double(count) * 1e-9)
                              : fmt::format("{:.2f} M", double(count) * 1e-6);
}

void add_backbone(Lines& lines, const Config& config) {
  lines.add("stages", fmt::format("embed_dim {}, depths [{}], mlp_ratio {:g}", config.embed_dim,
                                  fmt::join(config.depths, ", "), config.mlp_ratio));
  lines.add("patch", fmt::format("{0} x {0} pixels, {1} input channel{2}{3}", config.patch_size,
                                 config.in_chans, config.in_chans == 1 ? "" : "s",
                                 config.patch_norm ? "" : ", no norm after the embedding"));
  lines.add("shift",
            fmt::format("size {}, dilation {}, padding {}, {}", shift_in_words(config.shift_size),
                        config.dilation, to_string(config.padding), to_string(config.connection)));
}

// The own fields of a baseline, as its description has them.
void add_family(Lines& lines, const Architecture& architecture) {
  if (is_as_mlp(architecture)) return add_backbone(lines, architecture.spec.config);
  const Json json = write_json(architecture);
  if (const auto* mixer = std::get_if<TokenMixerConfig>(&architecture.family)) {
    lines.add("baseline", fmt::format("AS-MLP with the token mixer {}", to_string(mixer->mixer)));
  } else {
    lines.add("baseline", json["family"].get<std::string>());
  }
  lines.add("config", json["config"].dump());
}

void add_quantization(Lines& lines, const QuantizationInfo& info) {
  lines.add("int8",
            fmt::format("of {}: inputs' ranges by {} of {} images{}; outputs off by {:.2f} % "
                        "on {} others",
                        info.source, info.method, info.images, info.equalized ? ", equalized" : "",
                        100 * info.error, info.held_out));
  if (info.fp32_layers.empty()) return;
  lines.add("fp32 layers", truncated(fmt::format("{}: {}", info.fp32_layers.size(),
                                                 fmt::join(info.fp32_layers, ", ")),
                                     160));
}

void add_model(Lines& lines, const Architecture& architecture) {
  add_family(lines, architecture);
  const Preprocessing& pre = architecture.spec.preprocessing;
  lines.add("preprocessing", fmt::format("{} px, crop_pct {:g}, {}, mean [{:g}], std [{:g}]",
                                         pre.size, pre.crop_pct, to_string(pre.interpolation),
                                         fmt::join(pre.mean, ", "), fmt::join(pre.std, ", ")));
  if (architecture.spec.quantization) add_quantization(lines, *architecture.spec.quantization);
}

void add_input(Lines& lines, const DenseInput& input) {
  lines.add("preprocessing",
            fmt::format("short side {} px, long side at most {}, padded to {}, mean [{:g}], std "
                        "[{:g}]",
                        input.short_side, input.long_side, input.pad_multiple,
                        fmt::join(input.mean, ", "), fmt::join(input.std, ", ")));
}

void add_model(Lines& lines, const DetectorSpec& spec) {
  const DetectorConfig& config = spec.config;
  add_backbone(lines, config.backbone);
  lines.add("heads", fmt::format("{}, {} stage{}, pyramid of {} levels with {} channels",
                                 name_of(config.kind), config.stages.size(),
                                 config.stages.size() == 1 ? "" : "s",
                                 config.rpn.anchors.strides.size(), config.fpn_channels));
  lines.add("test", fmt::format("score > {:g}, NMS at IoU {:g}, at most {} detections",
                                config.test.score_threshold, config.test.nms_iou,
                                config.test.max_detections));
  add_input(lines, spec.preprocessing);
  if (spec.quantization.images > 0) add_quantization(lines, spec.quantization);
}

void add_model(Lines& lines, const SegmentorSpec& spec) {
  add_backbone(lines, spec.config.backbone);
  lines.add("heads",
            fmt::format("upernet with {} channels, pools [{}]", spec.config.decode_head.channels,
                        fmt::join(spec.config.decode_head.pool_scales, ", ")));
  add_input(lines, spec.preprocessing);
  if (spec.quantization.images > 0) add_quantization(lines, spec.quantization);
}

// "bf16 (18.2 MB), fp32 (0.1 MB)".
std::string storage_text(const TensorMap& tensors) {
  std::string text;
  for (const StorageShare& share : storage_shares(tensors)) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", storage_name(share.dtype),
                        format_bytes(double(share.bytes)));
  }
  return text;
}

std::vector<Param> table_of(const Description& model) {
  if (const auto* architecture = std::get_if<Architecture>(&model.model)) {
    require(is_as_mlp(*architecture), ErrorCode::kUnsupported,
            "--params: the parameters of the baseline '{}' are not listed", model.name());
    return parameter_table(architecture->spec.config);
  }
  if (const auto* detector = std::get_if<DetectorSpec>(&model.model)) {
    return parameter_table(detector->config);
  }
  return parameter_table(std::get<SegmentorSpec>(model.model).config);
}

}  // namespace

std::string describe_model(const Description& model, const std::filesystem::path& file,
                           const TensorMap& tensors) {
  const int64_t parameters = parameter_count(model);
  const MapSize size = counted_size(model);
  const int64_t macs = multiply_adds(model, size.h, size.w);
  Lines lines;
  lines.add("model", model_name(model));
  lines.add("task", to_string(model.task()));
  if (!file.empty()) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(file, error);
    lines.add("file", file.string() + (error ? "" : " (" + format_bytes(double(bytes)) + ")"));
  }
  if (!tensors.empty()) lines.add("stored in", storage_text(tensors));
  lines.add("parameters",
            fmt::format("{} ({:.2f} M)", group_digits(parameters), double(parameters) * 1e-6));
  lines.add("multiply-adds", fmt::format("{} ({}) at {} x {}", group_digits(macs), count_text(macs),
                                         size.h, size.w));
  std::visit([&](const auto& own) { add_model(lines, own); }, model.model);
  lines.add("classes", classes_text(model));
  for (const auto& [key, value] : model.origin()) lines.add("origin." + key, value);
  return lines.str();
}

Json model_to_json(const Description& model, const std::filesystem::path& file,
                   const TensorMap& tensors) {
  const MapSize size = counted_size(model);
  Json json = write_json(model);
  json["name"] = model_name(model);
  if (!file.empty()) {
    json["file"] = file.string();
    std::error_code error;
    const auto bytes = std::filesystem::file_size(file, error);
    if (!error) json["file_bytes"] = bytes;
  }
  for (const StorageShare& share : storage_shares(tensors)) {
    json["storage"][storage_name(share.dtype)] = share.elements;
  }
  json["parameters"] = parameter_count(model);
  if (model.task() == Task::kClassify) {
    json["img_size"] = size.h;
  } else {
    json["img_size"] = {size.h, size.w};
  }
  json["multiply_adds"] = multiply_adds(model, size.h, size.w);
  return json;
}

std::string parameter_text(const Description& model) {
  Table table({{"parameter"}, {"shape"}, {"elements", Align::kRight}});
  const std::vector<Param> params = table_of(model);
  for (const Param& param : params) {
    table.add_row({param.name, to_string(param.shape), group_digits(element_count(param.shape))});
  }
  table.add_row({"total (trained)", "", group_digits(count_trained(params))});
  return table.str();
}

Json parameter_json(const Description& model) {
  Json list = Json::array();
  for (const Param& param : table_of(model)) {
    list.push_back({{"name", param.name}, {"shape", param.shape}});
  }
  return list;
}

}  // namespace asmlp::cli
