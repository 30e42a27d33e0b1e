// What computes batches: the classifier, detector, or segmentor of each worker.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "asmlp/image/decode.h"
#include "asmlp/server/served_model.h"

namespace asmlp::server {

// Decodes as the commands do: a classifier's pictures in Pillow's style, others in OpenCV's.
Image decode(const Picture& picture, Task task, const ServiceOptions& options);

class ServedModel::Engines {
 public:
  // One for each worker; each has run once.
  Engines(std::shared_ptr<const Model> model, const ServiceOptions& options);

  // Fills in the results. Errors: those of the pictures and of the engines.
  void run(int worker, std::span<Work* const> batch);
  // Whether both may be in one batch.
  bool together(const Work& first, const Work& other) const;

 private:
  void classify(Classifier& classifier, std::span<Work* const> batch) const;
  void detect(Detector& detector, std::span<Work* const> batch) const;
  void segment(Segmentor& segmentor, std::span<Work* const> batch) const;
  void warm_up();

  std::shared_ptr<const Model> model_;
  ServiceOptions options_;
  std::vector<Classifier> classifiers_;
  std::vector<Detector> detectors_;
  std::vector<Segmentor> segmentors_;
};

}  // namespace asmlp::server
