// Semantic segmentation as a task of the trainer.
#pragma once

#include <memory>
#include <string>

#include "asmlp/torch/train/task.h"

namespace asmlp::train {

// UPerNet on a folder of ADE20K's layout (dataset/ade20k.h), from which the model takes the number
// and the names of its classes. Its metrics are mIoU (the eval metric), mAcc and aAcc, of whole
// images at one scale in fp32. A start (load_initial_weights) may be an ImageNet classifier or
// another backbone, of which the backbone's part is taken, or a whole segmentor, of which is taken
// what has the right shape. Errors: those of Ade20k, kMismatch when the splits have different
// classes.
std::unique_ptr<TrainingTask> segment_task(const TrainOptions& options, const std::string& tag,
                                           dist::World& world);

}  // namespace asmlp::train
