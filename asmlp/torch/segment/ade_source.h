// ADE20K, and data sets laid out like it, as samples for data::Loader.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/dataset/ade20k/ade20k.h"
#include "asmlp/dataset/cache/image_cache.h"
#include "asmlp/torch/data/loader.h"
#include "asmlp/torch/segment/train_transform.h"

namespace asmlp::segment {

// Crops with their labels (train_transform.h). `data` must outlive the source.
class AdeTrainingSource final : public data::SampleSource {
 public:
  // Error(kInvalidArgument) for options outside their ranges.
  AdeTrainingSource(const Ade20k& data, DenseInput input, TrainTransformOptions options);
  int64_t size() const override { return data_->size(); }
  data::TensorSample get(int64_t index, data::Random& random) const override;

 private:
  const Ade20k* data_;
  DenseInput input_;
  TrainTransformOptions options_;
};

// Images as they are in the files, for evaluate(): a sample's image is uint8, 3 x H x W, neither
// resized nor normalized (predict() does both, for each of its views), and info.label_map holds the
// reduced labels, H x W. `data` must outlive the source.
class AdeTestSource final : public data::SampleSource {
 public:
  // `places`: per class of the data its number in the label maps of the samples (match_classes);
  // empty: its own.
  explicit AdeTestSource(const Ade20k& data, std::vector<int> places = {})
      : data_(&data), places_(std::move(places)) {}
  int64_t size() const override { return data_->size(); }
  data::TensorSample get(int64_t index, data::Random& random) const override;

 private:
  const Ade20k* data_;
  std::vector<int> places_;
};

// The images for a cache: `plain` is the data without one, `what` names them in messages.
CacheContents cache_contents(const Ade20k& plain, const std::string& what);

// Takes images from the cache where that has them.
void use_cache(Ade20k& data, std::shared_ptr<const ImageCache> cache);

// Image `i` of a batch of AdeTestSource's samples, without the batch's padding.
Image image_of(const data::Batch& batch, int64_t i);

}  // namespace asmlp::segment
