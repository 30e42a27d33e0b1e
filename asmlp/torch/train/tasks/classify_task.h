// Image classification as a task of the trainer.
#pragma once

#include <memory>
#include <string>

#include "asmlp/torch/data/data_source.h"
#include "asmlp/torch/nn/classifier.h"
#include "asmlp/torch/train/task.h"

namespace asmlp::train {

// Both splits must have the same classes; the world must outlive the task.
// Its metrics are loss, top1 (the eval metric) and top5. Error(kMismatch) for other classes,
// kInvalidArgument for a model with fewer classes than the data.
std::unique_ptr<TrainingTask> classify_task(const TrainOptions& options,
                                            std::shared_ptr<const data::DataSource> training,
                                            std::shared_ptr<const data::DataSource> validation,
                                            const std::string& tag, dist::World& world);
// The same, on the data set options.model.data.
std::unique_ptr<TrainingTask> classify_task(const TrainOptions& options, const std::string& tag,
                                            dist::World& world);

// Cross entropy of a batch, mixed (mixup, CutMix) and smoothed as the options say: a batch that is
// mixed has its mixed images and soft targets, n x classes, afterwards. `classes` are the model's
// outputs. With `class_weights` (fp32, one per class) a class counts that much, and the sum is still
// divided by the number of images, not by their weights: a step has the same gradient however it is
// divided into micro-batches and processes, as a segmentor's.
ModelLoss classification_loss(nn::ClassifierImpl& model, data::Batch& batch,
                              const TrainOptions& options, int classes, const MicroBatch& place,
                              const torch::Tensor& class_weights = {});

}  // namespace asmlp::train
