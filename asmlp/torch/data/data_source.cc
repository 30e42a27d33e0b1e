#include "asmlp/torch/data/data_source.h"

#include <utility>

#include "asmlp/dataset/shards/shards.h"
#include "asmlp/torch/data/loader.h"
#include "asmlp/torch/data/shard_loader.h"

namespace asmlp::data {
namespace {

class RandomAccessSource final : public DataSource {
 public:
  explicit RandomAccessSource(const Dataset& dataset) : dataset_(&dataset) {}
  explicit RandomAccessSource(std::unique_ptr<Dataset> dataset)
      : owned_(std::move(dataset)), dataset_(owned_.get()) {}

  const std::vector<std::string>& classes() const override { return dataset_->classes(); }
  int64_t size() const override { return dataset_->size(); }
  std::unique_ptr<BatchSource> batches(Transform transform,
                                       const LoaderOptions& options) const override {
    return std::make_unique<Loader>(*dataset_, std::move(transform), options);
  }

 private:
  std::unique_ptr<Dataset> owned_;
  const Dataset* dataset_;
};

class ShardSource final : public DataSource {
 public:
  explicit ShardSource(ShardSet set) : set_(std::move(set)) {}

  const std::vector<std::string>& classes() const override { return set_.classes; }
  int64_t size() const override { return set_.samples; }
  std::unique_ptr<BatchSource> batches(Transform transform,
                                       const LoaderOptions& options) const override {
    return std::make_unique<ShardLoader>(set_, std::move(transform), options);
  }

 private:
  ShardSet set_;
};

}  // namespace

std::unique_ptr<DataSource> open_data_source(const std::string& path, Split split) {
  if (names_shards(path)) return std::make_unique<ShardSource>(open_shards(path, split));
  return std::make_unique<RandomAccessSource>(open_dataset(path, split));
}

std::unique_ptr<DataSource> make_data_source(const Dataset& dataset) {
  return std::make_unique<RandomAccessSource>(dataset);
}

}  // namespace asmlp::data
