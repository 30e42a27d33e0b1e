// The pictures of a segmentor's training.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "asmlp/image/image.h"
#include "asmlp/image/labels/color.h"
#include "asmlp/metrics/topk.h"
#include "asmlp/model/dense_spec.h"
#include "asmlp/report/draw/tiles.h"
#include "asmlp/report/picture.h"
#include "asmlp/torch/data/batch_source.h"
#include "asmlp/torch/distributed/world.h"

namespace asmlp::train {

// The first `count` images of a batch beside their labels, which lie over them in the colors of the
// classes.
std::vector<Tile> segment_samples(const data::Batch& batch, int64_t count, const DenseInput& input,
                                  const std::vector<std::string>& classes,
                                  const std::vector<Color>& colors);

// Collects what the pictures of one validation show.
class SegmentPictures {
 public:
  // Of a validation of `images` images, `count` of rank 0's are shown. `classes` are the network's.
  SegmentPictures(std::vector<std::string> classes, std::vector<Color> colors, int64_t images,
                  int64_t count, const dist::World& world);
  // An image of the files with its true and its predicted labels, H x W x 1; `name` is its file's.
  void add(const Image& image, const Image& truth, const Image& predicted, const std::string& name);
  // The predictions of rank 0, and the confusion matrix of all processes (collective). Empty in the
  // other processes.
  std::vector<Picture> draw(dist::World& world);

 private:
  std::vector<std::string> classes_;
  std::vector<Color> colors_;
  int64_t total_;
  bool draws_;
  std::vector<int64_t> shown_;
  int64_t position_ = 0;
  std::vector<Tile> tiles_;
  ConfusionMatrix confusion_;
};

}  // namespace asmlp::train
