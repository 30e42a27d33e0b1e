// What a run trains: a network with its data, its loss and its validation. The trainer knows
// nothing else of it; classification, detection and segmentation are tasks.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/metrics/eval_metric.h"
#include "asmlp/report/draw/tiles.h"
#include "asmlp/report/picture.h"
#include "asmlp/torch/data/evaluate_loop.h"
#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/train/options.h"

namespace asmlp::train {

// What people are told about the task.
struct TaskFacts {
  std::string model;  // name of the exported model
  std::vector<std::string> classes;
  int64_t training_images = 0;
  int64_t validation_images = 0;
  int64_t multiply_adds = 0;  // of one image of the size below
  std::string image_size;     // in pixels: "224 x 224", height x width
  // The metric by which the best epoch is chosen, the larger the better.
  std::string eval_metric;
};

// Where a loss is computed: the part of a step that one process puts through the model at once.
struct MicroBatch {
  int epoch = 0;
  uint64_t index = 0;  // of the run, over all processes: what random numbers are derived from
  torch::Device device = torch::kCPU;
  torch::ScalarType precision = torch::kFloat;  // autocast's (torch/ops/autocast.h)
};

struct ModelLoss {
  torch::Tensor total;  // scalar, fp32, depends on every parameter
  // For the logs: what the total is the sum of, and other metrics of the micro-batch. Detached
  // scalars, the same names in every micro-batch.
  std::vector<std::pair<std::string, torch::Tensor>> parts;
};
using LossFunction = std::function<ModelLoss(data::Batch& batch, const MicroBatch& place)>;

struct Validation {
  EvalMetrics metrics;
  int64_t images = 0;
  int64_t bad_samples = 0;             // that could not be read: not among the images
  std::vector<Picture> pictures = {};  // of rank 0, when they were asked for
};

struct ValidationOptions : data::EvaluateOptions {
  torch::Device device = torch::kCPU;
  torch::ScalarType precision = torch::kFloat;
  int64_t pictures = 0;  // images on the picture of the predictions; 0: no pictures at all
};

class TrainingTask {
 public:
  virtual ~TrainingTask() = default;

  virtual const TaskFacts& facts() const = 0;
  // What makes two models the same for a run that goes on, as JSON: not their names and origins.
  virtual std::string model_json() const = 0;

  // Opens what the options keep of the images (RunOptions::cache), before the batches are asked
  // for; files of it go below the run's folder. Errors: DataSource::cache_contents'.
  virtual void open_caches(const std::filesystem::path& run_folder) = 0;

  // The batches of training and of validation; they must not outlive the task.
  virtual std::unique_ptr<data::BatchSource> training_batches() const = 0;
  virtual std::unique_ptr<data::BatchSource> validation_batches() const = 0;

  // A new network on the CPU, initialized from LibTorch's generator.
  virtual std::shared_ptr<torch::nn::Module> make_model() const = 0;
  // Copies what fits of a weights file (options.initial_checkpoint) into a network; what a user
  // should know about it.
  virtual std::vector<std::string> load_initial_weights(
      torch::nn::Module& model, const std::filesystem::path& path) const = 0;
  // Writes a network with its self-description and `origin`, atomically.
  virtual void write_model(const std::filesystem::path& path, const torch::nn::Module& model,
                           const std::map<std::string, std::string>& origin) const = 0;

  // Of a network that make_model made, in training mode, moved to place.device. The batch is left
  // as the network saw it, its targets, too.
  virtual ModelLoss loss(torch::nn::Module& model, data::Batch& batch,
                         const MicroBatch& place) const = 0;
  // Over one pass of the source, every process its part; the result is the same everywhere
  // (collective). Leaves the network in the mode it was in. Nothing when `progress` stopped it.
  virtual std::optional<Validation> validate(torch::nn::Module& model,
                                             const data::BatchSource& source,
                                             const ValidationOptions& options) const = 0;
  // The first `count` images of a batch that loss() has left, with what they are labeled, in small.
  virtual std::vector<Tile> sample_tiles(const data::Batch& batch, int64_t count) const = 0;
};

}  // namespace asmlp::train
