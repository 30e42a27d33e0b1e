#include "asmlp/torch/train/tasks/make_task.h"

#include "asmlp/torch/train/tasks/classify_task.h"
#include "asmlp/torch/train/tasks/detect_task.h"
#include "asmlp/torch/train/tasks/segment_task.h"

namespace asmlp::train {

std::unique_ptr<TrainingTask> make_task(const TrainOptions& options, const std::string& tag,
                                        dist::World& world) {
  switch (options.model.task) {
    case Task::kDetect:
      return detect_task(options, tag, world);
    case Task::kSegment:
      return segment_task(options, tag, world);
    case Task::kClassify:
      break;
  }
  return classify_task(options, tag, world);
}

}  // namespace asmlp::train
