// One model behind a queue: pictures and tensors in, what the model says of them out.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "asmlp/asmlp.hpp"
#include "asmlp/server/metrics.h"
#include "asmlp/server/options.h"
#include "asmlp/server/queue/batcher.h"
#include "asmlp/server/queue/budget.h"

namespace asmlp::server {

// The bytes of an image file, within a text that is kept as long as anybody looks at them.
struct Picture {
  std::shared_ptr<const std::string> owner;
  std::string_view bytes;
};

// An image of a request, and then what was found on it.
struct Work {
  // A detector's or segmentor's, decoded when its turn comes: few are in memory as pixels.
  Picture picture;
  // A classifier's: channels x height x width, normalized.
  std::vector<float> tensor;
  int height = 0;  // of the tensor, or of the decoded picture
  int width = 0;

  std::vector<float> logits;          // of a classifier
  std::vector<Detection> detections;  // of a detector, as Detector::detect
  std::vector<uint8_t> labels;        // of a segmentor: height x width
};

// Of a request: one of each for every image.
struct Results {
  std::vector<Work> images;
  std::vector<std::exception_ptr> errors;  // null of an image that succeeded
  Timing timing;                           // the largest of all

  // Throws the first error, if there is one.
  void check() const;
};

class ServedModel {
 public:
  // Makes the engines, runs each once (so that no request waits for their memory), and starts the
  // threads. `metrics` must outlive it. Error(kUnsupported) for a model without head, or with
  // channels that no picture has, kInvalidArgument for options out of range.
  ServedModel(std::string name, std::shared_ptr<const Model> model, const ServiceOptions& options,
              Metrics& metrics);
  ~ServedModel();

  const std::string& name() const { return name_; }
  const Model& model() const { return *model_; }
  Task task() const { return model_->info().task; }

  // Queues and waits. A picture that cannot be read is an error of its own in the results; Error:
  // kBusy when the queue is full, kTooLarge for more images than it ever holds, kInterrupted when
  // the deadline has come.
  Results run(const std::vector<Picture>& pictures, Clock::time_point deadline);
  // The same of a classifier's normalized images. Error(kMismatch) for other channels than the
  // model's, kTooLarge for more pixels than a picture may have, kUnsupported for other models.
  Results run(const TensorView& tensor, Clock::time_point deadline);

  // Images that are accepted and not yet computed.
  size_t waiting() const;
  // Seconds, at least 1, until those that wait are likely to be done.
  int retry_after() const;

 private:
  class Engines;
  using WorkBatcher = Batcher<Work>;
  Work prepare(const Picture& picture) const;
  Results compute(WorkBatcher::Place place, std::vector<Work> work, Clock::time_point deadline);

  std::string name_;
  std::shared_ptr<const Model> model_;
  ServiceOptions options_;
  std::unique_ptr<Engines> engines_;
  Budget decoders_;  // one for each core: so many of a classifier's pictures are pixels at a time
  std::atomic<double> seconds_per_image_{0};
  std::unique_ptr<WorkBatcher> batcher_;  // the last member: its threads use the others
};

}  // namespace asmlp::server
