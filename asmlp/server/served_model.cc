#include "asmlp/server/served_model.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include "asmlp/core/error.h"
#include "asmlp/engine/engine.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/server/engines.h"

namespace asmlp::server {

void Results::check() const {
  for (const std::exception_ptr& error : errors) {
    if (error != nullptr) std::rethrow_exception(error);
  }
}

ServedModel::ServedModel(std::string name, std::shared_ptr<const Model> model,
                         const ServiceOptions& options, Metrics& metrics)
    : name_(std::move(name)),
      model_(std::move(model)),
      options_(options),
      engines_(std::make_unique<Engines>(model_, options)),
      decoders_(std::max(1u, std::thread::hardware_concurrency())) {
  const auto observe = [this, &metrics](std::span<const Timing> items) {
    const Timing& first = items.front();
    seconds_per_image_ = first.compute_seconds / first.batch / options_.batching.workers;
    metrics.add_batch(name_, items);
  };
  batcher_ = std::make_unique<WorkBatcher>(
      options.batching,
      [this](int worker, std::span<Work* const> batch) { engines_->run(worker, batch); },
      [this](const Work& first, const Work& other) { return engines_->together(first, other); },
      observe);
}

ServedModel::~ServedModel() = default;

Work ServedModel::prepare(const Picture& picture) const {
  Work work;
  if (task() != Task::kClassify) {
    work.picture = picture;
    return work;
  }
  const Preprocessing& preprocessing = model_->packed()->spec().preprocessing;
  const int channels = model_->info().in_channels;
  const Image image =
      resize_and_crop(decode(picture, Task::kClassify, options_), preprocessing, channels);
  work.height = work.width = preprocessing.size;
  work.tensor.resize(static_cast<size_t>(channels) * static_cast<size_t>(image.height) *
                     static_cast<size_t>(image.width));
  normalize(image, preprocessing, work.tensor);
  return work;
}

Results ServedModel::run(const std::vector<Picture>& pictures, Clock::time_point deadline) {
  WorkBatcher::Place place = batcher_->reserve(pictures.size());
  std::vector<std::exception_ptr> errors(pictures.size());
  std::vector<Work> work;
  {
    const auto share = decoders_.take(1, deadline);
    require(share.has_value(), ErrorCode::kInterrupted, "no time was left to decode the image");
    for (size_t i = 0; i < pictures.size(); ++i) {
      try {
        work.push_back(prepare(pictures[i]));
      } catch (const std::exception&) {
        errors[i] = std::current_exception();
      }
    }
  }
  Results done = compute(std::move(place), std::move(work), deadline);
  if (done.images.size() == pictures.size()) return done;
  Results all{std::vector<Work>(pictures.size()), std::move(errors), done.timing};
  for (size_t i = 0, next = 0; i < pictures.size(); ++i) {
    if (all.errors[i] != nullptr) continue;
    all.images[i] = std::move(done.images[next]);
    all.errors[i] = done.errors[next++];
  }
  return all;
}

Results ServedModel::run(const TensorView& tensor, Clock::time_point deadline) {
  const ModelInfo& info = model_->info();
  require(task() == Task::kClassify, ErrorCode::kUnsupported,
          "{}: only classifiers take tensors; give pictures", name_);
  require(tensor.channels == info.in_channels, ErrorCode::kMismatch,
          "the tensor has {} channels, {} takes {}", tensor.channels, name_, info.in_channels);
  const int64_t pixels = int64_t{tensor.height} * tensor.width;
  require(pixels <= options_.max_pixels, ErrorCode::kTooLarge,
          "the tensor has {} pixels, {} are allowed", pixels, options_.max_pixels);
  WorkBatcher::Place place = batcher_->reserve(static_cast<size_t>(tensor.batch));
  std::vector<Work> work(static_cast<size_t>(tensor.batch));
  const auto length = static_cast<ptrdiff_t>(pixels * tensor.channels);
  const float* from = tensor.data;
  for (Work& image : work) {
    image.tensor.assign(from, from + length);
    image.height = tensor.height;
    image.width = tensor.width;
    from += length;
  }
  return compute(std::move(place), std::move(work), deadline);
}

Results ServedModel::compute(WorkBatcher::Place place, std::vector<Work> work,
                             Clock::time_point deadline) {
  const auto job = batcher_->submit(std::move(place), std::move(work));
  require(batcher_->wait(job, deadline), ErrorCode::kInterrupted,
          "{}: not computed within {} ms (--timeout)", name_, options_.timeout.count());
  Results results{std::move(job->items), std::move(job->errors), {}};
  for (const Timing& timing : job->timings) {
    results.timing.queue_seconds = std::max(results.timing.queue_seconds, timing.queue_seconds);
    results.timing.compute_seconds =
        std::max(results.timing.compute_seconds, timing.compute_seconds);
    results.timing.batch = std::max(results.timing.batch, timing.batch);
  }
  return results;
}

size_t ServedModel::waiting() const { return batcher_->accepted(); }

int ServedModel::retry_after() const {
  const double seconds = seconds_per_image_ * static_cast<double>(waiting());
  return static_cast<int>(std::clamp(std::ceil(seconds), 1.0, 600.0));
}

}  // namespace asmlp::server
