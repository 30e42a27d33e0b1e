#include "asmlp/torch/detect/data/coco_source.h"

#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"
#include "asmlp/torch/data/dense_input.h"

namespace asmlp::detect {
namespace {

namespace fs = std::filesystem;

constexpr int kChannels = 3;

void check_index(int64_t index, int64_t size) {
  require(index >= 0 && index < size, ErrorCode::kInvalidArgument, "image {} of a data set of {}",
          index, size);
}

Image read_image(const fs::path& path, const CocoImage& image) {
  Image decoded = decode_image(path);
  require(decoded.height == image.height && decoded.width == image.width, ErrorCode::kMismatch,
          "{}: is {} x {}, the annotations say {} x {} (height x width); are they of this folder?",
          path.string(), decoded.height, decoded.width, image.height, image.width);
  return decoded;
}

ImageObject object_of(const CocoAnnotation& annotation, int source) {
  const auto [x, y, width, height] = annotation.box;
  const auto single = [](double value) { return static_cast<float>(value); };
  return {{single(x), single(y), single(x + width), single(y + height)}, annotation.label, source};
}

}  // namespace

CocoTrainingSource::CocoTrainingSource(fs::path images, const CocoAnnotations& annotations,
                                       TrainTransformOptions options, DenseInput input)
    : folder_(std::move(images)),
      annotations_(&annotations),
      options_(std::move(options)),
      input_(std::move(input)),
      used_(coco_training_images(annotations)) {
  validate(options_);
  validate(input_, kChannels);
  for (const CocoTrainingImage& image : used_) {
    for (const int index : image.annotations) {
      const CocoAnnotation& a = annotations.annotations[static_cast<size_t>(index)];
      require(!a.polygons.empty() || !a.mask.counts.empty(), ErrorCode::kBadFormat,
              "annotation {} has no segmentation, so its mask cannot be trained; leave out such "
              "annotations",
              a.id);
    }
  }
}

data::TensorSample CocoTrainingSource::get(int64_t index, data::Random& random) const {
  check_index(index, size());
  const CocoTrainingImage& used = used_[static_cast<size_t>(index)];
  const CocoImage& image = annotations_->images[static_cast<size_t>(used.image)];
  const fs::path path = folder_ / image.file_name;
  std::vector<ImageObject> objects;
  for (const int a : used.annotations) {
    objects.push_back(object_of(annotations_->annotations[static_cast<size_t>(a)], a));
  }
  const auto mask_of = [&](int source) {
    const CocoAnnotation& annotation = annotations_->annotations[static_cast<size_t>(source)];
    try {
      return coco_mask(annotation, image);
    } catch (const Error& error) {
      fail(error.code(), "{}: annotation {}: {}", path.string(), annotation.id, error.what());
    }
  };
  return train_sample(ObjectImage(read_image(path, image), std::move(objects)), mask_of, options_,
                      input_, random);
}

int CocoTrainingSource::group(int64_t index) const {
  check_index(index, size());
  const int image = used_[static_cast<size_t>(index)].image;
  const CocoImage& sizes = annotations_->images[static_cast<size_t>(image)];
  return sizes.width > sizes.height ? 1 : 0;
}

CocoTestSource::CocoTestSource(fs::path images, const CocoAnnotations& annotations,
                               DenseInput input)
    : folder_(std::move(images)), annotations_(&annotations), input_(std::move(input)) {
  validate(input_, kChannels);
}

data::TensorSample CocoTestSource::get(int64_t index, data::Random&) const {
  check_index(index, size());
  const CocoImage& image = annotations_->images[static_cast<size_t>(index)];
  return data::test_sample(read_image(folder_ / image.file_name, image), input_);
}

}  // namespace asmlp::detect
