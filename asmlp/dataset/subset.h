// A part of a data set.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "asmlp/dataset/dataset.h"

namespace asmlp {

// The samples for which `keep`, one flag a sample, is true, in their order; all classes.
class Subset final : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> whole, const std::vector<bool>& keep);

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Sample get(int64_t index) const override { return whole_->get(at(index)); }
  Sample get_encoded(int64_t index) const override { return whole_->get_encoded(at(index)); }
  int target(int64_t index) const override { return whole_->target(at(index)); }
  std::filesystem::path file(int64_t index) const override { return whole_->file(at(index)); }
  DecodeOptions decoding() const override { return whole_->decoding(); }
  std::string name(int64_t index) const override { return whole_->name(at(index)); }
  const std::vector<std::string>& classes() const override { return whole_->classes(); }

 private:
  // Error(kInvalidArgument) unless `index` is in [0, size()).
  int64_t at(int64_t index) const;

  std::shared_ptr<const Dataset> whole_;
  std::vector<int64_t> indices_;
};

// The data set without about `fraction` of its samples, and these: the same share of every class
// (hold_out). Errors: hold_out's, naming `what`.
std::pair<std::unique_ptr<Dataset>, std::unique_ptr<Dataset>> hold_out_samples(
    std::shared_ptr<const Dataset> whole, double fraction, uint64_t seed, const std::string& what);

}  // namespace asmlp
