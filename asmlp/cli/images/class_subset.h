// The images of some classes of a data set.
#pragma once

#include <vector>

#include "asmlp/dataset/dataset.h"

namespace asmlp::cli {

// The samples of `dataset` whose class has a place in `targets` (-1: none), in its order; classes
// and targets are still the data set's own. `dataset` must outlive it.
class ClassSubset final : public Dataset {
 public:
  ClassSubset(const Dataset& dataset, const std::vector<int>& targets);

  int64_t size() const override { return static_cast<int64_t>(indexes_.size()); }
  asmlp::Sample get(int64_t index) const override { return dataset_->get(at(index)); }
  asmlp::Sample get_encoded(int64_t index) const override { return dataset_->get_encoded(at(index)); }
  int target(int64_t index) const override { return dataset_->target(at(index)); }
  const std::vector<std::string>& classes() const override { return dataset_->classes(); }

 private:
  int64_t at(int64_t index) const { return indexes_.at(static_cast<size_t>(index)); }

  const Dataset* dataset_;
  std::vector<int64_t> indexes_;
};

}  // namespace asmlp::cli
