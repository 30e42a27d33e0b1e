// What runs a detector or a segmentor for the commands that exist on both backends: the native
// engine here, LibTorch in cli_torch. Options, output and JSON are the command's own and therefore
// the same.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "asmlp/cli/options/options.h"
#include "asmlp/detection/detection.h"
#include "asmlp/engine/engine.h"
#include "asmlp/engine/heads/detector.h"
#include "asmlp/image/image.h"
#include "asmlp/model/detector_config.h"
#include "asmlp/model/segmentor_config.h"
#include "asmlp/segmentation/predict.h"

namespace asmlp::cli {

struct DenseOptions {
  RunOptions run = {};
  int max_batch = 1;     // images of one input size that a detector computes at once
  bool profile = false;  // also measure the steps, where the backend can
};

// How the native engine packs a model of these tensors, which is called `name`. Error(
// kInvalidArgument, kUnsupported) for an --isa or --precision that cannot be.
PackOptions pack_options(const RunOptions& run, const TensorMap& tensors, const std::string& name);

// What both kinds of runners tell.
class DenseRunner {
 public:
  virtual ~DenseRunner() = default;
  virtual int threads() const = 0;
  virtual std::string isa() const = 0;  // the native engine's ISA, or "libtorch"
  virtual Precision precision() const { return Precision::kFp32; }
  // With DenseOptions::profile: DetectorEngine::profile() and SegmentorEngine's; a backend that
  // does not tell the backbone's steps has one "backbone" of stage 0, and one that cannot tell any
  // has none.
  virtual std::vector<ProfileEntry> profile() const { return {}; }
  virtual void reset_profile() {}
};

// A detector ready to run. The contract is DetectorEngine's (engine/heads/detector.h).
class DetectorRunner : public DenseRunner {
 public:
  // The objects of each image, by falling score.
  virtual std::vector<std::vector<detect::Detection>> detect(std::span<const Image> images,
                                                             const DenseInput& input) = 0;
  // Maps of the last run, for comparisons; empty of a backend that does not show them.
  virtual std::vector<NetworkMap> maps() const { return {}; }
};

// A segmentor ready to run. The contract is SegmentorEngine's (engine/heads/segmentor.h).
class SegmentorRunner : public DenseRunner {
 public:
  // Labels 0..num_classes-1, H x W x 1.
  virtual Image segment(const Image& image, const DenseInput& input,
                        const segment::PredictOptions& options) = 0;
  // The decode head's logits of one normalized input, in_chans x height x width; valid until the
  // next call.
  virtual segment::LogitView logits(std::span<const float> input, int height, int width) = 0;
};

struct DenseBackend {
  std::string name;  // as --backend takes it
  // `tensors` are the network's, checked; they are copied.
  std::function<std::unique_ptr<DetectorRunner>(const DetectorSpec& spec, const TensorMap& tensors,
                                                const DenseOptions& options)>
      start_detector;
  std::function<std::unique_ptr<SegmentorRunner>(
      const SegmentorSpec& spec, const TensorMap& tensors, const DenseOptions& options)>
      start_segmentor;
};

// The engine of this project.
DenseBackend native_dense_backend();

}  // namespace asmlp::cli
