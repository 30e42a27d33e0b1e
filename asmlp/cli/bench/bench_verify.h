// The check that comes before any time is taken: the same logits as the portable fp32 kernels.
#pragma once

#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "asmlp/cli/bench/bench_cases.h"
#include "asmlp/cli/options/runner.h"

namespace asmlp::cli {

struct Verification {
  int size = 0;      // side of the input it was done at
  int images = 0;    // different images
  double error = 0;  // max |logit - reference| / max |reference|
  double tolerance = 0;
};

// The side at which a case of side `size` is verified. The reference computes about a hundredth of
// what fast kernels do, so larger inputs than 384 are verified at 224, and inputs of more than 10 G
// multiply-adds at the largest multiple of the network's stride that stays below.
int verification_size(const Config& config, int size);

class Verifier {
 public:
  explicit Verifier(const Backend& backend) : backend_(backend) {}

  // Runs the case as it will be timed (its batch, precision, ISA and threads; the size of
  // verification_size) and compares every image of the batch with the reference kernels in fp32.
  // Error(kMismatch) when the relative difference is above allowed_error (bench_precision.h) or a
  // logit is not finite.
  Verification verify(const BenchCase& bench_case);

 private:
  // Of `images` images; kept, because many cases share them.
  const std::vector<float>& reference(const BenchModel& model, int size, int images, int threads);

  Backend backend_;
  std::map<std::pair<std::filesystem::path, int>, std::vector<float>> references_;
};

}  // namespace asmlp::cli
