// A split of a data set as training sees it: what it holds, and its batches. The one way to open
// data, whatever its form.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "asmlp/dataset/dataset.h"
#include "asmlp/torch/data/batch_source.h"

namespace asmlp::data {

class DataSource {
 public:
  virtual ~DataSource() = default;
  virtual const std::vector<std::string>& classes() const = 0;
  virtual int64_t size() const = 0;  // images, known without decoding
  // The images in batches. Must not outlive the DataSource. Errors: check_options', and
  // kInvalidArgument for fewer images than a batch for each rank, or fewer shards than ranks.
  virtual std::unique_ptr<BatchSource> batches(Transform transform,
                                               const LoaderOptions& options) const = 0;
};

// Opens what lies at `path`: tar shards (open_shards), else one of open_dataset's folders. Errors
// as theirs.
std::unique_ptr<DataSource> open_data_source(const std::string& path, Split split);

// A data set in hand, which must outlive the result.
std::unique_ptr<DataSource> make_data_source(const Dataset& dataset);

}  // namespace asmlp::data
