// What Classifier, Backbone and the C API have in common: inputs of any number and kind, cut into
// batches and run.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "asmlp/api/one_caller.h"
#include "asmlp/asmlp.hpp"
#include "asmlp/engine/engine.h"
#include "asmlp/image/input_batch.h"

namespace asmlp {

// Whether the engine keeps its feature maps, which costs memory and copies.
enum class Keep { kLogits, kFeatures };

// What the network sees of an input: `images` of height x width pixels.
struct InputSize {
  size_t images;
  int height;
  int width;
};

class BatchRunner {
 public:
  // Checks the options and makes an engine for one image of the image size.
  BatchRunner(std::shared_ptr<const Model> model, const RunOptions& options, Keep keep);

  const Model& model() const { return *model_; }
  // How image files are read for it.
  const ReadOptions& reading() const { return options_.reading; }

  // Error(kInvalidArgument) naming the input that is none; kUnsupported for images, kMismatch for a
  // tensor with other channels than the model's.
  InputSize check(const std::vector<ImageView>& images) const;
  InputSize check(const TensorView& tensor) const;

  // Checks, then calls consume(engine, batch) after every batch, in the order of the inputs. All
  // three: OneCaller's errors, and OutOfMemory; after any error the next run begins anew.
  using Consume = std::function<void(const Engine& engine, int batch)>;
  void run(const std::vector<ImageView>& images, const Consume& consume);
  void run(const TensorView& tensor, const Consume& consume);

  // The same for `images` images that `fetch` gets, on several threads at once. `consume` also sees
  // the batch: its images, and those that could not be had (then engine.logits() is of the others,
  // and nothing has been run when there are none).
  using Fetch = std::function<Image(int64_t index)>;
  using ConsumeInput =
      std::function<void(const Engine& engine, const InputBatch& batch, int64_t first)>;
  void run(int64_t images, const Fetch& fetch, const ConsumeInput& consume);

  // A child forked in the middle of a run has to leave it as it is (OneCaller).
  bool left_half_done() const { return caller_.left_half_done(); }

 private:
  Engine& engine(int height, int width, int batch);
  void run_batches(int64_t images, const Fetch& fetch, const ConsumeInput& consume);

  OneCaller caller_;
  std::shared_ptr<const Model> model_;
  RunOptions options_;
  Keep keep_;
  Preprocessing preprocessing_;
  std::optional<Engine> engine_;     // for the size used last; made anew for another
  std::optional<InputBatch> batch_;  // made when images first come
};

// Destroys the runner, unless this process is a child that was forked in the middle of a run: then
// its memory is left behind.
void discard(std::unique_ptr<BatchRunner>& runner) noexcept;

// What a run leaves, batch after batch.
struct Collected {
  std::vector<float> logits;  // images x num_classes; empty without a head
  Features features;          // maps only with Keep::kFeatures
};
Collected collect(BatchRunner& runner, const std::vector<ImageView>& images);
Collected collect(BatchRunner& runner, const TensorView& tensor);

// Error(kMismatch / kInvalidArgument) unless `out` has room for exactly `needed` floats of `what`.
void check_output(const OutputView& out, size_t needed, const char* what);

}  // namespace asmlp
