// The pictures of a classifier's training.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/metrics/topk.h"
#include "asmlp/model/spec.h"
#include "asmlp/report/draw/tiles.h"
#include "asmlp/report/picture.h"
#include "asmlp/torch/data/batch_source.h"
#include "asmlp/torch/distributed/world.h"

namespace asmlp::train {

// The first `count` images of a batch with their classes; of mixed images (mixup, CutMix), whose
// targets are n x classes, both with their shares. `smoothing` is the targets'.
std::vector<Tile> class_samples(const data::Batch& batch, int64_t count,
                                const Preprocessing& preprocessing,
                                const std::vector<std::string>& classes, double smoothing);

// Of models with more classes than that, no confusion matrix is kept.
inline constexpr int kMaxConfusionClasses = 2000;

// Collects what the pictures of one validation show.
class ClassPictures {
 public:
  // Of a validation of `images` images, `count` of rank 0's are shown.
  ClassPictures(const Preprocessing& preprocessing, std::vector<std::string> classes,
                int num_classes, int64_t images, int64_t count, const dist::World& world);
  // logits: n x num_classes.
  void add(const data::Batch& batch, const torch::Tensor& logits);
  // The predictions of rank 0, and the confusion matrix of all processes (collective). Empty where
  // nothing is to be drawn.
  std::vector<Picture> draw(dist::World& world);

 private:
  Preprocessing preprocessing_;
  std::vector<std::string> classes_;
  int64_t total_;
  bool draws_;
  std::vector<int64_t> shown_;  // positions in the validation
  int64_t position_ = 0;
  std::vector<Tile> tiles_;
  std::optional<ConfusionMatrix> confusion_;
};

}  // namespace asmlp::train
