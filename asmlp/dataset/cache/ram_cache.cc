#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/out_of_memory.h"
#include "asmlp/dataset/cache/caches.h"

namespace asmlp {
namespace {

// The memory that is left is looked at again after so many bytes.
constexpr int64_t kLookEvery = int64_t{32} << 20;

class RamCache final : public ImageCache {
 public:
  // Of `memory` bytes, `budget` may be taken.
  RamCache(CacheContents contents, const CacheOptions& options, int64_t memory, int64_t budget,
           int64_t promised)
      : contents_(std::move(contents)),
        say_(options.say),
        watches_(options.memory == 0),
        budget_(budget),
        reserve_(memory / 10),
        promised_(promised),
        kept_(static_cast<size_t>(contents_.size)) {}

  ~RamCache() override {
    for (const std::atomic<const Image*>& image : kept_) delete image.load();
  }

  std::optional<PixelView> find(int64_t index) const override {
    require(index >= 0 && index < contents_.size, ErrorCode::kInvalidArgument,
            "image {} of a cache of {}", index, contents_.size);
    std::atomic<const Image*>& place = kept_[static_cast<size_t>(index)];
    if (const Image* image = place.load(std::memory_order_acquire)) return *image;
    if (full_.load(std::memory_order_relaxed)) return std::nullopt;
    return keep(place, index);
  }

  int64_t promised_memory() const override { return promised_; }

 private:
  std::optional<PixelView> keep(std::atomic<const Image*>& place, int64_t index) const {
    std::unique_ptr<const Image> image;
    try {
      image = std::make_unique<const Image>(decode_to_keep(contents_, index));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInterrupted) throw;
      return std::nullopt;
    } catch (const std::bad_alloc&) {
      note_full();
      return std::nullopt;
    }
    const auto bytes = static_cast<int64_t>(image->pixels.size() + sizeof(Image));
    if (!has_room(bytes)) {
      note_full();
      return std::nullopt;
    }
    const Image* none = nullptr;
    if (place.compare_exchange_strong(none, image.get(), std::memory_order_acq_rel)) {
      ++images_;
      return *image.release();
    }
    bytes_ -= bytes;  // another thread was first
    return *none;
  }

  bool has_room(int64_t bytes) const {
    const int64_t before = bytes_.fetch_add(bytes);
    bool room = before + bytes <= budget_;
    if (room && watches_ && before / kLookEvery != (before + bytes) / kLookEvery) {
      const int64_t left = available_memory();
      room = left == 0 || left > reserve_;
    }
    if (!room) bytes_ -= bytes;
    return room;
  }

  void note_full() const {
    if (full_.exchange(true) || !say_) return;
    say_(
        fmt::format("cache ram: no more room: {} of {} images of {} are kept, in {}; the other {} "
                    "are decoded at each use (--cache disk keeps them in a file)",
                    images_.load(), contents_.size, contents_.what,
                    bytes_text(double(bytes_.load())), contents_.size - images_.load()));
  }

  CacheContents contents_;
  std::function<void(const std::string&)> say_;
  bool watches_;
  int64_t budget_, reserve_, promised_;
  mutable std::vector<std::atomic<const Image*>> kept_;
  mutable std::atomic<int64_t> bytes_ = 0, images_ = 0;
  mutable std::atomic<bool> full_ = false;
};

}  // namespace

std::shared_ptr<const ImageCache> open_ram_cache(CacheContents contents,
                                                 const CacheOptions& options) {
  const int64_t memory = (options.memory > 0 ? options.memory : available_memory());
  const int processes = std::max(options.processes, 1);
  const int64_t budget = std::max<int64_t>(memory / processes - options.promised, 0) / 4 * 3;
  const int64_t needed = estimate_decoded_bytes(contents);
  if (options.say) {
    const std::string each = processes > 1 ? " in each process" : "";
    std::string text = fmt::format(
        "cache ram: the {} images of {} take about {}{}, {} may be used of the {} that are "
        "available",
        contents.size, contents.what, bytes_text(double(needed)), each, bytes_text(double(budget)),
        bytes_text(double(memory)));
    if (needed > budget) {
      text +=
          "; images that find no room are decoded at each use (--cache disk keeps all in a file)";
    }
    options.say(text);
  }
  return std::make_shared<RamCache>(std::move(contents), options, memory, budget,
                                    std::min(budget, needed));
}

}  // namespace asmlp
