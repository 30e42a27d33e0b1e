#include "asmlp/cli/images/class_subset.h"

namespace asmlp::cli {

ClassSubset::ClassSubset(const Dataset& dataset, const std::vector<int>& targets)
    : dataset_(&dataset) {
  for (int64_t i = 0; i < dataset.size(); ++i) {
    if (targets.at(static_cast<size_t>(dataset.target(i))) >= 0) indexes_.push_back(i);
  }
}

}  // namespace asmlp::cli
