// Object detection and instance segmentation as a task of the trainer.
#pragma once

#include <memory>
#include <string>

#include "asmlp/torch/train/task.h"

namespace asmlp::train {

// Whether the training split has objects to train on, none of which has an outline. Errors: those
// of find_coco and open_coco.
bool has_boxes_only(const TrainOptions& options);

// The detector for a data set when nobody named one: mask_rcnn_asmlp_tiny, or
// faster_rcnn_asmlp_tiny where it has_boxes_only; errors as there.
std::string default_detector(const TrainOptions& options);

// A detector of any kind on COCO annotations: those found in the data (dataset/coco_layout.h),
// those that the options name, or a part of the training images held out for validation. The model
// takes the number and the names of its classes from the training annotations (training_classes);
// those of the validation are matched to them by name. Its metrics are the average precisions of
// boxes (bbox_AP, the main one, bbox_AP50, bbox_AP75) and, of models with masks on annotations with
// outlines, of masks (segm_...), of batches of one image in fp32. Objects without outline are
// trained as boxes; kMismatch when a model with masks gets no outline at all. A start
// (load_initial_weights) may be an ImageNet classifier or another backbone, of which the backbone's
// part is taken, or a whole detector, of which is taken what has the right shape. Errors: those of
// find_coco, open_coco, match_categories, require_objects, and hold_out_images.
std::unique_ptr<TrainingTask> detect_task(const TrainOptions& options, const std::string& tag,
                                          dist::World& world);

}  // namespace asmlp::train
