// Inference: a PackedModel (immutable, shared) and Engines (one per caller) that run it.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "asmlp/core/cpu.h"
#include "asmlp/core/tensor.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/model/spec.h"

namespace asmlp {

class ProductObserver;
struct PackedWeights;
struct Plan;
struct StagePlan;

// How a model's weights are packed, and with what it computes.
struct PackOptions {
  Isa isa = Isa::kAuto;
  Precision precision = Precision::kFp32;
};

// Weights packed for one ISA and precision. Immutable: any number of threads and engines may share
// it.
class PackedModel {
 public:
  // `tensors` must have exactly the parameters of spec.config (Error kMismatch otherwise); they are
  // copied, the source may go away. With quantized layers (weights/quantized.h) the precision is
  // int8; kFp32, the default, allows that. Error(kUnsupported) for an ISA that this machine cannot
  // run, and for a precision that does not fit the weights (usable_precision).
  static std::shared_ptr<const PackedModel> create(ModelSpec spec, const TensorMap& tensors,
                                                   const PackOptions& options = {});
  ~PackedModel();

  const ModelSpec& spec() const { return spec_; }
  const Config& config() const { return spec_.config; }
  Isa isa() const { return options_.isa; }  // never kAuto
  Precision precision() const { return options_.precision; }
  const PackedWeights& weights() const { return *weights_; }

 private:
  PackedModel(ModelSpec spec, const PackOptions& options);
  ModelSpec spec_;
  PackOptions options_;
  std::unique_ptr<const PackedWeights> weights_;
};

struct EngineOptions {
  int height = 0;  // input size in pixels; 0 takes spec().preprocessing.size
  int width = 0;
  int max_batch = 1;      // largest batch of one run
  int threads = 0;        // 0 takes every core the process may use; results do not depend on it
  bool features = false;  // also keep the output of the patch embedding and of every stage
  bool profile = false;   // also measure the time of every step (Engine::profile)
};

// Time and arithmetic of one step of the forward pass ("conv2" of stage 1), summed over its blocks
// and over the runs since the engine was made or reset_profile() was called.
struct ProfileEntry {
  std::string name;  // "patch_embed", "conv1", "gelu", "conv2", "conv3", "mlp", "merging", "head"
  int stage;         // 0..; the stage count for "head"
  double seconds;    // wall time, threads working together
  int64_t multiply_adds;  // of the matrix products in it
};

// Runs one model at one input size. Owns its threads and scratch memory: one engine per caller,
// not thread-safe. Everything is checked and allocated by the constructor; run() does neither.
class Engine {
 public:
  // Error(kInvalidArgument) for a size outside 1..16384 or a batch outside 1..4096.
  Engine(std::shared_ptr<const PackedModel> model, const EngineOptions& options = {});
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  const PackedModel& model() const { return *model_; }
  int height() const { return options_.height; }
  int width() const { return options_.width; }
  int max_batch() const { return options_.max_batch; }
  int threads() const;

  // input: batch x in_chans x height x width fp32, normalized, row-major. batch in 1..max_batch.
  // Afterwards logits(), pooled() and feature() hold this batch's results until the next run.
  // An image's results do not depend on the batch it is in. Does not throw on these preconditions;
  // breaking them throws Error(kInvalidArgument) and leaves the engine usable.
  void run(std::span<const float> input, int batch);

  // batch x num_classes, row-major; empty for a model without head.
  std::span<const float> logits() const;
  // batch x num_features: the average over the pixels of the last GroupNorm, the head's input.
  std::span<const float> pooled() const;
  // batch x h x w x num_features, NHWC: the last feature map after the final GroupNorm (what
  // pooled() averages). head.weight applied to each pixel is the exact class-activation map.
  std::span<const float> final_map() const;
  MapSize final_map_size() const;

  // With options.features: feature 0 is the patch embedding after its norm, feature k the output of
  // stage k-1 including its patch merging. Copies `feature k` of the batch as NCHW.
  int num_features() const;                              // stages + 1, or 0
  Shape feature_shape(int k) const;                      // {batch, channels, h, w} of the last run
  void copy_feature(int k, std::span<float> out) const;  // allocates nothing

  // With options.profile: the steps in the order of the forward pass; otherwise empty.
  std::span<const ProfileEntry> profile() const;
  void reset_profile();

  // From now on `observer` sees what the products read (observer.h); null ends it. It must outlive
  // the runs. Error(kUnsupported) unless the model's precision is fp32.
  void observe(ProductObserver* observer);

 private:
  const StagePlan& feature_stage(int k) const;  // whose size and channels feature k has

  std::shared_ptr<const PackedModel> model_;
  EngineOptions options_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Plan> plan_;
};

}  // namespace asmlp
