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
struct Entry {
  std::shared_ptr<const ShardSample> sample;
  uint64_t number = 0;  // in the set
  uint64_t round = 0;   // how often the rank's shards were read before, in this epoch
};

Sample read_entry(const Entry& entry, bool encoded, const DecodeOptions& decoding) {
  Sample sample{Image(), entry.sample->target, entry.sample->name, entry.sample->bytes, decoding};
  return encoded && is_jpeg(sample.encoded) ? sample : decoded(std::move(sample));
}

}  // namespace

class ShardLoader::Maker final : public BatchMaker {
 public:
  Maker(const ShardLoader& loader, int64_t epoch, int64_t first_batch)
      : set_(loader.set_),
        transform_(loader.transform_),
        options_(loader.options_),
        decoding_(loader.decoding_),
        epoch_(uint64_t(epoch)),
        first_(loader.first_),
        shards_(loader.shards(epoch)),
        to_skip_(first_batch),
        random_(derive_seed(options_.seed, {kSeedShuffle, epoch_, uint64_t(options_.rank)})) {
    wanted_ = options_.training() ? loader.batches() * options_.batch_size
                                  : std::numeric_limits<int64_t>::max();
  }

  Task take(int64_t index) override {
    for (; to_skip_ > 0; --to_skip_) {
      if (draw_batch().empty()) break;
    }
    to_skip_ = 0;
    std::vector<Entry> entries = draw_batch();
    if (entries.empty() && unreadable_.empty()) return {};
    std::vector<Entry> spares;
    if (options_.training()) {
      std::copy_n(buffer_.begin(), std::min<size_t>(kSpares, buffer_.size()),
                  std::back_inserter(spares));
    }
    return [this, index, entries = std::move(entries), spares = std::move(spares),
            unreadable = std::exchange(unreadable_, {})] {
      MadeBatch made = make(index, entries, spares);
      made.bad.insert(made.bad.begin(), unreadable.begin(), unreadable.end());
      return made;
    };
  }

 private:
  // The next sample of the shards in their order; nothing when the epoch has what it wants.
  std::optional<Entry> read() {
    while (read_ < wanted_) {
      if (!reader_) {
        if (shard_ == shards_.size()) {
          if (!options_.training()) return std::nullopt;
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
        return Entry{std::make_shared<const ShardSample>(std::move(*sample)),
                     uint64_t(first_[shards_[shard_]] + place_++), round_};
      }
      reader_.reset();
      ++shard_;
    }
    return std::nullopt;
  }

  // The next sample in the order of the epoch.
  std::optional<Entry> draw() {
    if (options_.order == Order::kSequential) return read();
    while (!ended_ && std::ssize(buffer_) < options_.shuffle_buffer) {
      std::optional<Entry> entry = read();
      if (entry) {
        buffer_.push_back(std::move(*entry));
      } else {
        ended_ = true;
      }
    }
    if (buffer_.empty()) return std::nullopt;
    std::swap(buffer_[random_.below(std::ssize(buffer_))], buffer_.back());
    Entry entry = std::move(buffer_.back());
    buffer_.pop_back();
    return entry;
  }

  std::vector<Entry> draw_batch() {
    std::vector<Entry> entries;
    while (std::ssize(entries) < options_.batch_size) {
      std::optional<Entry> entry = draw();
      if (!entry) break;
      entries.push_back(std::move(*entry));
    }
    return entries;
  }

  Slot slot(const Entry& entry, uint64_t seed) const {
    return [this, &entry, seed] {
      Random random(seed);
      return transformed(read_entry(entry, transform_.encoded, decoding_), transform_, random);
    };
  }

  MadeBatch make(int64_t index, const std::vector<Entry>& entries,
                 const std::vector<Entry>& spares) const {
    std::vector<Slot> slots;
    for (const Entry& entry : entries) {
      slots.push_back(slot(
          entry, derive_seed(options_.seed, {kSeedSample, epoch_, entry.number, entry.round})));
    }
    if (!options_.training()) return fill_batch(index, slots, {}, Collation::kStack);
    // A sample that is still in the buffer; without one, another one of the batch.
    const auto replacement = [&](size_t place, int attempt) -> Slot {
      const uint64_t seed = derive_seed(
          options_.seed, {kSeedReplace, epoch_, entries[place].number, uint64_t(attempt)});
      const auto tried = static_cast<size_t>(attempt);
      if (tried < spares.size()) return slot(spares[(place + tried) % spares.size()], seed);
      const size_t next = tried - spares.size() + 1;
      if (next < entries.size()) return slot(entries[(place + next) % entries.size()], seed);
      return {};
    };
    return fill_batch(index, slots, replacement, Collation::kStack);
  }

  const ShardSet* set_;
  Transform transform_;
  LoaderOptions options_;
  DecodeOptions decoding_;
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
  std::vector<Entry> buffer_;
  Random random_;
  std::vector<Unreadable> unreadable_;
};

ShardLoader::ShardLoader(const ShardSet& set, Transform transform, LoaderOptions options,
                         const DecodeOptions& decoding)
    : set_(&set), transform_(std::move(transform)), options_(options), decoding_(decoding) {
  check_options(options);
  require(options.order != Order::kGrouped && options.remainder != Remainder::kRepeat &&
              options.batches_per_epoch == 0,
          ErrorCode::kInvalidArgument,
          "tar shards are read from beginning to end: they have neither groups nor repeated "
          "remainders nor epochs of a fixed length");
  int64_t first = 0;
  for (const Shard& shard : set.shards) {
    first_.push_back(first);
    first += shard.samples;
  }
  if (!options.training()) return;
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
  if (options_.training()) return set_->samples / (b * w);
  int64_t samples = 0;
  for (int64_t shard : shards(0)) samples += set_->shards[shard].samples;
  return (samples + b - 1) / b;
}

int64_t ShardLoader::images() const {
  return options_.training() ? batches() * options_.batch_size * options_.world : set_->samples;
}

std::vector<int64_t> ShardLoader::shards(int64_t epoch) const {
  std::vector<int64_t> order(set_->shards.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  Random random(derive_seed(options_.seed, {kSeedOrder, uint64_t(epoch)}));
  // In an evaluation a rank's number of samples must not depend on the epoch.
  const bool shuffled = options_.order == Order::kShuffled;
  if (shuffled && options_.training()) shuffle(order, random);
  std::vector<int64_t> mine;
  for (size_t i = options_.rank; i < order.size(); i += options_.world) mine.push_back(order[i]);
  if (shuffled && !options_.training()) shuffle(mine, random);
  return mine;
}

BatchStream ShardLoader::start(int64_t epoch, int64_t first_batch) const {
  return BatchMaker::start(std::make_unique<Maker>(*this, epoch, first_batch), reported_,
                           options_.workers, first_batch,
                           options_.training() ? batches() : std::numeric_limits<int64_t>::max());
}

}  // namespace asmlp::data
