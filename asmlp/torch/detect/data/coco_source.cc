#include "asmlp/torch/detect/data/coco_source.h"

#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/dataset/coco/coco_pixels.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/torch/data/dense_input.h"

namespace asmlp::detect {
namespace {

namespace fs = std::filesystem;

constexpr int kChannels = 3;

void check_index(int64_t index, int64_t size) {
  require(index >= 0 && index < size, ErrorCode::kInvalidArgument, "image {} of a data set of {}",
          index, size);
}

DecodeOptions decoding_of(const DenseInput& input, int64_t max_pixels) {
  DecodeOptions decoding;
  decoding.exif = input.exif;
  decoding.style = PixelStyle::kOpenCv;
  return with_max_pixels(decoding, max_pixels);
}

ImageObject object_of(const CocoAnnotation& annotation, int source) {
  const auto [x, y, width, height] = annotation.box;
  const auto single = [](double value) { return static_cast<float>(value); };
  return {{single(x), single(y), single(x + width), single(y + height)},
          annotation.label,
          source,
          annotation.has_outline()};
}

// The picture that the cache keeps, or what `read` reads.
template <typename Read>
Image kept_or(const ImageCache* cache, int64_t index, const Read& read) {
  const std::optional<PixelView> view = cache != nullptr ? cache->find(index) : std::nullopt;
  return view ? to_rgb(copy_of(*view)) : read(index);
}

CacheContents coco_contents(const std::string& what, int64_t size, const DecodeOptions& decoding,
                            std::function<fs::path(int64_t)> file,
                            std::function<Image(int64_t)> decode) {
  CacheContents contents;
  contents.what = what;
  contents.size = size;
  contents.file = std::move(file);
  contents.decode = std::move(decode);
  contents.decoding = decoding;
  return contents;
}

}  // namespace

CocoTrainingSource::CocoTrainingSource(fs::path images, const CocoAnnotations& annotations,
                                       TrainTransformOptions options, DenseInput input,
                                       ObjectMasks masks, int64_t max_pixels)
    : folder_(std::move(images)),
      annotations_(&annotations),
      options_(std::move(options)),
      input_(std::move(input)),
      masks_(masks),
      decoding_(decoding_of(input_, max_pixels)),
      used_(coco_training_images(annotations)) {
  validate(options_);
  validate(input_, kChannels);
  for (const CocoTrainingImage& image : used_) {
    for (const int index : image.annotations) {
      ++objects_;
      outlined_ += annotations.annotations[static_cast<size_t>(index)].has_outline();
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
  ObjectImage::MaskOf mask_of = [&](int source) {
    const CocoAnnotation& annotation = annotations_->annotations[static_cast<size_t>(source)];
    try {
      return coco_mask(annotation, image);
    } catch (const Error& error) {
      fail(error.code(), "{}: annotation {}: {}", path.string(), annotation.id, error.what());
    }
  };
  if (masks_ == ObjectMasks::kLeftOut) mask_of = nullptr;
  Image pixels = kept_or(cache_.get(), index, [&](int64_t i) { return read(i); });
  return train_sample(ObjectImage(std::move(pixels), std::move(objects)), mask_of, options_, input_,
                      random);
}

Image CocoTrainingSource::read(int64_t index) const {
  const int number = used_[static_cast<size_t>(index)].image;
  const CocoImage& image = annotations_->images[static_cast<size_t>(number)];
  const fs::path path = folder_ / image.file_name;
  bool stored = false;
  Image pixels = read_coco_image(path, image, decoding_, stored);
  if (stored && !told_.exchange(true)) {
    log_message(LogLevel::kWarning,
                fmt::format("{}: its size in the annotations is that of the stored pixels: EXIF "
                            "orientation is not applied to it and to others like it",
                            path.string()));
  }
  return pixels;
}

CacheContents CocoTrainingSource::cache_contents(const std::string& what) const {
  return coco_contents(
      what, size(), decoding_,
      [this](int64_t index) {
        const int number = used_[static_cast<size_t>(index)].image;
        return folder_ / annotations_->images[static_cast<size_t>(number)].file_name;
      },
      [this](int64_t index) { return read(index); });
}

int CocoTrainingSource::group(int64_t index) const {
  check_index(index, size());
  const int image = used_[static_cast<size_t>(index)].image;
  const CocoImage& sizes = annotations_->images[static_cast<size_t>(image)];
  return sizes.width > sizes.height ? 1 : 0;
}

CocoTestSource::CocoTestSource(fs::path images, const CocoAnnotations& annotations,
                               DenseInput input, int64_t max_pixels)
    : folder_(std::move(images)),
      annotations_(&annotations),
      input_(std::move(input)),
      decoding_(decoding_of(input_, max_pixels)) {
  validate(input_, kChannels);
}

data::TensorSample CocoTestSource::get(int64_t index, data::Random&) const {
  check_index(index, size());
  return data::test_sample(kept_or(cache_.get(), index, [&](int64_t i) { return read(i); }),
                           input_);
}

Image CocoTestSource::read(int64_t index) const {
  const CocoImage& image = annotations_->images[static_cast<size_t>(index)];
  bool stored = false;
  Image pixels = read_coco_image(folder_ / image.file_name, image, decoding_, stored);
  if (stored) ++stored_;
  return pixels;
}

CacheContents CocoTestSource::cache_contents(const std::string& what) const {
  return coco_contents(
      what, size(), decoding_,
      [this](int64_t index) {
        return folder_ / annotations_->images[static_cast<size_t>(index)].file_name;
      },
      [this](int64_t index) { return read(index); });
}

}  // namespace asmlp::detect
