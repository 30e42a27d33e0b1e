// COCO's images for a detector: for training with their objects, for a test without.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "asmlp/dataset/coco/coco.h"
#include "asmlp/model/dense_spec.h"
#include "asmlp/torch/data/loader.h"
#include "asmlp/torch/detect/data/train_transform.h"

namespace asmlp::detect {

// The images to train on (coco_training_images), augmented. Reads the image and draws the masks
// of an image when it is asked for. In get(), an Error names the file: when it cannot be read, when
// its size is not the one of the annotations (kMismatch), when a mask cannot be drawn.
class CocoTrainingSource final : public data::SampleSource {
 public:
  // `images` is the folder of the files; `annotations` must outlive the source. Errors: those of
  // the options' validate functions; kBadFormat for an object to train on that has no outline.
  CocoTrainingSource(std::filesystem::path images, const CocoAnnotations& annotations,
                     TrainTransformOptions options, DenseInput input);

  int64_t size() const override { return static_cast<int64_t>(used_.size()); }
  data::TensorSample get(int64_t index, data::Random& random) const override;
  // 1 for an image that is wider than high, else 0.
  int group(int64_t index) const override;

  // The images and the objects in the order of the indices.
  const std::vector<CocoTrainingImage>& images() const { return used_; }

 private:
  std::filesystem::path folder_;
  const CocoAnnotations* annotations_;
  TrainTransformOptions options_;
  DenseInput input_;
  std::vector<CocoTrainingImage> used_;
};

// Every image of the annotations as a test sees it (test_sample); the index is that into
// CocoAnnotations::images. Errors of get() as above.
class CocoTestSource final : public data::SampleSource {
 public:
  // As CocoTrainingSource.
  CocoTestSource(std::filesystem::path images, const CocoAnnotations& annotations,
                 DenseInput input);

  int64_t size() const override { return static_cast<int64_t>(annotations_->images.size()); }
  data::TensorSample get(int64_t index, data::Random& random) const override;

 private:
  std::filesystem::path folder_;
  const CocoAnnotations* annotations_;
  DenseInput input_;
};

}  // namespace asmlp::detect
