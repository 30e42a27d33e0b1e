// LibTorch behind the face of the native engine's detectors and segmentors.
#include <torch/torch.h>

#include <algorithm>
#include <utility>

#include "asmlp/cli_torch/commands.h"
#include "asmlp/core/error.h"
#include "asmlp/torch/data/dense_input.h"
#include "asmlp/torch/detect/model/detector.h"
#include "asmlp/torch/nn/conv_module.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/torch/ops/runtime.h"
#include "asmlp/torch/segment/predict.h"

namespace asmlp::cli {
namespace {

// In evaluation mode, its batch norms folded: not to be saved.
template <typename Net, typename Spec>
Net network_of(const Spec& spec, const TensorMap& tensors) {
  Net net(spec.config);
  nn::require_complete(nn::load_state(*net, tensors, spec.name), spec.name);
  net->eval();
  nn::fold_batch_norm(*net);
  return net;
}

int start_threads(const RunOptions& run) {
  check_torch_run(run);
  return nn::configure_runtime(run.threads);
}

class TorchDetector : public DetectorRunner {
 public:
  TorchDetector(const DetectorSpec& spec, const TensorMap& tensors, const DenseOptions& options)
      : threads_(start_threads(options.run)),
        max_batch_(static_cast<size_t>(options.max_batch)),
        profile_(options.profile),
        net_(network_of<detect::DetectorNet>(spec, tensors)) {}

  std::vector<std::vector<detect::Detection>> detect(std::span<const Image> images,
                                                     const DenseInput& input) override {
    std::vector<std::vector<detect::Detection>> found;
    std::vector<torch::Tensor> inputs;
    std::vector<data::ImageInfo> infos;
    const auto flush = [&] {
      if (inputs.empty()) return;
      for (auto& one :
           detect::detect(*net_, torch::stack(inputs), infos, profile_ ? &times_ : nullptr)) {
        found.push_back(std::move(one));
      }
      inputs.clear();
      infos.clear();
    };
    // Padding to a common size would change what the norms see.
    for (const Image& image : images) {
      data::TensorSample sample = data::test_sample(image, input);
      if (!inputs.empty() && inputs.front().sizes() != sample.image.sizes()) flush();
      inputs.push_back(std::move(sample.image));
      infos.push_back(std::move(sample.info));
      if (inputs.size() == max_batch_) flush();
    }
    flush();
    return found;
  }
  int threads() const override { return threads_; }
  std::string isa() const override { return "libtorch"; }
  std::vector<ProfileEntry> profile() const override {
    if (!profile_) return {};
    return {{"backbone", 0, times_.backbone, 0},
            {"pyramid", -1, times_.pyramid, 0},
            {"rpn", -1, times_.rpn, 0},
            {"proposals", -1, times_.proposals, 0},
            {"box_heads", -1, times_.box_heads, 0},
            {"nms", -1, times_.nms, 0},
            {"mask_heads", -1, times_.mask_heads, 0},
            {"paste", -1, times_.paste, 0}};
  }
  void reset_profile() override { times_ = {}; }

 private:
  int threads_;
  size_t max_batch_;
  bool profile_;
  detect::DetectorNet net_;
  detect::Timings times_;
};

class TorchSegmentor : public SegmentorRunner {
 public:
  TorchSegmentor(const SegmentorSpec& spec, const TensorMap& tensors, const DenseOptions& options)
      : threads_(start_threads(options.run)),
        net_(network_of<segment::SegmentorNet>(spec, tensors)) {}

  Image segment(const Image& image, const DenseInput& input,
                const segment::PredictOptions& options) override {
    return segment::predict(*net_, image, input, options);
  }
  segment::LogitView logits(std::span<const float> input, int height, int width) override {
    const torch::NoGradGuard no_grad;
    const int channels = net_->config().backbone.in_chans;
    require(static_cast<int64_t>(input.size()) == int64_t{channels} * height * width,
            ErrorCode::kInvalidArgument, "{} values for an input of {} x {} x {}", input.size(),
            channels, height, width);
    const torch::Tensor x = torch::from_blob(const_cast<float*>(input.data()),
                                             {1, channels, height, width}, torch::kFloat32);
    logits_ = net_(x).decode[0].permute({1, 2, 0}).contiguous();
    return {logits_.data_ptr<float>(), static_cast<int>(logits_.size(0)),
            static_cast<int>(logits_.size(1)), static_cast<int>(logits_.size(2)), logits_.size(2)};
  }
  int threads() const override { return threads_; }
  std::string isa() const override { return "libtorch"; }

 private:
  int threads_;
  segment::SegmentorNet net_;
  torch::Tensor logits_;
};

}  // namespace

DenseBackend torch_dense_backend() {
  return {"torch",
          [](const DetectorSpec& spec, const TensorMap& tensors, const DenseOptions& options) {
            return std::make_unique<TorchDetector>(spec, tensors, options);
          },
          [](const SegmentorSpec& spec, const TensorMap& tensors, const DenseOptions& options) {
            return std::make_unique<TorchSegmentor>(spec, tensors, options);
          }};
}

}  // namespace asmlp::cli
