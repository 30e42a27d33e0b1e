#include "asmlp/torch/train/task.h"

#include "asmlp/torch/train/classify_task.h"

namespace asmlp::train {

std::unique_ptr<Task> make_task(const TrainOptions& options, const std::string& tag,
                                dist::World& world) {
  return classify_task(options, tag, world);
}

}  // namespace asmlp::train
