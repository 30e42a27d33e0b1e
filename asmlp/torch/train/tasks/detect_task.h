// Object detection and instance segmentation as a task of the trainer.
#pragma once

#include <memory>
#include <string>

#include "asmlp/torch/train/task.h"

namespace asmlp::train {

// The detector for a data set when nobody named one: mask_rcnn_asmlp_tiny, or
// faster_rcnn_asmlp_tiny where no object to train on has an outline. Errors: those
// of find_coco and read_coco.
std::string default_detector(const std::string& data);

// A detector of any kind on a folder of COCO's layout (detect/coco_source.h). The model takes the
// number and the names of its classes from the annotations. Its metrics are the average precisions
// of boxes (bbox_AP, the main one, bbox_AP50, bbox_AP75) and, of models with masks on annotations
// with outlines, of masks (segm_...), of batches of one image in fp32. Objects without outline are
// trained as boxes; kMismatch when a model with masks gets no outline at all. A start
// (load_initial_weights) may be an ImageNet classifier or another backbone, of which the backbone's
// part is taken, or a whole detector, of which is taken what has the right shape. Errors: those of
// find_coco and read_coco, kMismatch when the splits have different categories.
std::unique_ptr<TrainingTask> detect_task(const TrainOptions& options, const std::string& tag,
                                          dist::World& world);

}  // namespace asmlp::train
