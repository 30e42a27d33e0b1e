// A split of a classifier's data as training sees it: what it holds, and its batches. The one way
// to open such data, whatever its form.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "asmlp/dataset/cache/image_cache.h"
#include "asmlp/dataset/dataset.h"
#include "asmlp/torch/data/batch_source.h"

namespace asmlp::data {

// From a labeled image to a classifier's input.
struct Transform {
  int channels = 3;
  int height = 224;  // of the result
  int width = 224;
  // JPEGs reach `apply` as Sample::encoded; otherwise every sample has been decoded.
  bool encoded = false;
  // Per class of the samples its number for the network; empty: the same.
  std::vector<int> targets = {};
  // Where pictures are looked up before their files are read; they reach `apply` as Sample::view.
  std::shared_ptr<const ImageCache> cache = nullptr;
  // Writes channels * height * width floats. Called from several threads at once. An Error says
  // that the sample cannot be used: it is then treated as one that cannot be read.
  std::function<void(const Sample&, Random&, std::span<float>)> apply;
};

// The image and its class, by transform.apply.
TensorSample transformed(const Sample& sample, const Transform& transform, Random& random);

// A data set with random access, for the Loader. The data set must outlive it.
class LabeledSource final : public SampleSource {
 public:
  LabeledSource(const Dataset& dataset, Transform transform)
      : dataset_(&dataset), transform_(std::move(transform)) {}
  int64_t size() const override { return dataset_->size(); }
  TensorSample get(int64_t index, Random& random) const override;
  Collation collation() const override { return Collation::kStack; }

 private:
  const Dataset* dataset_;
  Transform transform_;
};

class DataSource {
 public:
  virtual ~DataSource() = default;
  virtual const std::vector<std::string>& classes() const = 0;
  virtual int64_t size() const = 0;  // images, known without decoding
  // One sentence about the files that were left out; empty when there are none.
  virtual std::string left_out() const { return {}; }
  // Images of each class, in the order of classes(). Error(kUnsupported) for tar shards, which show
  // the class of an image only when they are read.
  virtual std::vector<int64_t> class_counts() const = 0;
  // The images for a cache (`channels` as CacheContents has them; `what` names them in messages);
  // nothing where they are in memory anyway. Error(kUnsupported) for tar shards, which are read
  // from end to end.
  virtual std::optional<CacheContents> cache_contents(const std::string& what,
                                                      int channels) const = 0;
  // The images in batches. Must not outlive the DataSource. Errors: those of Loader, or of
  // ShardLoader.
  virtual std::unique_ptr<BatchSource> batches(Transform transform,
                                               const LoaderOptions& options) const = 0;
};

// Opens what lies at `path`: tar shards (open_shards), else one of open_dataset's folders. Pictures
// are decoded by `decoding`. Errors as theirs.
std::unique_ptr<DataSource> open_data_source(const std::string& path, Split split,
                                             const DecodeOptions& decoding = {});

// `source` with its classes numbered as those of the same names in `classes`, which may be more
// (match_classes of dataset/class_match.h); itself where both are the same. `what` names the data;
// `say` is told what was assumed.
std::shared_ptr<const DataSource> with_classes(std::shared_ptr<const DataSource> source,
                                               const std::vector<std::string>& classes,
                                               const std::string& what,
                                               const std::function<void(const std::string&)>& say);

// A data set in hand, which must outlive the result, or one to keep.
std::unique_ptr<DataSource> make_data_source(const Dataset& dataset);
std::unique_ptr<DataSource> make_data_source(std::unique_ptr<Dataset> dataset);

}  // namespace asmlp::data
