// COCO's images for a detector: for training with their objects, for a test without.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/dataset/cache/image_cache.h"
#include "asmlp/dataset/coco/coco.h"
#include "asmlp/dataset/dataset.h"
#include "asmlp/image/decode.h"
#include "asmlp/model/dense_spec.h"
#include "asmlp/torch/data/loader.h"
#include "asmlp/torch/detect/data/train_transform.h"

namespace asmlp::detect {

// Whether the masks of objects are trained, and so drawn.
enum class ObjectMasks { kDrawn, kLeftOut };

// The images to train on (coco_training_images), augmented. Read with OpenCV's pixels and the
// EXIF orientation that `input` says, but as they are stored where the size in the annotations is
// that of the stored pixels only (told to the log once). Reads the image and draws the masks
// of an image, of the objects that have an outline, when it is asked for. In get(), an Error names
// the file: when it cannot be read, when its size is not the one of the annotations (kMismatch),
// when a mask cannot be drawn.
class CocoTrainingSource final : public data::SampleSource {
 public:
  // `images` is the folder of the files; `annotations` must outlive the source. Errors: those of
  // the options' validate functions.
  CocoTrainingSource(std::filesystem::path images, const CocoAnnotations& annotations,
                     TrainTransformOptions options, DenseInput input, ObjectMasks masks,
                     int64_t max_pixels = DecodeOptions{}.max_pixels);

  int64_t size() const override { return static_cast<int64_t>(used_.size()); }
  data::TensorSample get(int64_t index, data::Random& random) const override;
  // The images for a cache, and the cache; `what` names them in messages.
  CacheContents cache_contents(const std::string& what) const;
  void use_cache(std::shared_ptr<const ImageCache> cache) { cache_ = std::move(cache); }
  // 1 for an image that is wider than high, else 0.
  int group(int64_t index) const override;

  // The images and the objects in the order of the indices.
  const std::vector<CocoTrainingImage>& images() const { return used_; }
  // How many objects there are to train on, and how many of them have an outline.
  int64_t objects() const { return objects_; }
  int64_t outlined() const { return outlined_; }

 private:
  Image read(int64_t index) const;

  std::filesystem::path folder_;
  const CocoAnnotations* annotations_;
  TrainTransformOptions options_;
  DenseInput input_;
  ObjectMasks masks_;
  DecodeOptions decoding_;
  mutable std::atomic<bool> told_ = false;  // about pixels that are not turned
  std::vector<CocoTrainingImage> used_;
  int64_t objects_ = 0, outlined_ = 0;
  std::shared_ptr<const ImageCache> cache_;
};

// Every image of the annotations as a test sees it (test_sample); the index is that into
// CocoAnnotations::images. Errors of get() as above.
class CocoTestSource final : public data::SampleSource {
 public:
  // As CocoTrainingSource.
  CocoTestSource(std::filesystem::path images, const CocoAnnotations& annotations, DenseInput input,
                 int64_t max_pixels = DecodeOptions{}.max_pixels);

  int64_t size() const override { return static_cast<int64_t>(annotations_->images.size()); }
  data::TensorSample get(int64_t index, data::Random& random) const override;
  // As CocoTrainingSource.
  CacheContents cache_contents(const std::string& what) const;
  void use_cache(std::shared_ptr<const ImageCache> cache) { cache_ = std::move(cache); }
  // Images read so far that were not turned although EXIF orientation is applied: their size in the
  // annotations shows that those were made on the stored pixels.
  int64_t stored() const { return stored_; }

 private:
  Image read(int64_t index) const;

  std::filesystem::path folder_;
  const CocoAnnotations* annotations_;
  DenseInput input_;
  DecodeOptions decoding_;
  mutable std::atomic<int64_t> stored_ = 0;
  std::shared_ptr<const ImageCache> cache_;
};

}  // namespace asmlp::detect
