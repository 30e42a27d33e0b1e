// Models and images of the C++ API: what is not a class of its own.
#include <algorithm>

#include "asmlp/api/batch_runner.h"
#include "asmlp/asmlp.h"
#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/model/params.h"
#include "asmlp/weights/checkpoint.h"

namespace asmlp {
namespace {

Isa isa_named(const std::string& name) {
  if (name.empty()) return default_isa();
  std::string names;
  for (Isa isa : available_isas()) {
    if (name == to_string(isa)) return isa;
    names += (names.empty() ? "" : ", ") + std::string(to_string(isa));
  }
  fail(ErrorCode::kInvalidArgument, "isa '{}': unknown or not on this machine; available: {}", name,
       names);
}

LoadOptions load_options(const LoadSettings& settings) {
  LoadOptions options;
  if (!settings.config.empty()) options.spec = spec_from_json(settings.config, "config");
  if (settings.shift_h == 0 && settings.shift_w == 0) return options;
  ShiftSize shift{settings.shift_h, settings.shift_w};
  if (shift.h == 0) shift.h = shift.w;
  if (shift.w == 0) shift.w = shift.h;
  require(shift.h >= 1 && shift.h <= 255 && shift.w >= 1 && shift.w <= 255,
          ErrorCode::kInvalidArgument, "shift_h {} and shift_w {} must be between 1 and 255",
          settings.shift_h, settings.shift_w);
  options.shift_size = shift;
  return options;
}

DecodedImage decoded(const Image& image) {
  Image rgb = to_rgb(image);
  return {rgb.height, rgb.width, std::move(rgb.pixels)};
}

}  // namespace

const char* version() noexcept { return ASMLP_VERSION; }

std::shared_ptr<const Model> load_model(const std::filesystem::path& file,
                                        const LoadSettings& settings,
                                        std::vector<std::string>* notes) {
  ModelOptions options;
  options.isa = isa_named(settings.isa);
  options.precision = parse_precision(settings.precision);
  Checkpoint checkpoint = load_checkpoint(file, load_options(settings), notes);
  return Model::create(std::move(checkpoint.spec), checkpoint.tensors, options);
}

ModelInfo model_info(const Model& model) {
  const ModelSpec& spec = model.spec();
  const Config& config = spec.config;
  ModelInfo info;
  info.name = spec.name;
  info.in_channels = config.in_chans;
  info.num_classes = config.num_classes;
  info.image_size = spec.preprocessing.size;
  info.embedding_size = config.num_features();
  for (int k = 0; k <= config.num_stages(); ++k) info.features.push_back(feature_info(config, k));
  for (int c = 0; c < config.num_classes; ++c) info.classes.push_back(class_label(spec.classes, c));
  info.parameters = parameter_count(config);
  info.multiply_adds = multiply_adds(config, info.image_size, info.image_size);
  info.precision = to_string(model.precision());
  info.isa = to_string(model.isa());
  info.description = to_json(spec);
  return info;
}

DecodedImage read_image(const std::filesystem::path& file) { return decoded(decode_image(file)); }

DecodedImage read_image(const void* bytes, std::size_t size) {
  require(bytes != nullptr, ErrorCode::kInvalidArgument,
          "the bytes of the image are a null pointer");
  return decoded(decode_image(std::span(static_cast<const std::byte*>(bytes), size), "image"));
}

FeatureInfo feature_info(const Config& config, int k) {
  const int stage = std::min(k, config.num_stages() - 1);  // the last stage merges nothing
  return {k == 0 ? "patch_embed" : fmt::format("layers.{}", k - 1), config.dim(stage),
          config.patch_size << stage};
}

}  // namespace asmlp
