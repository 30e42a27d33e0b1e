// The task of a run, by its options.
#pragma once

#include <memory>
#include <string>

#include "asmlp/torch/train/task.h"

namespace asmlp::train {

// The task of the options (options.task) on their data set, which is opened. `tag` becomes part of
// the exported model's name. The world must outlive it. Errors as those of the data sets
// and models, and kInvalidArgument where they do not fit together.
std::unique_ptr<TrainingTask> make_task(const TrainOptions& options, const std::string& tag,
                                        dist::World& world);

}  // namespace asmlp::train
