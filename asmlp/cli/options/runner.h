// What runs a model for the commands that exist on both backends: the native engine here, LibTorch
// in cli_torch. Options, output and JSON are the command's own and therefore the same.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "asmlp/cli/options/options.h"
#include "asmlp/core/tensor.h"
#include "asmlp/engine/engine.h"
#include "asmlp/weights/checkpoint.h"

namespace asmlp::cli {

struct RunnerOptions {
  int height = 0;  // input size in pixels; 0 takes the checkpoint's preprocessing.size
  int width = 0;
  int max_batch = 1;
  bool features = false;  // also keep the feature maps
  bool profile = false;   // also measure the steps, where the backend can
  RunOptions run = {};
};

// A model ready to run at one input size. The contract is Engine's (engine/engine.h).
class Runner {
 public:
  virtual ~Runner() = default;
  // images x in_chans x height x width fp32, normalized, row-major; images in 1..max_batch.
  virtual void run(std::span<const float> input, int images) = 0;
  // Of the last run: images x num_classes, row-major; empty for a model without head.
  virtual std::span<const float> logits() const = 0;
  // With RunnerOptions::features: the patch embedding and the stages, NCHW.
  virtual int num_features() const = 0;
  virtual Shape feature_shape(int k) const = 0;
  virtual void copy_feature(int k, std::span<float> out) const = 0;
  // With RunnerOptions::profile: Engine::profile(); empty where the backend cannot tell.
  virtual std::span<const ProfileEntry> profile() const { return {}; }
  virtual void reset_profile() {}
  virtual int threads() const = 0;
  virtual std::string isa() const = 0;  // the native engine's ISA, or "libtorch"
  virtual Precision precision() const { return Precision::kFp32; }
};

struct Backend {
  std::string name;  // as --backend takes it
  std::function<std::unique_ptr<Runner>(const Checkpoint&, const RunnerOptions&)> start;
};

// The engine of this project.
Backend native_backend();

// Declares --backend, native or torch; `value` starts as `own`, the name of this program's.
void add_backend_option(CLI::App& app, const std::string& own, std::string& value,
                        const std::string& group);

}  // namespace asmlp::cli
