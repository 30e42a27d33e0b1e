// ADE20K, and data sets laid out like it, as items for data::ItemLoader.
#pragma once

#include "asmlp/dataset/ade20k/ade20k.h"
#include "asmlp/torch/data/sample_loader.h"
#include "asmlp/torch/segment/train_transform.h"

namespace asmlp::segment {

// Crops with their labels (train_transform.h). `data` must outlive the source.
class AdeTrainingSource final : public data::ItemSource {
 public:
  // Error(kInvalidArgument) for options outside their ranges.
  AdeTrainingSource(const Ade20k& data, DenseInput input, TrainTransformOptions options);
  int64_t size() const override { return data_->size(); }
  data::Item get(int64_t index, data::Random& random) const override;

 private:
  const Ade20k* data_;
  DenseInput input_;
  TrainTransformOptions options_;
};

// Pictures as they are in the files, for evaluate(): an item's image is uint8, 3 x H x W, neither
// resized nor normalized (predict() does both, for each of its views), and info.label_map holds the
// reduced labels, H x W. `data` must outlive the source.
class AdeTestSource final : public data::ItemSource {
 public:
  explicit AdeTestSource(const Ade20k& data) : data_(&data) {}
  int64_t size() const override { return data_->size(); }
  data::Item get(int64_t index, data::Random& random) const override;

 private:
  const Ade20k* data_;
};

// Picture `i` of a batch of AdeTestSource's items, without the batch's padding.
Image picture(const data::Batch& batch, int64_t i);

}  // namespace asmlp::segment
