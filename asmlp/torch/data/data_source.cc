#include "asmlp/torch/data/data_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/dataset/class_match.h"
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
  std::string left_out() const override { return dataset_->left_out(); }
  std::vector<int64_t> class_counts() const override {
    std::vector<int64_t> counts(classes().size());
    for (int64_t i = 0; i < size(); ++i) ++counts.at(static_cast<size_t>(dataset_->target(i)));
    return counts;
  }
  std::optional<CacheContents> cache_contents(const std::string& what,
                                              int channels) const override {
    if (size() == 0 || dataset_->file(0).empty()) return std::nullopt;
    CacheContents contents;
    contents.what = what;
    contents.size = size();
    contents.file = [set = dataset_](int64_t index) { return set->file(index); };
    contents.decode = [set = dataset_](int64_t index) { return set->get(index).image; };
    contents.decoding = dataset_->decoding();
    contents.channels = channels;
    return contents;
  }
  std::unique_ptr<BatchSource> batches(Transform transform,
                                       const LoaderOptions& options) const override {
    return std::make_unique<Loader>(
        std::make_unique<LabeledSource>(*dataset_, std::move(transform)), options);
  }

 private:
  std::unique_ptr<Dataset> owned_;
  const Dataset* dataset_;
};

class RenumberedSource final : public DataSource {
 public:
  RenumberedSource(std::shared_ptr<const DataSource> source, std::vector<std::string> classes,
                   std::vector<int> places)
      : source_(std::move(source)), classes_(std::move(classes)), places_(std::move(places)) {}

  const std::vector<std::string>& classes() const override { return classes_; }
  int64_t size() const override { return source_->size(); }
  std::string left_out() const override { return source_->left_out(); }
  std::vector<int64_t> class_counts() const override {
    const std::vector<int64_t> own = source_->class_counts();
    std::vector<int64_t> counts(classes_.size());
    for (size_t i = 0; i < own.size(); ++i) counts.at(static_cast<size_t>(places_[i])) = own[i];
    return counts;
  }
  std::optional<CacheContents> cache_contents(const std::string& what,
                                              int channels) const override {
    return source_->cache_contents(what, channels);
  }
  std::unique_ptr<BatchSource> batches(Transform transform,
                                       const LoaderOptions& options) const override {
    transform.targets = places_;
    return source_->batches(std::move(transform), options);
  }

 private:
  std::shared_ptr<const DataSource> source_;
  std::vector<std::string> classes_;
  std::vector<int> places_;
};

class ShardSource final : public DataSource {
 public:
  ShardSource(ShardSet set, const DecodeOptions& decoding)
      : set_(std::move(set)), decoding_(decoding) {}

  const std::vector<std::string>& classes() const override { return set_.classes; }
  int64_t size() const override { return set_.samples; }
  std::vector<int64_t> class_counts() const override {
    fail(ErrorCode::kUnsupported,
         "the number of images of each class is not known of tar shards before they are read: give "
         "class-weights as numbers, one per class");
  }
  std::optional<CacheContents> cache_contents(const std::string& what, int) const override {
    fail(ErrorCode::kUnsupported,
         "cache: {}: tar shards are read from end to end, and no decoded images of them are kept; "
         "leave --cache out, or train on the folder of images that the shards were made from",
         what);
  }
  std::unique_ptr<BatchSource> batches(Transform transform,
                                       const LoaderOptions& options) const override {
    return std::make_unique<ShardLoader>(set_, std::move(transform), options, decoding_);
  }

 private:
  ShardSet set_;
  DecodeOptions decoding_;
};

}  // namespace

TensorSample transformed(const Sample& sample, const Transform& transform, Random& random) {
  TensorSample result;
  result.image = torch::empty({transform.channels, transform.height, transform.width});
  transform.apply(sample, random,
                  {result.image.data_ptr<float>(), static_cast<size_t>(result.image.numel())});
  const int target = transform.targets.empty()
                         ? sample.target
                         : transform.targets.at(static_cast<size_t>(sample.target));
  result.target = torch::scalar_tensor(target, torch::kInt64);
  return result;
}

TensorSample LabeledSource::get(int64_t index, Random& random) const {
  if (const auto view = transform_.cache ? transform_.cache->find(index) : std::nullopt) {
    Sample sample{.image = {},
                  .target = dataset_->target(index),
                  .name = dataset_->name(index),
                  .view = *view};
    return transformed(sample, transform_, random);
  }
  return transformed(transform_.encoded ? dataset_->get_encoded(index) : dataset_->get(index),
                     transform_, random);
}

std::unique_ptr<DataSource> open_data_source(const std::string& path, Split split,
                                             const DecodeOptions& decoding) {
  if (names_shards(path)) return std::make_unique<ShardSource>(open_shards(path, split), decoding);
  std::unique_ptr<Dataset> dataset = open_dataset(path, split);
  dataset->set_decoding(decoding);
  return std::make_unique<RandomAccessSource>(std::move(dataset));
}

std::shared_ptr<const DataSource> with_classes(std::shared_ptr<const DataSource> source,
                                               const std::vector<std::string>& classes,
                                               const std::string& what,
                                               const std::function<void(const std::string&)>& say) {
  if (source->classes() == classes) return source;
  const auto side = [](const std::string& who, const std::vector<std::string>& names) {
    return ClassSide{who, names, static_cast<int>(names.size())};
  };
  const std::string missing = only_in(source->classes(), classes);
  require(
      missing == "none", ErrorCode::kMismatch,
      "{}: the training and the validation split have different classes:\n"
      "  only in the validation split: {}\n  only in the training split: {}\n  every class of the "
      "validation split must be one of the training split",
      what, missing, only_in(classes, source->classes()));
  ClassMatch match = match_classes(side("the validation split", source->classes()),
                                   side("the training split", classes));
  say(
      fmt::format("{}: the validation split has {} of the {} classes of the training split; "
                  "matched by name",
                  what, source->classes().size(), classes.size()));
  return std::make_shared<RenumberedSource>(std::move(source), classes, std::move(match.places));
}

std::unique_ptr<DataSource> make_data_source(const Dataset& dataset) {
  return std::make_unique<RandomAccessSource>(dataset);
}

std::unique_ptr<DataSource> make_data_source(std::unique_ptr<Dataset> dataset) {
  return std::make_unique<RandomAccessSource>(std::move(dataset));
}

}  // namespace asmlp::data
