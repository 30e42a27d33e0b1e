// Batches of images that differ in size, for detectors and segmentors, made ahead of time by worker
// threads.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "asmlp/torch/data/batch_maker.h"
#include "asmlp/torch/data/batch_source.h"
#include "asmlp/torch/data/sample.h"

namespace asmlp::data {

// Where the items come from.
class ItemSource {
 public:
  virtual ~ItemSource() = default;
  virtual int64_t size() const = 0;
  // Reads and augments image `index` in [0, size()). Called from several threads at once. An Error
  // says that the image cannot be used.
  virtual Item get(int64_t index, Random& random) const = 0;
  // A training batch holds images of one group only (detection: wide or high); groups count from 0.
  virtual int group(int64_t) const { return 0; }
};

// What happens in training to the images that do not fill a batch for every rank.
enum class Remainder {
  kDrop,    // left out of this pass
  kRepeat,  // filled up with images that the group had already
};

struct ItemLoaderOptions {
  int batch_size = 2;  // of this rank
  int workers = 2;     // threads that make batches ahead; 0 makes them in next()
  uint64_t seed = 0;
  int rank = 0;
  int world = 1;
  // Training: an order drawn from (seed, pass), full batches, the same number on every rank; an
  // image that cannot be read is replaced by another one of its group. Otherwise (evaluation) every
  // image comes exactly once over the ranks, in order, and one that cannot be read is left out.
  bool training = false;
  Remainder remainder = Remainder::kRepeat;  // of training
  // Training: an epoch is this many batches of this rank, drawn from one pass over the images after
  // the other; 0: an epoch is one pass.
  int64_t batches_per_epoch = 0;
};

// A batch's `images` are as large as its largest one, zeros to the right and below; `infos` has an
// entry per image; `targets` (segmentors) is padded likewise, with 255. In an evaluation, a batch
// of which nothing could be read has no infos and undefined images. The order of a pass is cut into
// blocks of batch_size; batch b of rank r is block b * world + r, as in loader.h. So the images of
// all ranks in one step of training are of one group.
class ItemLoader final : public BatchSource {
 public:
  // The source must outlive the loader and its streams. Errors: check_options', and
  // kInvalidArgument for batches_per_epoch < 0, for a source without images, and in training when
  // no group has one batch for each rank.
  ItemLoader(const ItemSource& source, ItemLoaderOptions options);

  int64_t batches() const override;
  int64_t images() const override;
  BatchStream start(int64_t epoch, int64_t first_batch = 0) const override;

  // Indices into the source in the order of a pass (training), over all ranks.
  std::vector<int64_t> order(int64_t pass) const;

  // Images tried in the place of one that cannot be read.
  static constexpr int kMaxReplacements = 100;

 private:
  class Maker;
  int64_t batches_per_pass() const;

  const ItemSource* source_;
  ItemLoaderOptions options_;
  std::vector<std::vector<int64_t>> groups_;  // indices of the images of each group
  std::shared_ptr<Reported> reported_ = std::make_shared<Reported>();
};

}  // namespace asmlp::data
