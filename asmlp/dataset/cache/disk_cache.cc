#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/files/checksum.h"
#include "asmlp/core/files/file_lock.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/dataset/cache/cache_file.h"
#include "asmlp/dataset/cache/caches.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kSayEvery{30};

std::string settings_of(const CacheContents& contents) {
  const DecodeOptions& d = contents.decoding;
  return fmt::format("version 1, exif {}, style {}, at most {} pixels, {} bytes, {} channels\n",
                     static_cast<int>(d.exif), static_cast<int>(d.style), d.max_pixels,
                     d.max_file_bytes, contents.channels);
}

uint64_t hash_of(const std::string& text) { return checksum_of(std::as_bytes(std::span(text))); }

// Of all files' names, sizes, and times of change.
uint64_t key_of(const CacheContents& contents) {
  Checksum key;
  const auto add = [&](const std::string& text) { key.add(std::as_bytes(std::span(text))); };
  add(settings_of(contents));
  for (int64_t i = 0; i < contents.size; ++i) {
    const fs::path path = contents.file(i);
    struct stat info {};
    const bool there = ::stat(path.c_str(), &info) == 0;
    add(fmt::format("{}\n{} {} {}\n", fs::absolute(path).lexically_normal().string(),
                    there ? int64_t{info.st_size} : -1, int64_t{info.st_mtim.tv_sec},
                    int64_t{info.st_mtim.tv_nsec}));
  }
  return key.value();
}

class DiskCache final : public ImageCache {
 public:
  DiskCache(CacheContents contents, fs::path path, CacheFile file,
            std::function<void(const std::string&)> say)
      : contents_(std::move(contents)),
        path_(std::move(path)),
        file_(std::move(file)),
        say_(std::move(say)),
        states_(file_.index.size()) {}

  std::optional<PixelView> find(int64_t index) const override {
    require(index >= 0 && index < contents_.size, ErrorCode::kInvalidArgument,
            "image {} of a cache of {}", index, contents_.size);
    const CachedPicture& picture = file_.index[static_cast<size_t>(index)];
    if (picture.channels == 0) return std::nullopt;
    std::atomic<State>& state = states_[static_cast<size_t>(index)];
    if (state.load(std::memory_order_acquire) == State::kUnknown) {
      const bool good = is_good(picture) || repair(index, picture);
      state.store(good ? State::kGood : State::kBad, std::memory_order_release);
    }
    if (state.load(std::memory_order_acquire) == State::kBad) return std::nullopt;
    return PixelView(file_.pixels(picture), static_cast<int>(picture.height),
                     static_cast<int>(picture.width), static_cast<int>(picture.channels));
  }

 private:
  enum class State : uint8_t { kUnknown, kGood, kBad };

  bool is_good(const CachedPicture& picture) const {
    return checksum_of(file_.file.bytes.subspan(picture.offset, picture.bytes())) ==
           picture.checksum;
  }

  // Decodes the picture and writes it to its place; whether it is good then.
  bool repair(int64_t index, const CachedPicture& picture) const {
    std::lock_guard lock(repairing_);
    if (is_good(picture)) return true;  // another thread was first
    bool written = false;
    try {
      const Image image = decode_to_keep(contents_, index);
      if (image.pixels.size() == picture.bytes() &&
          checksum_of(std::as_bytes(std::span(image.pixels))) == picture.checksum) {
        written = write(image, picture.offset);
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInterrupted) throw;
    }
    const bool good = written && is_good(picture);
    if (say_) {
      say_(fmt::format("cache disk: {}: the pixels of {} were damaged; {}", path_.string(),
                       contents_.file(index).string(),
                       good ? "they are written again"
                            : "they cannot be written again, so it is decoded at each use"));
    }
    return good;
  }

  bool write(const Image& image, uint64_t offset) const {
    const int file = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) return false;
    size_t done = 0;
    while (done < image.pixels.size()) {
      const ssize_t count = ::pwrite(file, image.pixels.data() + done, image.pixels.size() - done,
                                     static_cast<off_t>(offset + done));
      if (count <= 0) break;
      done += static_cast<size_t>(count);
    }
    ::close(file);
    return done == image.pixels.size();
  }

  CacheContents contents_;
  fs::path path_;
  CacheFile file_;
  std::function<void(const std::string&)> say_;
  mutable std::vector<std::atomic<State>> states_;
  mutable std::mutex repairing_;
};

// All pictures, decoded by several threads, into the stream.
void write_pictures(const CacheContents& contents, const CacheOptions& options, uint64_t key,
                    std::ostream& out) {
  CacheFileWriter writer(out);
  ThreadPool pool(options.threads);
  std::vector<std::optional<Image>> images(static_cast<size_t>(2 * pool.size()));
  Clock::time_point said = Clock::now();
  for (int64_t first = 0; first < contents.size && out; first += std::ssize(images)) {
    const int count =
        static_cast<int>(std::min<int64_t>(std::ssize(images), contents.size - first));
    pool.run(count, [&](int i, int) {
      std::optional<Image>& image = images[static_cast<size_t>(i)];
      try {
        image = decode_to_keep(contents, first + i);
      } catch (const Error&) {
        image.reset();  // its reader finds out, and says why
      }
    });
    for (int i = 0; i < count; ++i) {
      const std::optional<Image>& image = images[static_cast<size_t>(i)];
      image ? writer.add(*image) : writer.add_none();
    }
    if (options.say && Clock::now() - said > kSayEvery) {
      said = Clock::now();
      options.say(fmt::format("cache disk: {} of {} images, {}", first + count, contents.size,
                              bytes_text(double(writer.bytes()))));
    }
  }
  if (out) writer.finish(key);
}

// Files of the same set as it was before.
void remove_older(const fs::path& path) {
  std::error_code error;
  for (fs::directory_iterator it(path.parent_path(), error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    if (it->path().extension() == path.extension() && it->path() != path) {
      fs::remove(it->path(), ignored);
    }
  }
}

// False where there is no room for them, which is said.
bool write_cache(const fs::path& path, const CacheContents& contents, const CacheOptions& options,
                 uint64_t key) {
  const auto say = [&](const std::string& text) {
    if (options.say) options.say("cache disk: " + text);
  };
  remove_older(path);
  std::error_code ignored;
  const auto needed = static_cast<double>(estimate_decoded_bytes(contents));
  const fs::space_info space = fs::space(path.parent_path(), ignored);
  if (!ignored && needed > double(space.available)) {
    say(
        fmt::format("the {} images of {} take about {}, but {} has {} left; they are not kept, but "
                    "decoded at each use: make room, or name another folder with --cache-dir",
                    contents.size, contents.what, bytes_text(needed), path.parent_path().string(),
                    bytes_text(double(space.available))));
    return false;
  }
  say(fmt::format("writing the {} images of {}, about {}, to {}", contents.size, contents.what,
                  bytes_text(needed), path.string()));
  const Clock::time_point begin = Clock::now();
  write_file_atomically(path,
                        [&](std::ostream& out) { write_pictures(contents, options, key, out); });
  say(fmt::format("written, {} in {:.1f} s", bytes_text(double(fs::file_size(path, ignored))),
                  std::chrono::duration<double>(Clock::now() - begin).count()));
  return true;
}

// Nothing when it is not there; `damage` becomes what is wrong with it.
std::optional<CacheFile> try_open(const fs::path& path, uint64_t key, int64_t count,
                                  std::string& damage) {
  damage.clear();
  try {
    return open_cache_file(path, key, count);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) damage = error.what();
    return std::nullopt;
  }
}

}  // namespace

std::shared_ptr<const ImageCache> open_disk_cache(CacheContents contents,
                                                  const CacheOptions& options) {
  const uint64_t key = key_of(contents);
  // A folder for each set: its lock is not that of a run whose folder the user names.
  const uint64_t set =
      hash_of(fs::absolute(contents.what).lexically_normal().string() + settings_of(contents));
  const fs::path folder = options.folder / fmt::format("images-{:016x}", set);
  const fs::path path = folder / fmt::format("{:016x}.cache", key);
  std::string damage;
  std::optional<CacheFile> file = try_open(path, key, contents.size, damage);
  try {
    if (!file) {
      LockRequest request;
      request.holder = "a process that writes a cache";
      request.advice = "wait until it has ended, or name another folder with --cache-dir";
      request.patience = std::chrono::hours(24 * 7);
      request.on_wait = options.say;
      const FolderLock lock(folder, request);
      file = try_open(path, key, contents.size, damage);
      if (!damage.empty() && options.say) {
        options.say(fmt::format("cache disk: {}: built again", damage));
      }
      if (!file) {
        if (!write_cache(path, contents, options, key)) return nullptr;
        file = open_cache_file(path, key, contents.size);
      }
    } else if (options.say) {
      options.say(fmt::format("cache disk: the {} images of {} are in {}", contents.size,
                              contents.what, path.string()));
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) throw;
    if (options.say) {
      options.say(
          fmt::format("cache disk: {}; the images of {} are not kept, but decoded at each "
                      "use",
                      error.what(), contents.what));
    }
    return nullptr;
  }
  return std::make_shared<DiskCache>(std::move(contents), path, *std::move(file), options.say);
}

}  // namespace asmlp
