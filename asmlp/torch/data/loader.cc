#include "asmlp/torch/data/loader.h"

#include <algorithm>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::data {

class Loader::Maker final : public BatchMaker {
 public:
  Maker(const Loader& loader, int64_t epoch) : loader_(loader), epoch_(epoch) {}

  Task take(int64_t index) override {
    const LoaderOptions& o = loader_.options_;
    int64_t pass = epoch_, batch = index;
    if (o.batches_per_epoch > 0) {
      const int64_t global = epoch_ * o.batches_per_epoch + index;
      pass = global / loader_.batches_per_pass();
      batch = global % loader_.batches_per_pass();
    }
    if (pass != pass_) {
      pass_ = pass;
      order_ = loader_.order(pass);
    }
    const int64_t first = (batch * o.world + o.rank) * o.batch_size;
    const int64_t last = std::min<int64_t>(first + o.batch_size, std::ssize(order_));
    return [this, index, pass, first,
            samples = std::vector<int64_t>(order_.begin() + first, order_.begin() + last)] {
      return make(index, uint64_t(pass), uint64_t(first), samples);
    };
  }

 private:
  // `first` is the place of the first sample in the order.
  MadeBatch make(int64_t index, uint64_t pass, uint64_t first,
                 const std::vector<int64_t>& samples) const {
    const LoaderOptions& o = loader_.options_;
    const bool grouped = o.order == Order::kGrouped;
    // What the random numbers of a place are derived from.
    const auto key = [&](size_t i) { return grouped ? first + i : uint64_t(samples[i]); };
    std::vector<Slot> slots;
    for (size_t i = 0; i < samples.size(); ++i) {
      slots.push_back(slot(samples[i], derive_seed(o.seed, {kSeedSample, pass, key(i)})));
    }
    if (!o.training()) return fill_batch(index, slots, {}, loader_.source_->collation());
    // Another sample of the group, drawn for this place alone: which one does not depend on other
    // bad samples, on workers or on ranks. It comes as a second view, should it come in its own
    // place too.
    const auto replacement = [&](size_t i, int attempt) -> Slot {
      if (attempt >= kMaxReplacements) return {};
      Random random(derive_seed(o.seed, {kSeedReplace, pass, key(i), uint64_t(attempt)}));
      const auto& group = loader_.groups_[grouped ? loader_.source_->group(samples[i]) : 0];
      const int64_t other = group[random.below(std::ssize(group))];
      return slot(other, random.next());
    };
    return fill_batch(index, slots, replacement, loader_.source_->collation());
  }

  Slot slot(int64_t index, uint64_t seed) const {
    return [source = loader_.source_, index, seed] {
      Random random(seed);
      TensorSample sample = source->get(index, random);
      sample.info.index = index;
      return sample;
    };
  }

  const Loader& loader_;
  int64_t epoch_;
  int64_t pass_ = -1;
  std::vector<int64_t> order_;  // of pass_
};

Loader::Loader(const SampleSource& source, LoaderOptions options)
    : source_(&source), options_(options) {
  check_options(options);
  require(source.size() >= 1, ErrorCode::kInvalidArgument, "the data set has no image to use");
  const bool grouped = options.order == Order::kGrouped;
  size_t largest = 0;
  for (int64_t i = 0; i < source.size(); ++i) {
    const auto group = static_cast<size_t>(grouped ? source.group(i) : 0);
    if (groups_.size() <= group) groups_.resize(group + 1);
    groups_[group].push_back(i);
    largest = std::max(largest, groups_[group].size());
  }
  require(!options.training() || batches_per_pass() >= 1, ErrorCode::kInvalidArgument,
          "the data set has {} images{}, fewer than one batch of {}{}: choose a smaller batch-size",
          largest, grouped ? " in its largest group" : "", options.batch_size,
          options.world > 1 ? fmt::format(" for each of {} processes", options.world) : "");
}

Loader::Loader(std::unique_ptr<const SampleSource> source, LoaderOptions options)
    : Loader(*source, options) {
  owned_ = std::move(source);
}

int64_t Loader::batches_per_pass() const {
  const int64_t b = options_.batch_size, w = options_.world;
  if (!options_.training()) {
    const int64_t blocks = (source_->size() + b - 1) / b;
    return (blocks - options_.rank + w - 1) / w;
  }
  int64_t batches = 0;
  for (const auto& group : groups_) {
    const int64_t n = std::ssize(group);
    batches += (options_.remainder == Remainder::kDrop ? n : n + b * w - 1) / (b * w);
  }
  return batches;
}

int64_t Loader::batches() const {
  return options_.batches_per_epoch > 0 ? options_.batches_per_epoch : batches_per_pass();
}

int64_t Loader::images() const {
  return options_.training() ? batches() * options_.batch_size * options_.world : source_->size();
}

std::vector<int64_t> Loader::order(int64_t pass) const {
  const int64_t step = int64_t{options_.batch_size} * options_.world;
  const auto shuffled = [&](auto values, std::initializer_list<uint64_t> path) {
    Random random(derive_seed(options_.seed, path));
    shuffle(values, random);
    return values;
  };
  // A whole number of steps, in training.
  const auto fitted = [&](std::vector<int64_t> indices) {
    const size_t size = indices.size();
    if (options_.remainder == Remainder::kDrop) indices.resize(size / step * step);
    if (options_.remainder == Remainder::kRepeat && size > 0) {
      while (indices.size() % step != 0) indices.push_back(indices[indices.size() - size]);
    }
    return indices;
  };
  if (options_.order == Order::kSequential) return fitted(groups_.front());
  if (options_.order == Order::kShuffled) {
    return fitted(shuffled(groups_.front(), {kSeedOrder, uint64_t(pass)}));
  }
  std::vector<std::vector<int64_t>> steps;
  for (size_t g = 0; g < groups_.size(); ++g) {
    const auto group = fitted(shuffled(groups_[g], {kSeedOrder, uint64_t(pass), g}));
    for (auto at = group.begin(); at != group.end(); at += step) steps.emplace_back(at, at + step);
  }
  steps = shuffled(std::move(steps), {kSeedOrder, uint64_t(pass), groups_.size()});
  std::vector<int64_t> order;
  for (const auto& indices : steps) order.insert(order.end(), indices.begin(), indices.end());
  return order;
}

BatchStream Loader::start(int64_t epoch, int64_t first_batch) const {
  return BatchMaker::start(std::make_unique<Maker>(*this, epoch), reported_, options_.workers,
                           first_batch, batches());
}

}  // namespace asmlp::data
