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
    return std::make_unique<Loader>(
        std::make_unique<LabeledSource>(*dataset_, std::move(transform)), options);
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

TensorSample transformed(const Sample& sample, const Transform& transform, Random& random) {
  TensorSample result;
  result.image = torch::empty({transform.channels, transform.height, transform.width});
  transform.apply(sample, random,
                  {result.image.data_ptr<float>(), static_cast<size_t>(result.image.numel())});
  result.target = torch::scalar_tensor(sample.target, torch::kInt64);
  return result;
}

TensorSample LabeledSource::get(int64_t index, Random& random) const {
  return transformed(transform_.encoded ? dataset_->get_encoded(index) : dataset_->get(index),
                     transform_, random);
}

std::unique_ptr<DataSource> open_data_source(const std::string& path, Split split) {
  if (names_shards(path)) return std::make_unique<ShardSource>(open_shards(path, split));
  return std::make_unique<RandomAccessSource>(open_dataset(path, split));
}

std::unique_ptr<DataSource> make_data_source(const Dataset& dataset) {
  return std::make_unique<RandomAccessSource>(dataset);
}

std::unique_ptr<DataSource> make_data_source(std::unique_ptr<Dataset> dataset) {
  return std::make_unique<RandomAccessSource>(std::move(dataset));
}

}  // namespace asmlp::data
