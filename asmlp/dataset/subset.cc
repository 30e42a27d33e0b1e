#include "asmlp/dataset/subset.h"

#include "asmlp/core/error.h"
#include "asmlp/dataset/hold_out.h"

namespace asmlp {

Subset::Subset(std::shared_ptr<const Dataset> whole, const std::vector<bool>& keep)
    : whole_(std::move(whole)) {
  for (size_t i = 0; i < keep.size(); ++i) {
    if (keep[i]) indices_.push_back(static_cast<int64_t>(i));
  }
}

int64_t Subset::at(int64_t index) const {
  require(index >= 0 && index < size(), ErrorCode::kInvalidArgument,
          "sample {} of a data set of {}", index, size());
  return indices_[static_cast<size_t>(index)];
}

std::pair<std::unique_ptr<Dataset>, std::unique_ptr<Dataset>> hold_out_samples(
    std::shared_ptr<const Dataset> whole, double fraction, uint64_t seed, const std::string& what) {
  std::vector<HoldOutSample> samples;
  for (int64_t i = 0; i < whole->size(); ++i) samples.push_back({whole->name(i), whole->target(i)});
  std::vector<bool> held = hold_out(samples, fraction, seed, what);
  auto held_out = std::make_unique<Subset>(whole, held);
  held.flip();
  return {std::make_unique<Subset>(std::move(whole), held), std::move(held_out)};
}

}  // namespace asmlp
