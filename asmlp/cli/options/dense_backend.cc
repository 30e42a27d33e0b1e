#include "asmlp/cli/options/dense_backend.h"

#include "asmlp/engine/heads/segmentor.h"

namespace asmlp::cli {

PackOptions pack_options(const RunOptions& run, const TensorMap& tensors, const std::string& name) {
  return {.isa = parse_isa(run.isa, "--isa"), .precision = precision_of(run, tensors, name)};
}

namespace {

class NativeDetector : public DetectorRunner {
 public:
  NativeDetector(const DetectorSpec& spec, const TensorMap& tensors, const DenseOptions& options)
      : engine_(
            PackedDetector::create(spec, tensors, pack_options(options.run, tensors, spec.name)),
            {.max_batch = options.max_batch,
             .threads = options.run.threads,
             .profile = options.profile}) {}

  std::vector<std::vector<detect::Detection>> detect(std::span<const Image> images,
                                                     const DenseInput& input) override {
    return engine_.detect(images, input);
  }
  std::vector<NetworkMap> maps() const override { return engine_.maps(); }
  int threads() const override { return engine_.threads(); }
  std::string isa() const override { return to_string(engine_.model().isa()); }
  Precision precision() const override { return engine_.model().precision(); }
  std::vector<ProfileEntry> profile() const override { return engine_.profile(); }
  void reset_profile() override { engine_.reset_profile(); }

 private:
  DetectorEngine engine_;
};

class NativeSegmentor : public SegmentorRunner {
 public:
  NativeSegmentor(const SegmentorSpec& spec, const TensorMap& tensors, const DenseOptions& options)
      : engine_(
            PackedSegmentor::create(spec, tensors, pack_options(options.run, tensors, spec.name)),
            {.threads = options.run.threads, .profile = options.profile}) {}

  Image segment(const Image& image, const DenseInput& input,
                const segment::PredictOptions& options) override {
    return engine_.segment(image, input, options);
  }
  segment::LogitView logits(std::span<const float> input, int height, int width) override {
    return engine_.logits(input, height, width);
  }
  int threads() const override { return engine_.threads(); }
  std::string isa() const override { return to_string(engine_.model().isa()); }
  Precision precision() const override { return engine_.model().precision(); }
  std::vector<ProfileEntry> profile() const override { return engine_.profile(); }
  void reset_profile() override { engine_.reset_profile(); }

 private:
  SegmentorEngine engine_;
};

}  // namespace

DenseBackend native_dense_backend() {
  return {"native",
          [](const DetectorSpec& spec, const TensorMap& tensors, const DenseOptions& options) {
            return std::make_unique<NativeDetector>(spec, tensors, options);
          },
          [](const SegmentorSpec& spec, const TensorMap& tensors, const DenseOptions& options) {
            return std::make_unique<NativeSegmentor>(spec, tensors, options);
          }};
}

}  // namespace asmlp::cli
