// The options of a run that goes on: which of them may differ, and how the batch is divided anew.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "asmlp/torch/train/options.h"

namespace asmlp::train {

// Error(kMismatch) naming the first kFixed option whose value differs, with both values. Returns a
// sentence for each kWarns option that differs.
std::vector<std::string> check_resumable(const TrainOptions& saved, const TrainOptions& now);

// Until 0.2, some defaults that now depend on the length of the run and on the batch were values:
// the warmup, a detector's milestones, lr of detectors and segmentors. Options that are not given
// now take such a value of the saved run, so that it goes on as it was planned.
void adopt_former_defaults(const TrainOptions& saved, TrainOptions& now);

// Divides the saved run's global batch over `world` processes instead of `saved_world`, by
// accumulation-steps, else by batch-size. Returns what to say about it: also when that is not
// possible and the options stay as they are. Nothing where nothing changes.
std::optional<std::string> keep_global_batch(const TrainOptions& saved, int saved_world, int world,
                                             ScheduleOptions& now);

// Makes the step no larger than a data set of so many images: accumulation-steps, then batch-size
// become smaller. Returns what to say about it. Error(kInvalidArgument) for fewer images than
// processes.
std::optional<std::string> fit_batch(int64_t images, int world, TrainOptions& options);

}  // namespace asmlp::train
