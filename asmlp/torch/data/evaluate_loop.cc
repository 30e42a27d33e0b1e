#include "asmlp/torch/data/evaluate_loop.h"

#include <algorithm>
#include <chrono>

namespace asmlp::data {
namespace {

class EvaluationMode {
 public:
  explicit EvaluationMode(torch::nn::Module& model)
      : model_(model), was_training_(model.is_training()) {
    model_.eval();
  }
  ~EvaluationMode() { model_.train(was_training_); }
  EvaluationMode(const EvaluationMode&) = delete;

 private:
  torch::nn::Module& model_;
  bool was_training_;
};

}  // namespace

std::optional<Evaluated> evaluate_batches(torch::nn::Module& model, const BatchSource& source,
                                          dist::World& world, const EvaluateOptions& options,
                                          const std::function<void(const Batch&)>& add) {
  const auto start = std::chrono::steady_clock::now();
  const torch::NoGradGuard no_grad;
  const EvaluationMode mode(model);
  int64_t images = 0, bad_samples = 0;
  bool stopped = false;
  BatchStream stream = source.start(0);
  while (!stopped) {
    const std::optional<Batch> batch = stream.next();
    if (!batch) break;
    bad_samples += batch->bad_samples;
    if (options.on_bad) std::ranges::for_each(batch->bad, options.on_bad);
    if (batch->size() > 0) add(*batch);
    images += batch->size();
    stopped = options.progress && !options.progress(images);
  }
  torch::Tensor sums = torch::tensor({images, bad_samples, int64_t{stopped}}, torch::kInt64);
  world.all_reduce(sums);
  const int64_t* all = sums.data_ptr<int64_t>();
  if (all[2] > 0) return std::nullopt;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return Evaluated{all[0], all[1], seconds.count()};
}

std::vector<double> sums_of_all(dist::World& world, std::span<const double> mine) {
  torch::Tensor sums =
      torch::tensor(at::ArrayRef<double>(mine.data(), mine.size()), torch::kDouble);
  world.all_reduce(sums);
  return {sums.data_ptr<double>(), sums.data_ptr<double>() + sums.numel()};
}

}  // namespace asmlp::data
