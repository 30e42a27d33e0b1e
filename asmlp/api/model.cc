// Models and images of the C++ API: what is not a class of its own.
#include <algorithm>

#include "asmlp/asmlp.hpp"
#include "asmlp/core/error.h"
#include "asmlp/engine/engine.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/model/imagenet_classes.h"
#include "asmlp/model/params.h"
#include "asmlp/weights/checkpoint.h"

namespace asmlp {
namespace {

CheckpointOptions checkpoint_options(const LoadOptions& options) {
  require(options.precision >= Precision::kFp32 && options.precision <= Precision::kInt8,
          ErrorCode::kInvalidArgument, "precision is {}, which is none of Precision",
          static_cast<int>(options.precision));
  require(options.isa >= Isa::kAuto && options.isa <= Isa::kAvx512Amx, ErrorCode::kInvalidArgument,
          "isa is {}, which is none of Isa", static_cast<int>(options.isa));
  CheckpointOptions result;
  if (!options.config.empty()) result.spec = spec_from_json(options.config, "config");
  if (options.shift_h == 0 && options.shift_w == 0) return result;
  ShiftSize shift{options.shift_h, options.shift_w};
  if (shift.h == 0) shift.h = shift.w;
  if (shift.w == 0) shift.w = shift.h;
  require(shift.h >= 1 && shift.h <= 255 && shift.w >= 1 && shift.w <= 255,
          ErrorCode::kInvalidArgument, "shift_h {} and shift_w {} must be between 1 and 255",
          options.shift_h, options.shift_w);
  result.shift_size = shift;
  return result;
}

// Feature k of a config, 0..num_stages().
FeatureInfo feature_info(const Config& config, int k) {
  const int stage = std::min(k, config.num_stages() - 1);  // the last stage merges nothing
  return {k == 0 ? "patch_embed" : fmt::format("layers.{}", k - 1), config.dim(stage),
          config.patch_size << stage};
}

ModelInfo info_of(const PackedModel& packed) {
  const ModelSpec& spec = packed.spec();
  const Config& config = spec.config;
  ModelInfo info;
  info.name = spec.name;
  info.task = Task::kClassify;
  info.is_classifier = config.num_classes > 0;
  info.in_channels = config.in_chans;
  info.num_classes = config.num_classes;
  info.image_size = spec.preprocessing.size;
  info.embedding_size = config.num_features();
  for (int k = 0; k <= config.num_stages(); ++k) info.features.push_back(feature_info(config, k));
  for (int c = 0; c < config.num_classes; ++c) info.classes.push_back(class_label(spec.classes, c));
  info.parameters = parameter_count(config);
  info.multiply_adds = multiply_adds(config, info.image_size, info.image_size);
  info.precision = packed.precision();
  info.isa = packed.isa();
  info.description = to_json(spec);
  return info;
}

std::shared_ptr<const PackedModel> not_null(std::shared_ptr<const PackedModel> packed) {
  require(packed != nullptr, ErrorCode::kInvalidArgument, "the packed model is a null pointer");
  return packed;
}

DecodeOptions decode_options(const ReadOptions& options) {
  require(options.max_pixels >= 0 && options.max_pixels <= 10'000'000'000,
          ErrorCode::kInvalidArgument, "max_pixels is {}, must be between 0 and 10000000000",
          options.max_pixels);
  require(options.exif == Exif::kApply || options.exif == Exif::kIgnore,
          ErrorCode::kInvalidArgument, "exif is {}, which is none of Exif",
          static_cast<int>(options.exif));
  DecodeOptions result;
  result.exif = options.exif;
  return options.max_pixels > 0 ? with_max_pixels(result, options.max_pixels) : result;
}

DecodedImage decoded(const Image& image) {
  Image rgb = to_rgb(image);
  return {rgb.height, rgb.width, std::move(rgb.pixels)};
}

}  // namespace

const char* version() noexcept { return ASMLP_VERSION; }

Model::Model(std::shared_ptr<const PackedModel> packed)
    : packed_(not_null(std::move(packed))), info_(info_of(*packed_)) {}
Model::~Model() = default;

FeatureShape Model::feature_shape(int feature, int height, int width) const {
  require(feature >= 0 && static_cast<size_t>(feature) < info_.features.size(),
          ErrorCode::kInvalidArgument, "there is no feature map {}; the model has {}", feature,
          info_.features.size());
  require(height >= 1 && height <= 16384 && width >= 1 && width <= 16384,
          ErrorCode::kInvalidArgument, "input size {} x {} is outside 1..16384 pixels", height,
          width);
  const FeatureInfo& info = info_.features[static_cast<size_t>(feature)];
  // Patches and mergings are padded one after another, which rounds up as one division does.
  const auto rounded_up = [&](int side) { return (side + info.stride - 1) / info.stride; };
  return {info.channels, rounded_up(height), rounded_up(width)};
}

LoadResult load_model(const std::filesystem::path& file, const LoadOptions& options) {
  LoadResult result;
  Checkpoint checkpoint = load_checkpoint(file, checkpoint_options(options), &result.notes);
  if (checkpoint.spec.classes.empty() && checkpoint.spec.config.num_classes == 1000) {
    checkpoint.spec.classes = imagenet_names();
    result.notes.emplace_back(
        "class names are ImageNet's: the model has 1000 classes without names.");
  }
  result.model = std::make_shared<const Model>(
      PackedModel::create(std::move(checkpoint.spec), checkpoint.tensors,
                          {.isa = options.isa, .precision = options.precision}));
  return result;
}

DecodedImage read_image(const std::filesystem::path& file, const ReadOptions& options) {
  return decoded(decode_image(file, decode_options(options)));
}

DecodedImage read_image(const void* bytes, std::size_t size, const ReadOptions& options) {
  require(bytes != nullptr, ErrorCode::kInvalidArgument,
          "the bytes of the image are a null pointer");
  return decoded(decode_image(std::span(static_cast<const std::byte*>(bytes), size), "image",
                              decode_options(options)));
}

}  // namespace asmlp
