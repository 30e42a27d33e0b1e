// One row of `asmlp bench` of a detector or segmentor, before and while it is measured.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/cli/bench/peaks.h"
#include "asmlp/cli/options/dense_backend.h"
#include "asmlp/cli/terminal/console.h"

namespace asmlp::cli {

// How a row differs from the portable fp32 kernels.
struct DenseVerification {
  int height = 0, width = 0;  // of the input it was done at
  // Of a segmentor's logits, or of a detector's pyramid, scores, and deltas, where the backend
  // shows them: the largest difference over the largest value.
  std::optional<double> error;
  double tolerance = 0;
  // Of a detector: the share of the reference's objects that are not found.
  std::optional<double> missing;
};

class DenseContender {
 public:
  // `once` runs the images once and returns the number of detections, 0 of a segmentor.
  DenseContender(std::string backend, std::shared_ptr<DenseRunner> runner,
                 std::function<int64_t()> once);

  const std::string& backend() const { return backend_; }
  const DenseRunner& runner() const { return *runner_; }

  // One run, which is kept when it is `timed`.
  void run(bool timed);
  void sample_peak() { peaks_.sample(); }

  // Multiply-adds of the products of a run, 0 where the backend does not say.
  double gflop() const;
  // The row's measured keys; `rest` is the name of the time that no part has. `gflop` replaces the
  // own where that is 0.
  Json row(const std::string& rest, int batch, double gflop) const;

 private:
  struct Part {
    std::string name;
    std::vector<double> ms;  // of each timed run
    double gflop = 0;
  };
  Part& part(const std::string& name);

  std::string backend_;
  std::shared_ptr<DenseRunner> runner_;
  std::function<int64_t()> once_;
  Peaks peaks_;
  std::vector<Part> parts_;
  std::vector<double> total_ms_;
  int64_t detections_ = 0;
};

}  // namespace asmlp::cli
