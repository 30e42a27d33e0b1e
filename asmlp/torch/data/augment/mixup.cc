#include "asmlp/torch/data/augment/mixup.h"

#include <algorithm>
#include <cmath>

#include "asmlp/core/error.h"

namespace asmlp::data {
namespace {

// log of a uniform number in (0, 1].
double log_uniform(Random& random) { return std::log1p(-random.uniform()); }

// Gamma(alpha, 1) for alpha >= 1 (Marsaglia and Tsang, ACM TOMS 26, 2000).
double gamma_variate(double alpha, Random& random) {
  const double d = alpha - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = random.normal(), root = 1 + c * x, v = root * root * root;
    if (root > 0 && log_uniform(random) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

}  // namespace

double symmetric_beta(double alpha, Random& random) {
  if (alpha > 1) {
    const double a = gamma_variate(alpha, random), b = gamma_variate(alpha, random);
    return a / (a + b);
  }
  // With a small alpha U^(1 / alpha) underflows; its logarithm does not.
  while (true) {
    const double a = log_uniform(random) / alpha, b = log_uniform(random) / alpha;
    const double larger = std::max(a, b);
    const double log_sum = larger + std::log(std::exp(a - larger) + std::exp(b - larger));
    if (log_sum <= 0) return std::exp(a - log_sum);
  }
}

Window cutmix_box(int height, int width, double lambda, Random& random) {
  const double share = std::sqrt(1 - lambda);
  const int half_height = static_cast<int>(height * share) / 2;
  const int half_width = static_cast<int>(width * share) / 2;
  const int y = static_cast<int>(random.below(height)), x = static_cast<int>(random.below(width));
  const int top = std::max(y - half_height, 0), left = std::max(x - half_width, 0);
  return {top, left, std::min(y + half_height, height) - top,
          std::min(x + half_width, width) - left};
}

Mix draw_mix(int height, int width, const MixupOptions& options, Random& random) {
  Mix mix;
  if (options.mixup <= 0 && options.cutmix <= 0) return mix;
  if (random.uniform() >= options.prob) return mix;
  mix.cut = options.cutmix > 0 && (options.mixup <= 0 || random.uniform() < options.switch_prob);
  mix.lambda = symmetric_beta(mix.cut ? options.cutmix : options.mixup, random);
  if (mix.cut) {
    mix.box = cutmix_box(height, width, mix.lambda, random);
    mix.lambda = 1 - double(mix.box.height) * mix.box.width / (double(height) * width);
  }
  return mix;
}

torch::Tensor mixed_targets(const torch::Tensor& targets, double lambda, int classes,
                            double smoothing) {
  require(targets.dim() == 1 && targets.scalar_type() == torch::kInt64 && classes >= 1,
          ErrorCode::kInvalidArgument, "soft targets of {} classes from a tensor of {} dimensions",
          classes, targets.dim());
  const double elsewhere = smoothing / classes;
  torch::Tensor soft = torch::full({targets.size(0), classes}, elsewhere,
                                   torch::TensorOptions(torch::kFloat32).device(targets.device()));
  const torch::Tensor column = targets.unsqueeze(1);
  const auto add = [&](const torch::Tensor& at, double share) {
    soft.scatter_add_(1, at, torch::full_like(at, (1 - smoothing) * share, soft.options()));
  };
  add(column, lambda);
  if (lambda != 1) add(column.flip(0), 1 - lambda);
  return soft;
}

torch::Tensor mix_batch(torch::Tensor& images, const torch::Tensor& targets,
                        const MixupOptions& options, int classes, Random& random) {
  require(images.dim() == 4 && targets.dim() == 1 && images.size(0) == targets.size(0),
          ErrorCode::kInvalidArgument, "mixing images of {} dimensions with targets of {}",
          images.dim(), targets.dim());
  const torch::NoGradGuard no_gradient;
  const Mix mix =
      draw_mix(static_cast<int>(images.size(2)), static_cast<int>(images.size(3)), options, random);
  if (mix.cut) {
    using torch::indexing::Slice;
    torch::Tensor part =
        images.index({Slice(), Slice(), Slice(mix.box.top, mix.box.top + mix.box.height),
                      Slice(mix.box.left, mix.box.left + mix.box.width)});
    part.copy_(part.flip(0));
  } else if (mix.lambda != 1) {
    const torch::Tensor partner = images.flip(0).mul_(1 - mix.lambda);
    images.mul_(mix.lambda).add_(partner);
  }
  return mixed_targets(targets, mix.lambda, classes, options.smoothing);
}

}  // namespace asmlp::data
