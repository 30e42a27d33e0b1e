// Models and images of the C++ API: what is not a class of its own.
#include <algorithm>
#include <atomic>

#include "asmlp/api/views.h"
#include "asmlp/asmlp.hpp"
#include "asmlp/core/error.h"
#include "asmlp/engine/heads/detector.h"
#include "asmlp/engine/heads/segmentor.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/model/description/description.h"
#include "asmlp/model/params.h"

namespace asmlp {
namespace {

// Feature k of a config, 0..num_stages().
FeatureInfo feature_info(const Config& config, int k) {
  const int stage = std::min(k, config.num_stages() - 1);  // the last stage merges nothing
  return {k == 0 ? "patch_embed" : fmt::format("layers.{}", k - 1), config.dim(stage),
          config.patch_size << stage};
}

// What all kinds of models have.
ModelInfo info_of(const Description& description, Precision precision, Isa isa) {
  const Config& backbone = description.backbone();
  ModelInfo info{};
  info.name = description.name();
  info.task = description.task();
  info.in_channels = backbone.in_chans;
  info.num_classes = description.num_classes();
  info.embedding_size = backbone.num_features();
  for (int k = 0; k <= backbone.num_stages(); ++k) {
    info.features.push_back(feature_info(backbone, k));
  }
  for (int c = 0; c < info.num_classes; ++c) {
    info.classes.push_back(class_label(description.classes(), c));
  }
  info.parameters = parameter_count(description);
  const MapSize counted = counted_size(description);
  info.multiply_adds = multiply_adds(description, counted.h, counted.w);
  info.precision = precision;
  info.isa = isa;
  info.description = to_json(description);
  return info;
}

ModelInfo info_of(const PackedModel& packed) {
  const ModelSpec& spec = packed.spec();
  ModelInfo info = info_of({Architecture{spec, AsMlpFamily{}}}, packed.precision(), packed.isa());
  info.is_classifier = spec.config.num_classes > 0;
  info.image_size = spec.preprocessing.size;
  info.multiply_adds = multiply_adds(spec.config, info.image_size, info.image_size);
  info.description = to_json(spec);
  return info;
}

// Of a detector or segmentor.
template <typename Packed>
ModelInfo info_of_dense(const Packed& packed) {
  ModelInfo info = info_of({packed.spec()}, packed.precision(), packed.isa());
  info.image_size = Preprocessing().size;
  info.short_side = packed.spec().preprocessing.short_side;
  info.long_side = packed.spec().preprocessing.long_side;
  return info;
}

template <typename Packed>
std::shared_ptr<const Packed> not_null(std::shared_ptr<const Packed> packed) {
  require(packed != nullptr, ErrorCode::kInvalidArgument, "the packed model is a null pointer");
  return packed;
}

DecodedImage decoded(const Image& image) {
  Image rgb = to_rgb(image);
  return {rgb.height, rgb.width, std::move(rgb.pixels)};
}

}  // namespace

const char* version() noexcept { return ASMLP_VERSION; }

Model::Model(std::shared_ptr<const PackedModel> packed)
    : packed_(not_null(std::move(packed))), info_(info_of(*packed_)) {}
Model::Model(std::shared_ptr<const PackedDetector> packed, MakeBackbone backbone)
    : detector_(not_null(std::move(packed))),
      make_backbone_(std::move(backbone)),
      info_(info_of_dense(*detector_)) {}
Model::Model(std::shared_ptr<const PackedSegmentor> packed, MakeBackbone backbone)
    : segmentor_(not_null(std::move(packed))),
      make_backbone_(std::move(backbone)),
      info_(info_of_dense(*segmentor_)) {}
Model::~Model() = default;

std::shared_ptr<const PackedModel> Model::packed() const {
  std::shared_ptr<const PackedModel> packed = std::atomic_load(&packed_);
  if (packed != nullptr) return packed;
  // Without a lock, which a fork() could leave locked: of several threads the first one's counts.
  std::shared_ptr<const PackedModel> made = make_backbone_();
  return std::atomic_compare_exchange_strong(&packed_, &packed, made) ? made : packed;
}

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

DecodedImage read_image(const std::filesystem::path& file, const ReadOptions& options,
                        PixelStyle style) {
  return decoded(decode_image(file, decode_options(options, style)));
}

DecodedImage read_image(const void* bytes, std::size_t size, const ReadOptions& options,
                        PixelStyle style) {
  return decoded(decode_bytes(bytes, size, options, style));
}

}  // namespace asmlp
