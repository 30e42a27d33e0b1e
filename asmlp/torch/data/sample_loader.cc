#include "asmlp/torch/data/sample_loader.h"

#include <algorithm>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::data {
namespace {

constexpr uint8_t kNoClass = 255;

// All of one type in one tensor as large as the largest, `fill` around each.
torch::Tensor stack_padded(const std::vector<torch::Tensor>& tensors, double fill) {
  int64_t height = 0, width = 0;
  for (const torch::Tensor& t : tensors) {
    height = std::max(height, t.size(-2));
    width = std::max(width, t.size(-1));
  }
  std::vector<int64_t> shape = tensors.front().sizes().vec();
  shape[shape.size() - 2] = height;
  shape[shape.size() - 1] = width;
  shape.insert(shape.begin(), static_cast<int64_t>(tensors.size()));
  const torch::Tensor out = torch::full(shape, fill, tensors.front().options());
  for (size_t i = 0; i < tensors.size(); ++i) {
    out[int64_t(i)]
        .narrow(-2, 0, tensors[i].size(-2))
        .narrow(-1, 0, tensors[i].size(-1))
        .copy_(tensors[i]);
  }
  return out;
}

Batch collate(int64_t index, std::vector<Item> items) {
  Batch batch;
  batch.index = index;
  if (items.empty()) return batch;
  std::vector<torch::Tensor> images, targets;
  for (Item& item : items) {
    images.push_back(item.image);
    if (item.target.defined()) targets.push_back(item.target);
    batch.infos.push_back(std::move(item.info));
  }
  batch.images = stack_padded(images, 0);
  if (!targets.empty()) batch.targets = stack_padded(targets, kNoClass);
  return batch;
}

}  // namespace

class ItemLoader::Maker final : public BatchMaker {
 public:
  Maker(const ItemLoader& loader, int64_t epoch) : loader_(loader), epoch_(epoch) {}

  Task take(int64_t index) override {
    const ItemLoaderOptions& o = loader_.options_;
    int64_t pass = 0, batch = index;
    if (o.training) {
      const int64_t global = epoch_ * loader_.batches() + index;
      pass = global / loader_.batches_per_pass();
      batch = global % loader_.batches_per_pass();
    }
    if (pass != pass_) {
      pass_ = pass;
      order_ = loader_.order(pass);
    }
    const int64_t first = (batch * o.world + o.rank) * o.batch_size;
    const int64_t last = std::min<int64_t>(first + o.batch_size, order_.size());
    std::vector<int64_t> images(order_.begin() + first, order_.begin() + last);
    return [this, index, pass, first, images] {
      return make(index, uint64_t(pass), uint64_t(first), images);
    };
  }

 private:
  // `first` is the place of the first image in the order. Seeds are of places, not of images: an
  // image that comes twice in a pass is seen in two ways.
  MadeBatch make(int64_t index, uint64_t pass, uint64_t first,
                 const std::vector<int64_t>& images) const {
    const ItemLoaderOptions& o = loader_.options_;
    MadeBatch made;
    std::vector<Item> items;
    for (size_t i = 0; i < images.size(); ++i) {
      const uint64_t place = first + i;
      bool done = read(images[i], derive_seed(o.seed, {kSeedSample, pass, place}), items, made);
      for (int attempt = 0; !done && o.training; ++attempt) {
        require(attempt < kMaxReplacements, ErrorCode::kBadFormat,
                "no image that can be read was found in the place of a bad one ({} tried, the "
                "last: {}): the data is damaged",
                attempt + 1, made.bad.back().message);
        Random random(derive_seed(o.seed, {kSeedReplace, pass, place, uint64_t(attempt)}));
        const auto& group = loader_.groups_[loader_.source_->group(images[i])];
        const int64_t other = group[random.below(int64_t(group.size()))];
        done = read(other, random.next(), items, made);
      }
    }
    made.batch = collate(index, std::move(items));
    return made;
  }

  bool read(int64_t image, uint64_t seed, std::vector<Item>& items, MadeBatch& made) const {
    try {
      Random random(seed);
      Item item = loader_.source_->get(image, random);
      item.info.index = image;
      items.push_back(std::move(item));
      return true;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInterrupted) throw;
      made.bad.push_back({error.what()});
      return false;
    }
  }

  const ItemLoader& loader_;
  int64_t epoch_;
  int64_t pass_ = -1;
  std::vector<int64_t> order_;  // of pass_
};

ItemLoader::ItemLoader(const ItemSource& source, ItemLoaderOptions options)
    : source_(&source), options_(options) {
  LoaderOptions checked;
  checked.batch_size = options.batch_size;
  checked.workers = options.workers;
  checked.rank = options.rank;
  checked.world = options.world;
  check_options(checked);
  require(options.batches_per_epoch >= 0, ErrorCode::kInvalidArgument,
          "batches per epoch {}: must not be negative", options.batches_per_epoch);
  require(source.size() >= 1, ErrorCode::kInvalidArgument, "the data set has no image to use");
  for (int64_t i = 0; i < source.size(); ++i) {
    const auto group = static_cast<size_t>(options.training ? source.group(i) : 0);
    if (groups_.size() <= group) groups_.resize(group + 1);
    groups_[group].push_back(i);
  }
  require(!options.training || batches_per_pass() >= 1, ErrorCode::kInvalidArgument,
          "of the {} images none makes a batch of {}{} with others of its kind: choose a smaller "
          "batch-size",
          source.size(), options.batch_size,
          options.world > 1 ? fmt::format(" for each of {} processes", options.world) : "");
}

int64_t ItemLoader::batches_per_pass() const {
  const int64_t step = int64_t{options_.batch_size} * options_.world;
  int64_t batches = 0;
  for (const auto& group : groups_) {
    const auto n = static_cast<int64_t>(group.size());
    batches += options_.remainder == Remainder::kDrop ? n / step : (n + step - 1) / step;
  }
  return batches;
}

int64_t ItemLoader::batches() const {
  if (options_.training) {
    return options_.batches_per_epoch > 0 ? options_.batches_per_epoch : batches_per_pass();
  }
  const int64_t b = options_.batch_size, w = options_.world;
  const int64_t blocks = (source_->size() + b - 1) / b;
  return std::max<int64_t>(0, (blocks - options_.rank + w - 1) / w);
}

int64_t ItemLoader::images() const {
  return options_.training ? batches() * options_.batch_size * options_.world : source_->size();
}

std::vector<int64_t> ItemLoader::order(int64_t pass) const {
  if (!options_.training) return groups_.front();
  const int64_t step = int64_t{options_.batch_size} * options_.world;
  // What all ranks see in one step is of one group; the steps are then shuffled.
  std::vector<std::vector<int64_t>> steps;
  for (size_t g = 0; g < groups_.size(); ++g) {
    std::vector<int64_t> group = groups_[g];
    Random random(derive_seed(options_.seed, {kSeedOrder, uint64_t(pass), g}));
    shuffle(group, random);
    if (group.empty()) continue;
    const size_t size = group.size();
    if (options_.remainder == Remainder::kDrop) {
      group.resize(size / step * step);
    } else {
      while (group.size() % step != 0) group.push_back(group[group.size() - size]);
    }
    for (auto at = group.begin(); at != group.end(); at += step) steps.emplace_back(at, at + step);
  }
  Random random(derive_seed(options_.seed, {kSeedOrder, uint64_t(pass), groups_.size()}));
  shuffle(steps, random);
  std::vector<int64_t> order;
  for (const auto& indices : steps) order.insert(order.end(), indices.begin(), indices.end());
  return order;
}

BatchStream ItemLoader::start(int64_t epoch, int64_t first_batch) const {
  return BatchMaker::start(std::make_unique<Maker>(*this, epoch), reported_, options_.workers,
                           first_batch, batches());
}

}  // namespace asmlp::data
