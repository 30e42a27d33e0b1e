// The pictures of a detector's training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/dataset/coco/coco.h"
#include "asmlp/model/dense_spec.h"
#include "asmlp/report/draw/tiles.h"
#include "asmlp/report/picture.h"
#include "asmlp/torch/data/batch_source.h"
#include "asmlp/torch/detect/evaluate.h"

namespace asmlp::train {

// The first `count` images of a batch with their boxes and, where they have some, masks.
std::vector<Tile> detect_samples(const data::Batch& batch, int64_t count, const DenseInput& input,
                                 const std::vector<std::string>& classes);

// What scores less is not drawn as a prediction.
inline constexpr double kDrawnScore = 0.3;

// The ground truth of `count` images of the annotations beside what was found on them, and the
// precision-recall curves; of the process that has both. The images are read from `folder`.
std::vector<Picture> detect_pictures(const std::filesystem::path& folder,
                                     const CocoAnnotations& annotations,
                                     const detect::CocoEvaluation& evaluation, int64_t count,
                                     const std::vector<std::string>& classes);

}  // namespace asmlp::train
