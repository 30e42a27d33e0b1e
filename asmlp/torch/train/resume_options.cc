#include "asmlp/torch/train/resume_options.h"

#include <algorithm>

#include "asmlp/core/error.h"

namespace asmlp::train {
namespace {

using JsonValue = nlohmann::json;

std::string division(const ScheduleOptions& options, int world) {
  return fmt::format("{} images by batch-size {}, accumulation-steps {} and {} process{}",
                     options.global_batch(world), options.batch_size, options.accumulation_steps,
                     world, world == 1 ? "" : "es");
}

}  // namespace

std::vector<std::string> check_resumable(const TrainOptions& saved, const TrainOptions& now) {
  // Plain json sorts its keys: the order in which a recipe names the parts of its model is no
  // matter.
  const JsonValue before = to_json(saved), after = to_json(now);
  std::vector<std::string> warnings;
  TrainOptions::visit(now, [&](const char* name, const auto&, const OptionInfo& info) {
    const JsonValue was = before.value(name, JsonValue()), is = after.value(name, JsonValue());
    if (info.on_resume == OnResume::kFree || was == is) return;
    require(info.on_resume == OnResume::kWarns, ErrorCode::kMismatch,
            "cannot resume with another {}: the run was started with {}, now it is {}; leave the "
            "option out, or start a new run in another --output",
            name, was.dump(), is.dump());
    warnings.push_back(fmt::format("{} was {} and is now {}", name, was.dump(), is.dump()));
  });
  return warnings;
}

void adopt_former_defaults(const TrainOptions& saved, TrainOptions& now) {
  const ScheduleOptions& was = saved.schedule;
  ScheduleOptions& is = now.schedule;
  if (saved.model.task != now.model.task) return;
  if (!is.warmup_epochs && !is.warmup_steps) {
    const bool detects = now.model.task == Task::kDetect;
    const bool former = now.model.task == Task::kClassify
                            ? was.warmup_epochs == 20 && !was.warmup_steps
                            : was.warmup_epochs == 0 && was.warmup_steps == (detects ? 500 : 1500);
    if (former) {
      is.warmup_epochs = was.warmup_epochs;
      is.warmup_steps = was.warmup_steps;
    }
  }
  // An empty list was the default of all but the detectors.
  if (!is.milestones && was.milestones &&
      (was.milestones->empty() || *was.milestones == std::vector<double>{8, 11})) {
    is.milestones = was.milestones;
  }
  const double rate = now.model.task == Task::kDetect ? 1e-4 : 6e-5;
  if (now.model.task != Task::kClassify && !is.lr && was.lr == rate) is.lr = was.lr;
}

std::optional<std::string> keep_global_batch(const TrainOptions& saved, int saved_world, int world,
                                             ScheduleOptions& now) {
  if (world == saved_world) return std::nullopt;
  const int64_t batch = saved.schedule.global_batch(saved_world);
  const std::string was = division(saved.schedule, saved_world);
  // The batch that is nearest to the saved run's, from below: it fits into the memory.
  const int64_t share = batch / world;
  for (int64_t size = std::min<int64_t>(saved.schedule.batch_size, share);
       batch % world == 0 && size >= 1; --size) {
    if (share % size != 0 || share / size > 65536) continue;
    now.batch_size = static_cast<int>(size);
    now.accumulation_steps = static_cast<int>(share / size);
    return fmt::format("a step stays one of {}; until now {}", division(now, world), was);
  }
  return fmt::format(
      "a step cannot stay one of {}: {} processes do not divide it; it is now one of {}", was,
      world, division(now, world));
}

std::optional<std::string> fit_batch(int64_t images, int world, TrainOptions& options) {
  ScheduleOptions& o = options.schedule;
  require(images >= world, ErrorCode::kInvalidArgument,
          "{} training images for {} processes: use fewer, --nproc {}", images, world,
          std::max<int64_t>(images, 1));
  const std::string was = division(o, world);
  const int64_t whole = int64_t{o.batch_size} * world;
  if (whole > images) o.batch_size = static_cast<int>(images / world);
  if (options.model.task == Task::kClassify || options.dense.steps_per_epoch == 0) {
    const int64_t batches = images / (int64_t{o.batch_size} * world);
    o.accumulation_steps = static_cast<int>(std::min<int64_t>(o.accumulation_steps, batches));
  }
  const std::string is = division(o, world);
  if (is == was) return std::nullopt;
  return fmt::format(
      "{} training images are fewer than a step has ({}): it is one of {}; --batch-size takes "
      "another number of at most {}",
      images, was, is, images / world);
}

}  // namespace asmlp::train
