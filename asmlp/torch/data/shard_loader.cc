#include "asmlp/torch/data/shard_loader.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>

#include "asmlp/core/error.h"

namespace asmlp::data {
namespace {

// A sample on its way from the shard to the batch.
struct ShardItem {
  std::shared_ptr<const ShardSample> sample;
  uint64_t number = 0;  // in the set
  uint64_t round = 0;   // how often the rank's shards were read before, in this epoch
};

Sample read_item(const ShardItem& item, bool encoded) {
  Sample sample{Image(), item.sample->target, item.sample->name, item.sample->bytes};
  return encoded && is_jpeg(sample.encoded) ? sample : decoded(std::move(sample));
}

}  // namespace

class ShardLoader::Maker final : public BatchMaker {
 public:
  Maker(const ShardLoader& loader, int64_t epoch, int64_t first_batch)
      : set_(loader.set_),
        transform_(loader.transform_),
        options_(loader.options_),
        epoch_(uint64_t(epoch)),
        first_(loader.first_),
        shards_(loader.shards(epoch)),
        to_skip_(first_batch),
        random_(derive_seed(options_.seed, {kSeedShuffle, epoch_, uint64_t(options_.rank)})) {
    wanted_ = options_.drop_last ? loader.batches() * options_.batch_size
                                 : std::numeric_limits<int64_t>::max();
  }

  Task take(int64_t index) override {
    for (; to_skip_ > 0; --to_skip_) {
      if (draw_batch().empty()) break;
    }
    to_skip_ = 0;
    std::vector<ShardItem> items = draw_batch();
    if (items.empty() && unreadable_.empty()) return {};
    std::vector<ShardItem> spares;
    if (options_.drop_last) {
      std::copy_n(buffer_.begin(), std::min<size_t>(kSpares, buffer_.size()),
                  std::back_inserter(spares));
    }
    return [this, index, items = std::move(items), spares = std::move(spares),
            unreadable = std::exchange(unreadable_, {})] {
      MadeBatch made = make(index, items, spares);
      made.bad.insert(made.bad.begin(), unreadable.begin(), unreadable.end());
      return made;
    };
  }

 private:
  // The next sample of the shards in their order; nothing when the epoch has what it wants.
  std::optional<ShardItem> read() {
    while (read_ < wanted_) {
      if (!reader_) {
        if (shard_ == shards_.size()) {
          if (!options_.drop_last) return std::nullopt;
          require(read_ > 0, ErrorCode::kBadFormat,
                  "no sample can be read from the {} shards of rank {}, from {} on{}",
                  shards_.size(), options_.rank, set_->shards[shards_.front()].path.string(),
                  unreadable_.empty() ? "" : ": " + unreadable_.back().message);
          shard_ = 0;
          ++round_;
        }
        const Shard& shard = set_->shards[shards_[shard_]];
        // What was counted is what can be read, so nothing more is expected.
        reader_.emplace(shard.path, set_->indexed ? shard.samples : -1,
                        static_cast<int>(set_->classes.size()));
        place_ = 0;
      }
      std::optional<ShardSample> sample = reader_->next();
      for (Unreadable& bad : reader_->take_unreadable()) unreadable_.push_back(std::move(bad));
      if (sample) {
        ++read_;
        return ShardItem{std::make_shared<const ShardSample>(std::move(*sample)),
                         uint64_t(first_[shards_[shard_]] + place_++), round_};
      }
      reader_.reset();
      ++shard_;
    }
    return std::nullopt;
  }

  // The next sample in the order of the epoch.
  std::optional<ShardItem> draw() {
    if (!options_.shuffle) return read();
    while (!ended_ && std::ssize(buffer_) < options_.shuffle_buffer) {
      std::optional<ShardItem> item = read();
      if (item) {
        buffer_.push_back(std::move(*item));
      } else {
        ended_ = true;
      }
    }
    if (buffer_.empty()) return std::nullopt;
    std::swap(buffer_[random_.below(std::ssize(buffer_))], buffer_.back());
    ShardItem item = std::move(buffer_.back());
    buffer_.pop_back();
    return item;
  }

  std::vector<ShardItem> draw_batch() {
    std::vector<ShardItem> items;
    while (std::ssize(items) < options_.batch_size) {
      std::optional<ShardItem> item = draw();
      if (!item) break;
      items.push_back(std::move(*item));
    }
    return items;
  }

  Slot slot(const ShardItem& item, uint64_t seed) const {
    return {[&item, encoded = options_.encoded] { return read_item(item, encoded); }, seed};
  }

  MadeBatch make(int64_t index, const std::vector<ShardItem>& items,
                 const std::vector<ShardItem>& spares) const {
    std::vector<Slot> slots;
    for (const ShardItem& item : items) {
      slots.push_back(
          slot(item, derive_seed(options_.seed, {kSeedSample, epoch_, item.number, item.round})));
    }
    // A sample that is still in the buffer; without one, another one of the batch.
    const auto replacement = [&](size_t place, int attempt) -> Slot {
      const uint64_t seed = derive_seed(
          options_.seed, {kSeedReplace, epoch_, items[place].number, uint64_t(attempt)});
      const auto tried = static_cast<size_t>(attempt);
      if (tried < spares.size()) return slot(spares[(place + tried) % spares.size()], seed);
      const size_t next = tried - spares.size() + 1;
      if (next < items.size()) return slot(items[(place + next) % items.size()], seed);
      return {};
    };
    return fill_batch(index, slots, replacement, transform_, options_);
  }

  const ShardSet* set_;
  Transform transform_;
  LoaderOptions options_;
  uint64_t epoch_;
  std::vector<int64_t> first_;
  std::vector<int64_t> shards_;
  int64_t wanted_ = 0;   // samples of the epoch on this rank
  int64_t to_skip_ = 0;  // batches before the first

  // The state of the reading, which one thread at a time goes on with.
  std::optional<ShardReader> reader_;
  size_t shard_ = 0;   // in shards_
  int64_t place_ = 0;  // in the shard
  int64_t read_ = 0;
  uint64_t round_ = 0;
  bool ended_ = false;
  std::vector<ShardItem> buffer_;
  Random random_;
  std::vector<Unreadable> unreadable_;
};

ShardLoader::ShardLoader(const ShardSet& set, Transform transform, LoaderOptions options)
    : set_(&set), transform_(std::move(transform)), options_(options) {
  check_options(options);
  int64_t first = 0;
  for (const Shard& shard : set.shards) {
    first_.push_back(first);
    first += shard.samples;
  }
  if (!options.drop_last) return;
  require(batches() >= 1, ErrorCode::kInvalidArgument,
          "the shards hold {} samples, fewer than one batch of {} for each of {} processes: choose "
          "a smaller batch-size",
          set.samples, options.batch_size, options.world);
  require(std::ssize(set.shards) >= options.world, ErrorCode::kInvalidArgument,
          "{} shards for {} processes: every process needs one of its own; write more and smaller "
          "shards (asmlp dataset shards --samples-per-shard {})",
          set.shards.size(), options.world,
          std::max<int64_t>(1, set.samples / (int64_t{4} * options.world)));
}

int64_t ShardLoader::batches() const {
  const int64_t b = options_.batch_size, w = options_.world;
  if (options_.drop_last) return set_->samples / (b * w);
  int64_t samples = 0;
  for (int64_t shard : shards(0)) samples += set_->shards[shard].samples;
  return (samples + b - 1) / b;
}

int64_t ShardLoader::images() const {
  return options_.drop_last ? batches() * options_.batch_size * options_.world : set_->samples;
}

std::vector<int64_t> ShardLoader::shards(int64_t epoch) const {
  std::vector<int64_t> order(set_->shards.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  Random random(derive_seed(options_.seed, {kSeedOrder, uint64_t(epoch)}));
  // Without drop_last a rank's number of samples must not depend on the epoch.
  if (options_.shuffle && options_.drop_last) shuffle(order, random);
  std::vector<int64_t> mine;
  for (size_t i = options_.rank; i < order.size(); i += options_.world) mine.push_back(order[i]);
  if (options_.shuffle && !options_.drop_last) shuffle(mine, random);
  return mine;
}

BatchStream ShardLoader::start(int64_t epoch, int64_t first_batch) const {
  return BatchMaker::start(std::make_unique<Maker>(*this, epoch, first_batch), reported_,
                           options_.workers, first_batch,
                           options_.drop_last ? batches() : std::numeric_limits<int64_t>::max());
}

}  // namespace asmlp::data
