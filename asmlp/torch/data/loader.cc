#include "asmlp/torch/data/loader.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::data {

class Loader::Maker final : public BatchMaker {
 public:
  Maker(const Loader& loader, int64_t epoch)
      : dataset_(loader.dataset_),
        transform_(loader.transform_),
        options_(loader.options_),
        epoch_(uint64_t(epoch)),
        order_(loader.order(epoch)) {}

  Task take(int64_t index) override {
    return [this, index] { return make(index); };
  }

 private:
  Slot slot(int64_t sample) const {
    return {[this, sample] {
              return options_.encoded ? dataset_->get_encoded(sample) : dataset_->get(sample);
            },
            derive_seed(options_.seed, {kSeedSample, epoch_, uint64_t(sample)})};
  }

  MadeBatch make(int64_t index) const {
    const int64_t block = index * options_.world + options_.rank;
    const int64_t first = block * options_.batch_size;
    const int64_t count =
        std::min<int64_t>(options_.batch_size, static_cast<int64_t>(order_.size()) - first);
    std::vector<Slot> slots;
    for (int64_t i = 0; i < count; ++i) slots.push_back(slot(order_[first + i]));
    // Another sample of the epoch, drawn for this place alone: which one does not depend on other
    // bad samples, on workers or on ranks.
    const auto replacement = [&](size_t place, int attempt) -> Slot {
      if (attempt >= kMaxReplacements) return {};
      const auto bad = uint64_t(order_[first + int64_t(place)]);
      Random random(derive_seed(options_.seed, {kSeedReplace, epoch_, bad, uint64_t(attempt)}));
      Slot other = slot(random.below(dataset_->size()));
      other.seed = random.next();  // a second view, should the sample come in its own place too
      return other;
    };
    return fill_batch(index, slots, replacement, transform_, options_);
  }

  const Dataset* dataset_;
  Transform transform_;
  LoaderOptions options_;
  uint64_t epoch_;
  std::vector<int64_t> order_;
};

Loader::Loader(const Dataset& dataset, Transform transform, LoaderOptions options)
    : dataset_(&dataset), transform_(std::move(transform)), options_(options) {
  check_options(options);
  require(images() >= 1, ErrorCode::kInvalidArgument,
          "the data set has {} images, fewer than one batch of {}{}: choose a smaller batch-size",
          dataset.size(), options.batch_size,
          options.world > 1 ? fmt::format(" for each of {} processes", options.world) : "");
}

int64_t Loader::batches() const {
  const int64_t n = dataset_->size(), b = options_.batch_size, w = options_.world;
  if (options_.drop_last) return n / (b * w);
  const int64_t blocks = (n + b - 1) / b;
  return std::max<int64_t>(0, (blocks - options_.rank + w - 1) / w);
}

int64_t Loader::images() const {
  return options_.drop_last ? batches() * options_.batch_size * options_.world : dataset_->size();
}

std::vector<int64_t> Loader::order(int64_t epoch) const {
  std::vector<int64_t> indices(dataset_->size());
  std::iota(indices.begin(), indices.end(), int64_t{0});
  if (options_.shuffle) {
    Random random(derive_seed(options_.seed, {kSeedOrder, uint64_t(epoch)}));
    shuffle(indices, random);
  }
  return indices;
}

BatchStream Loader::start(int64_t epoch, int64_t first_batch) const {
  return BatchMaker::start(std::make_unique<Maker>(*this, epoch), reported_, options_.workers,
                           first_batch, batches());
}

}  // namespace asmlp::data
