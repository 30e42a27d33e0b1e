// LibTorch behind the face of the native engine: `validate` and `forward` are the same commands on
// both.
#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <utility>

#include "asmlp/cli_torch/commands.h"
#include "asmlp/core/error.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/ops/runtime.h"

namespace asmlp::cli {
namespace {

std::span<const float> values_of(const torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

class TorchRunner : public Runner {
 public:
  TorchRunner(const Checkpoint& checkpoint, const RunnerOptions& options)
      : model_(checkpoint.spec.config),
        shape_{0, checkpoint.spec.config.in_chans, options.height, options.width},
        max_batch_(options.max_batch),
        features_wanted_(options.features) {
    check_torch_run(options.run);
    for (int side : {2, 3}) {
      if (shape_[side] == 0) shape_[side] = checkpoint.spec.preprocessing.size;
    }
    threads_ = nn::configure_runtime(options.run.threads);
    nn::load_parameters(*model_, checkpoint.tensors);
    model_->eval();
  }

  void run(std::span<const float> input, int images) override {
    shape_[0] = images;
    require(images >= 1 && images <= max_batch_ &&
                static_cast<int64_t>(input.size()) == element_count(shape_),
            ErrorCode::kInvalidArgument, "{} values for a batch of {} images {}", input.size(),
            images, to_string(shape_));
    const torch::NoGradGuard no_grad;
    const torch::Tensor x =
        torch::from_blob(const_cast<float*>(input.data()), shape_, torch::kFloat32);
    const std::vector<torch::Tensor> features = model_->forward_features(x);
    if (model_->config().num_classes > 0) {
      logits_ = model_->forward_head(features.back()).contiguous();
    }
    if (!features_wanted_) return;
    features_.clear();
    for (const torch::Tensor& feature : features) features_.push_back(feature.contiguous());
  }

  std::span<const float> logits() const override {
    return logits_.defined() ? values_of(logits_) : std::span<const float>();
  }
  int num_features() const override { return static_cast<int>(features_.size()); }
  Shape feature_shape(int k) const override {
    const auto sizes = features_.at(static_cast<size_t>(k)).sizes();
    return {sizes.begin(), sizes.end()};
  }
  void copy_feature(int k, std::span<float> out) const override {
    const auto from = values_of(features_.at(static_cast<size_t>(k)));
    require(out.size() == from.size(), ErrorCode::kInvalidArgument,
            "room for {} values, the feature has {}", out.size(), from.size());
    std::ranges::copy(from, out.begin());
  }
  int threads() const override { return threads_; }
  std::string isa() const override { return "libtorch"; }

 private:
  nn::AsMlp model_;
  Shape shape_;  // of the input; the first extent is the last batch's
  int max_batch_;
  bool features_wanted_;
  int threads_ = 0;
  torch::Tensor logits_;  // undefined for a model without head
  std::vector<torch::Tensor> features_;
};

}  // namespace

void check_torch_run(const RunOptions& run) {
  require(run.isa.empty(), ErrorCode::kInvalidArgument,
          "--isa {}: is for the native engine, LibTorch chooses by itself; leave it out", run.isa);
  require(run.precision.empty() || parse_precision(run.precision) == Precision::kFp32,
          ErrorCode::kUnsupported,
          "--precision {}: is for the native engine, the LibTorch path computes in fp32",
          run.precision);
}

Backend torch_backend() {
  return {"torch", [](const Checkpoint& checkpoint, const RunnerOptions& options) {
            return std::make_unique<TorchRunner>(checkpoint, options);
          }};
}

Validators torch_validators() {
  return {
      .backend = "torch",
      .classify = [](const ValidateOptions& o) { return validate_classifier(o, torch_backend()); },
      .detect =
          [](const ValidateOptions& o) { return validate_detector(o, torch_dense_backend()); },
      .segment =
          [](const ValidateOptions& o) { return validate_segmentor(o, torch_dense_backend()); }};
}

BenchRunners torch_bench() {
  const auto dense = [](Task task) -> BenchRunners::Run {
    return [task](const BenchRequest& request) {
      return bench_dense(request, task, std::array{native_dense_backend(), torch_dense_backend()});
    };
  };
  return {.backend = "torch",
          .forward = [](const BenchRequest& r) { return bench_forward(r, torch_backend()); },
          .detect = dense(Task::kDetect),
          .segment = dense(Task::kSegment),
          .train =
              [](const BenchRequest& r, Task task) {
                return task == Task::kClassify ? bench_training(r) : bench_dense_training(r, task);
              }};
}

}  // namespace asmlp::cli
