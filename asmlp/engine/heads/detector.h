// Detectors on the engine: Mask R-CNN (He et al., ICCV 2017), Cascade Mask R-CNN (Cai and
// Vasconcelos, CVPR 2018), and both without masks.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "asmlp/detection/detection.h"
#include "asmlp/engine/engine.h"
#include "asmlp/image/image.h"
#include "asmlp/model/detector_config.h"

namespace asmlp {

struct DetectorWeights;

// A detector's weights packed for one ISA and precision. Immutable: any number of threads and
// detectors may share it.
class PackedDetector {
 public:
  // `tensors` must have exactly the parameters of spec.config (Error kMismatch otherwise); batch
  // norms are folded into their convolutions. The tensors are copied, the source may go away.
  // Errors as PackedModel::create.
  static std::shared_ptr<const PackedDetector> create(DetectorSpec spec, const TensorMap& tensors,
                                                      const PackOptions& options = {});
  ~PackedDetector();

  const DetectorSpec& spec() const { return spec_; }
  const DetectorConfig& config() const { return spec_.config; }
  Isa isa() const { return options_.isa; }  // never kAuto
  Precision precision() const { return options_.precision; }
  const DetectorWeights& weights() const { return *weights_; }

 private:
  PackedDetector(DetectorSpec spec, const PackOptions& options);
  DetectorSpec spec_;
  PackOptions options_;
  std::unique_ptr<const DetectorWeights> weights_;
};

// A map of the network, N x C x h x w.
struct NetworkMap {
  std::string name;
  Shape shape;
  std::vector<float> values;
};

struct DetectorOptions {
  int max_batch = 1;     // images of one input size that are computed at once
  int threads = 0;       // 0 takes every core the process may use; results do not depend on it
  bool profile = false;  // also measure the time of every step (profile())
  std::optional<TestConfig> test = {};  // instead of the model's own
  bool masks = true;                    // false leaves the mask heads out: detections have none
};

// Finds objects. Owns threads and scratch memory: one per caller, not thread-safe. Everything that
// depends on the input's size is planned when that size is first seen; the plans of the last few
// sizes are kept, in the same memory.
class DetectorEngine {
 public:
  // Error(kInvalidArgument) for options out of range.
  DetectorEngine(std::shared_ptr<const PackedDetector> model, const DetectorOptions& options = {});
  ~DetectorEngine();
  DetectorEngine(DetectorEngine&&) noexcept;
  DetectorEngine& operator=(DetectorEngine&&) noexcept;

  const PackedDetector& model() const { return *model_; }
  int threads() const;

  // The objects of each image, by falling score, as config().test has it; in pixels of the images
  // given. `input` is the preprocessing to use: model().spec().preprocessing, or another size.
  // Images are RGB, or gray where the detector takes one channel. Neighbors of the same input size
  // share a run of up to max_batch; padding to a common size would change what the norms see.
  // Errors: kInvalidArgument for an image without pixels, kMismatch for other channels, kTooLarge.
  std::vector<std::vector<detect::Detection>> detect(std::span<const Image> images,
                                                     const DenseInput& input);
  std::vector<detect::Detection> detect(const Image& image);  // with the model's preprocessing

  // The same of a normalized and padded input: sizes.size() x in_chans x height x width.
  std::vector<std::vector<detect::Detection>> run(std::span<const float> input, int height,
                                                  int width,
                                                  std::span<const detect::InputSizes> sizes);

  // What the heads say of given regions of one input: rows of num_classes + 1 probabilities and of
  // 4 num_classes deltas (a cascade's: of its last stage), and, of a detector with masks, (2
  // mask_size)^2 probabilities for class label = region % num_classes. `boxes` in pixels of the
  // input. Errors as run's.
  struct RegionOutputs {
    std::vector<float> probabilities, deltas, masks;
  };
  RegionOutputs describe_regions(std::span<const float> input, int height, int width,
                                 std::span<const detect::Box> boxes);

  // From now on `observer` sees what the products read (engine/observer.h); null ends it. It must
  // outlive the runs. Error(kUnsupported) unless the model's precision is fp32.
  void observe(ProductObserver* observer);

  // Of the last run, for comparisons with other software: "pyramid.k", "rpn.logits.k" (C anchors),
  // and "rpn.deltas.k" (C = 4 anchors, dx, dy, dw, dh of each), k from the finest level. Empty
  // before the first run.
  std::vector<NetworkMap> maps() const;

  // With options.profile: the steps of the backbone and of the heads in the order in which they
  // run, summed over all runs since reset_profile(); otherwise empty. The heads' have the names
  // "pyramid", "rpn", "proposals", "box_heads", "nms", "mask_heads", "paste" and the stage -1.
  std::vector<ProfileEntry> profile() const;
  void reset_profile();

 private:
  struct State;
  std::shared_ptr<const PackedDetector> model_;
  std::unique_ptr<State> state_;
};

}  // namespace asmlp
