#include "asmlp/cli/bench/bench_verify.h"

#include <algorithm>
#include <cmath>

#include "asmlp/cli/bench/bench_precision.h"
#include "asmlp/core/error.h"
#include "asmlp/engine/engine.h"
#include "asmlp/model/params.h"
#include "asmlp/weights/fill.h"

namespace asmlp::cli {
namespace {

// About two seconds of the reference kernels on two cores.
constexpr int64_t kBudget = 10'000'000'000;

// Two images tell whether results are mixed up within a batch.
int verified_images(const Config& config, int size, int batch) {
  return batch > 1 && 2 * multiply_adds(config, size, size) <= kBudget ? 2 : 1;
}

// max |a - b| / max |b|; not finite when a value is not.
double relative_difference(std::span<const float> a, std::span<const float> b) {
  double difference = 0, magnitude = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    difference = std::max(difference, std::abs(double{a[i]} - b[i]));
    magnitude = std::max(magnitude, std::abs(double{b[i]}));
  }
  return magnitude > 0 ? difference / magnitude : difference;
}

}  // namespace

int verification_size(const Config& config, int size) {
  if (size > 384) size = 224;
  const int stride = config.patch_size << (config.num_stages() - 1);
  while (multiply_adds(config, size, size) > kBudget && size > stride) {
    size = (size - 1) / stride * stride;
  }
  return size;
}

const std::vector<float>& Verifier::reference(const BenchModel& model, int size, int images,
                                              int threads) {
  std::vector<float>& logits = references_[{model.file, size}];
  const Config& config = model.checkpoint.spec.config;
  if (logits.size() < static_cast<size_t>(images) * static_cast<size_t>(config.num_classes)) {
    Engine engine(PackedModel::create(model.checkpoint.spec, model.checkpoint.tensors,
                                      {.isa = Isa::kReference, .precision = Precision::kFp32}),
                  {.height = size, .width = size, .max_batch = images, .threads = threads});
    engine.run(to_f32(fill_tensor("input", {images, config.in_chans, size, size})), images);
    logits.assign(engine.logits().begin(), engine.logits().end());
  }
  return logits;
}

Verification Verifier::verify(const BenchCase& c) {
  const Config& config = c.model->checkpoint.spec.config;
  Verification done;
  done.size = verification_size(config, c.size);
  done.images = verified_images(config, done.size, c.batch);
  done.tolerance = allowed_error(parse_precision(c.run.precision));
  const std::vector<float>& expected = reference(*c.model, done.size, done.images, c.run.threads);

  const auto runner =
      backend_.start(c.model->checkpoint,
                     {.height = done.size, .width = done.size, .max_batch = c.batch, .run = c.run});
  // The images in turn: 0 1 0 1 ...
  const std::vector<float> images =
      to_f32(fill_tensor("input", {done.images, config.in_chans, done.size, done.size}));
  std::vector<float> input;
  input.reserve(images.size() / static_cast<size_t>(done.images) * static_cast<size_t>(c.batch));
  const auto image_size = static_cast<ptrdiff_t>(images.size()) / done.images;
  for (int k = 0; k < c.batch; ++k) {
    const auto first = images.begin() + image_size * (k % done.images);
    input.insert(input.end(), first, first + image_size);
  }
  runner->run(input, c.batch);
  const auto classes = static_cast<size_t>(config.num_classes);
  for (int k = 0; k < c.batch; ++k) {
    const double error = relative_difference(
        runner->logits().subspan(static_cast<size_t>(k) * classes, classes),
        std::span(expected).subspan(static_cast<size_t>(k % done.images) * classes, classes));
    done.error = std::max(done.error, error);
  }
  require(done.error <= done.tolerance, ErrorCode::kMismatch,
          "{}: the logits of {} at {} x {} differ from the reference kernels' by {:.1e} of the "
          "largest, {:.0e} is allowed; nothing was timed",
          describe(c), runner->isa(), done.size, done.size, done.error, done.tolerance);
  return done;
}

}  // namespace asmlp::cli
