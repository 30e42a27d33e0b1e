#include "asmlp/dataset/shards/shard_writer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <numeric>
#include <ostream>
#include <random>
#include <span>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/growing_folder.h"
#include "asmlp/core/log.h"
#include "asmlp/core/lower_case.h"
#include "asmlp/core/out_of_memory.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/dataset/shards/tar.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/encode.h"
#include "asmlp/image/exif.h"
#include "asmlp/image/resize.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

// Files in memory at a time: enough to keep the threads busy.
constexpr int64_t kBlock = 128;
// Of a key, so that the name with its extension stays below ustar's 100 bytes.
constexpr size_t kMaxKey = 80;
// What a member costs beside its content: header and padding (at most).
constexpr int64_t kMemberOverhead = 1024;

std::string key_of(size_t number, const std::string& file_name) {
  std::string key =
      fmt::format("{:08}_", number) + fs::path(file_name).replace_extension().string();
  for (char& c : key) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-') c = '_';
  }
  return key.substr(0, kMaxKey);
}

// The extension by which the bytes are what they are; the file's own when they are nothing known.
std::string extension_of(std::string_view bytes, const fs::path& path) {
  if (bytes.starts_with("\xff\xd8\xff")) return "jpg";
  if (bytes.starts_with("\x89PNG")) return "png";
  if (bytes.starts_with("RIFF")) return "webp";
  if (bytes.starts_with("BM")) return "bmp";
  if (bytes.starts_with("II") || bytes.starts_with("MM")) return "tif";
  return lower_case(path.extension().string().substr(1));
}

// What goes into the shard for one file.
struct Prepared {
  std::string bytes;
  std::string extension;
  std::string problem;
};

Prepared prepare(const ImageFile& file, const ShardWriterOptions& options) {
  Prepared prepared;
  try {
    prepared.bytes = read_file(file.path, options.decoding.max_file_bytes, Inputs::kRegular);
    require(!prepared.bytes.empty(), ErrorCode::kBadFormat, "{}: the file is empty",
            file.path.string());
    if (options.check || options.resize) {
      // Stored pixels stay stored pixels: whether they are turned is decided in training.
      DecodeOptions decoding = options.decoding;
      decoding.exif = Exif::kIgnore;
      const auto bytes = std::as_bytes(std::span(prepared.bytes));
      const Image image = decode_image(bytes, file.path.string(), decoding);
      if (options.resize && std::min(image.height, image.width) > *options.resize) {
        prepared.bytes =
            encode_jpeg(resize_short_side(image, *options.resize, Interpolation::kBicubic),
                        options.quality, file_orientation(bytes, decoding.style));
      }
    }
    prepared.extension = extension_of(prepared.bytes, file.path);
  } catch (const Error& error) {
    prepared.problem = error.what();
  } catch (const std::exception& error) {  // no memory for a huge picture
    prepared.problem = file.path.string() + ": " + explain_exception(error).message;
  }
  return prepared;
}

// The same order everywhere: the standard fixes mt19937_64's numbers (but not std::shuffle's use of
// them).
std::vector<size_t> shuffled(size_t count, uint64_t seed) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::mt19937_64 random(seed);
  for (size_t i = count; i > 1; --i) {
    const auto at = static_cast<size_t>((static_cast<unsigned __int128>(random()) * i) >> 64);
    std::swap(order[i - 1], order[at]);
  }
  return order;
}

// Gives the files one after the other, read and checked by several threads a block ahead.
class Feed {
 public:
  Feed(const ImageFiles& list, const ShardWriterOptions& options,
       const ShardWriterProgress& progress, std::vector<Unreadable>& unreadable)
      : list_(list),
        options_(options),
        progress_(progress),
        unreadable_(unreadable),
        order_(shuffled(list.files.size(), options.seed)),
        pool_(options.threads) {}

  struct Item {
    size_t number = 0;
    const ImageFile* file = nullptr;
    Prepared prepared;
  };

  // The next good file, which stays the next one until pop(); null at the end.
  Item* peek() {
    while (true) {
      while (at_ < block_.size()) {
        if (block_[at_].prepared.problem.empty()) return &block_[at_];
        unreadable_.push_back({std::move(block_[at_].prepared.problem)});
        ++at_;
      }
      if (progress_ && next_ > 0) progress_(static_cast<int64_t>(next_), unreadable_);
      if (next_ >= order_.size()) return nullptr;
      fill();
    }
  }
  void pop() { block_[at_++].prepared = {}; }

 private:
  void fill() {
    const size_t count = std::min<size_t>(kBlock, order_.size() - next_);
    block_.assign(count, {});
    for (size_t i = 0; i < count; ++i) {
      block_[i].number = order_[next_ + i];
      block_[i].file = &list_.files[block_[i].number];
    }
    pool_.run(static_cast<int>(count), [&](int task, int) {
      block_[size_t(task)].prepared = prepare(*block_[size_t(task)].file, options_);
    });
    next_ += count;
    at_ = 0;
  }

  const ImageFiles& list_;
  const ShardWriterOptions& options_;
  const ShardWriterProgress& progress_;
  std::vector<Unreadable>& unreadable_;
  std::vector<size_t> order_;
  ThreadPool pool_;
  std::vector<Item> block_;
  size_t at_ = 0, next_ = 0;
};

// One shard from the feed; the number of its samples.
int64_t write_shard(std::ostream& out, Feed& feed, const ShardWriterOptions& options) {
  TarWriter tar(out);
  int64_t samples = 0, bytes = 0;
  while (Feed::Item* item = feed.peek()) {
    const int64_t size = std::ssize(item->prepared.bytes) + 2 * kMemberOverhead;
    if (samples > 0 && bytes + size > options.shard_bytes) break;
    if (options.samples_per_shard > 0 && samples >= options.samples_per_shard) break;
    const std::string key = key_of(item->number, item->file->name);
    tar.add(key + "." + item->prepared.extension, item->prepared.bytes);
    tar.add(key + ".cls", std::to_string(item->file->target));
    ++samples;
    bytes += size;
    feed.pop();
  }
  tar.finish();
  return samples;
}

void check(const ShardWriterOptions& options) {
  require(options.shard_bytes >= 1, ErrorCode::kInvalidArgument, "shard size {}: must be >= 1",
          options.shard_bytes);
  require(options.samples_per_shard >= 0, ErrorCode::kInvalidArgument,
          "samples per shard {}: must be >= 0", options.samples_per_shard);
  require(!options.resize || (*options.resize >= 1 && *options.resize <= 16384),
          ErrorCode::kInvalidArgument, "resize {}: must be 1..16384", options.resize.value_or(0));
  require(options.quality >= 1 && options.quality <= 100, ErrorCode::kInvalidArgument,
          "quality {}: must be 1..100", options.quality);
}

}  // namespace

ShardWriterReport write_shards(const ImageFiles& list, Split split, const fs::path& folder,
                               const ShardWriterOptions& options,
                               const ShardWriterProgress& progress) {
  check(options);
  const std::string split_name = shard_split_name(split);
  std::error_code error;
  fs::create_directories(folder, error);
  require(!error, ErrorCode::kIo, "{}: cannot create the folder: {}", folder.string(),
          error.message());
  ShardIndex index = read_shard_index(folder).value_or(ShardIndex{list.classes, {}});
  require(index.classes == list.classes, ErrorCode::kMismatch,
          "{}: holds shards of other classes; choose another output", folder.string());
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    require(!entry.path().filename().string().starts_with(split_name + "-"),
            ErrorCode::kInvalidArgument,
            "{}: holds shards already ({}), perhaps of a writing that was stopped; remove "
            "{}-* or choose another output",
            folder.string(), entry.path().filename().string(), split_name);
  }
  require(!index.splits.contains(split_name), ErrorCode::kInvalidArgument,
          "{}: its {} lists {} shards already; remove it or choose another output", folder.string(),
          kShardIndexName, split_name);

  ShardWriterReport report;
  GrowingFolder growing(folder, GrowingFolder::Output::kShared, split_name);
  std::vector<ShardIndex::Entry> entries;
  Feed feed(list, options, progress, report.unreadable);
  while (feed.peek() != nullptr) {
    ShardIndex::Entry entry;
    entry.name = fmt::format("{}-{:06}.tar", split_name, entries.size());
    const fs::path path = growing.path() / entry.name;
    write_file_atomically(
        path, [&](std::ostream& out) { entry.samples = write_shard(out, feed, options); });
    entry.bytes = static_cast<int64_t>(fs::file_size(path));
    report.samples += entry.samples;
    report.bytes += entry.bytes;
    entries.push_back(entry);
  }
  require(!entries.empty(), ErrorCode::kBadFormat,
          "none of the {} images can be read; the first: {}", list.files.size(),
          report.unreadable.empty() ? "" : report.unreadable.front().message);
  report.shards = std::ssize(entries);
  index.splits[split_name] = std::move(entries);
  growing.finish();
  write_shard_index(folder, index);
  return report;
}

ShardIndex index_shards(const fs::path& folder, std::vector<std::string> classes) {
  ShardIndex index;
  if (classes.empty()) {
    if (const auto old = read_shard_index(folder)) classes = old->classes;
  }
  std::vector<fs::path> paths;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".tar" && special_kind(entry.path()).empty()) {
      paths.push_back(entry.path());
    }
  }
  require(!error, ErrorCode::kNotFound, "{}: cannot list the folder: {}", folder.string(),
          error.message());
  if (const std::string others = special_shards(folder); !others.empty()) {
    log_message(LogLevel::kWarning, others);
  }
  std::ranges::sort(paths);
  int highest = -1;
  int64_t samples = 0;
  StrayMembers strays;
  for (const fs::path& path : paths) {
    const std::string name = path.filename().string();
    const std::string split = name.substr(0, name.find('-'));
    const bool training = split == "train";
    if (!training && split != "val" && split != "validation" && split != "test") continue;
    ShardIndex::Entry entry{name, 0, static_cast<int64_t>(fs::file_size(path))};
    ShardReader reader(path, -1, static_cast<int>(classes.size()), ShardReader::Read::kLabels);
    while (const auto sample = reader.next()) {
      ++entry.samples;
      highest = std::max(highest, sample->target);
    }
    samples += entry.samples;
    strays.add(reader.strays());
    const std::vector<Unreadable> bad = reader.take_unreadable();
    require(bad.empty(), ErrorCode::kBadFormat, "{}; mend or remove the shard, then index again",
            bad.empty() ? "" : bad.front().message);
    index.splits[training ? "train" : "val"].push_back(std::move(entry));
  }
  require(!index.splits.empty(), ErrorCode::kNotFound,
          "{}: holds no shards; expected train-*.tar and val-*.tar", folder.string());
  require(
      samples > 0, ErrorCode::kBadFormat,
      "{}: its shards hold no samples; expected KEY.jpg (.jpeg, .png, .webp) and KEY.cls side by "
      "side{}",
      folder.string(), strays.count > 0 ? ": " + strays.reason() : "");
  if (strays.count > 0) {
    log_message(LogLevel::kWarning, fmt::format("{}: {}", folder.string(), strays.reason()));
  }
  require(highest < 1'000'000, ErrorCode::kBadFormat, "{}: class {}: a million are the most",
          folder.string(), highest);
  if (classes.empty()) {
    for (int i = 0; i <= highest; ++i) classes.push_back(std::to_string(i));
  }
  index.classes = std::move(classes);
  write_shard_index(folder, index);
  return index;
}

}  // namespace asmlp
