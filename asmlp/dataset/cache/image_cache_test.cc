#include "asmlp/dataset/cache/image_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/cache/caches.h"
#include "asmlp/image/encode.h"
#include "asmlp/image/preprocess.h"
#include "tests/support/support.h"

namespace asmlp::image_cache_test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr int kImages = 12;

class ImageCacheTest : public testing::Test {
 protected:
  ImageCacheTest() {
    fs::create_directories(set());
    for (int i = 0; i < kImages; ++i) write(i, i);
    std::ofstream(file(5)) << "no image";
  }

  fs::path set() const { return folder_.path() / "set"; }
  fs::path kept() const { return folder_.path() / "kept"; }
  fs::path file(int64_t i) const { return set() / (std::to_string(i) + ".png"); }

  // Every third one is gray.
  void write(int index, unsigned seed) {
    std::mt19937 random(seed);
    Image image(20 + index, 31, 3);
    for (uint8_t& value : image.pixels) value = uint8_t(random());
    write_png(file(index), index % 3 == 0 ? to_gray(image) : image);
  }

  Image decoded(int64_t index) {
    ++decodings_;
    return decode_image(file(index));
  }

  CacheContents contents() {
    CacheContents result;
    result.what = "the set (training)";
    result.size = kImages;
    result.file = [this](int64_t i) { return file(i); };
    result.decode = [this](int64_t i) { return decoded(i); };
    return result;
  }

  CacheOptions options(CacheMode mode) {
    CacheOptions result;
    result.mode = mode;
    result.folder = kept();
    result.threads = 2;
    result.say = [this](const std::string& text) {
      std::lock_guard lock(mutex_);
      said_ += text + "\n";
    };
    return result;
  }

  std::shared_ptr<const ImageCache> open(CacheMode mode) {
    said_.clear();
    decodings_ = 0;
    return open_image_cache(contents(), options(mode));
  }

  // What find() gives for all pictures; how many it has.
  int expect_same(const ImageCache& cache) {
    int found = 0;
    for (int64_t i = 0; i < kImages; ++i) {
      const std::optional<PixelView> view = cache.find(i);
      if (i == 5) EXPECT_FALSE(view);
      if (!view) continue;
      ++found;
      EXPECT_EQ(view->channels, i % 3 == 0 ? 1 : 3);
      EXPECT_EQ(to_rgb(copy_of(*view)).pixels, decode_image(file(i)).pixels) << i;
    }
    return found;
  }

  std::vector<fs::path> files() const {
    std::vector<fs::path> result;
    for (const auto& entry : fs::recursive_directory_iterator(kept())) {
      if (entry.is_regular_file()) result.push_back(entry.path());
    }
    return result;
  }
  fs::path only_file() const {
    const std::vector<fs::path> all = files();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? fs::path() : all[0];
  }

  test::TemporaryFolder folder_;
  std::mutex mutex_;
  std::string said_;
  std::atomic<int> decodings_ = 0;
};

TEST_F(ImageCacheTest, IsNoneWhenNobodyAsks) {
  EXPECT_EQ(open(CacheMode::kOff), nullptr);
  EXPECT_EQ(said_, "");
  EXPECT_FALSE(fs::exists(kept()));
}

TEST_F(ImageCacheTest, RamKeepsWhatWasReadOnce) {
  const auto cache = open(CacheMode::kRam);
  ASSERT_NE(cache, nullptr);
  EXPECT_THAT(said_, AllOf(HasSubstr("12 images of the set (training)"), HasSubstr("available")));
  EXPECT_EQ(decodings_, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&] { EXPECT_EQ(expect_same(*cache), 11); });
  for (std::thread& thread : threads) thread.join();
  const int after = decodings_;
  EXPECT_EQ(expect_same(*cache), 11);
  EXPECT_EQ(decodings_, after + 1) << "only what cannot be decoded is tried again";
  EXPECT_THROW(cache->find(kImages), Error);
}

TEST_F(ImageCacheTest, RamStopsWhereTheMemoryEnds) {
  CacheOptions small = options(CacheMode::kRam);
  small.memory = 12'000;
  const auto cache = open_image_cache(contents(), small);
  ASSERT_NE(cache, nullptr);
  EXPECT_THAT(said_, HasSubstr("images that find no room are decoded at each use"));
  EXPECT_LE(cache->promised_memory(), 9000);
  const int found = expect_same(*cache);
  EXPECT_GT(found, 1);
  EXPECT_LT(found, 11);
  EXPECT_THAT(said_, HasSubstr(std::to_string(found) + " of 12 images"));
  EXPECT_EQ(expect_same(*cache), found);
  // Two processes have half of it each, other caches theirs.
  CacheOptions less = small;
  less.processes = 2;
  less.promised = 5000;
  EXPECT_LT(expect_same(*open_image_cache(contents(), less)), found);
}

TEST_F(ImageCacheTest, GrayReadersGetGray) {
  CacheContents gray = contents();
  gray.channels = 1;
  for (const CacheMode mode : {CacheMode::kRam, CacheMode::kDisk}) {
    const auto cache = open_image_cache(gray, options(mode));
    ASSERT_NE(cache, nullptr);
    for (const int64_t i : {0, 1, 2}) {
      EXPECT_EQ(copy_of(*cache->find(i)).pixels, to_gray(decode_image(file(i))).pixels);
    }
  }
}

TEST_F(ImageCacheTest, DiskIsWrittenOnceForAllRuns) {
  auto cache = open(CacheMode::kDisk);
  ASSERT_NE(cache, nullptr);
  EXPECT_THAT(said_, AllOf(HasSubstr("writing the 12 images"), HasSubstr("written")));
  EXPECT_EQ(decodings_, kImages);
  EXPECT_EQ(expect_same(*cache), 11);
  const fs::path file = only_file();

  cache = open(CacheMode::kDisk);
  EXPECT_EQ(decodings_, 0);
  EXPECT_EQ(expect_same(*cache), 11);
  EXPECT_EQ(decodings_, 0);
  EXPECT_EQ(only_file(), file);

  // Another way of decoding is another file; a change of the set takes the place of the old one.
  CacheContents stored = contents();
  stored.decoding.exif = Exif::kIgnore;
  ASSERT_NE(open_image_cache(stored, options(CacheMode::kDisk)), nullptr);
  EXPECT_EQ(files().size(), 2u);
  write(2, 99);
  fs::last_write_time(this->file(2), fs::file_time_type::clock::now() + std::chrono::seconds(5));
  const auto changed = open(CacheMode::kDisk);
  EXPECT_EQ(decodings_, kImages);
  EXPECT_EQ(expect_same(*changed), 11);
  EXPECT_EQ(files().size(), 2u);
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(ImageCacheTest, ADamagedFileIsRepaired) {
  ASSERT_NE(open(CacheMode::kDisk), nullptr);
  const fs::path file = only_file();
  const std::string good = read_file(file);
  for (const size_t size : {size_t{0}, size_t{10}, good.size() / 2, good.size() - 1}) {
    fs::resize_file(file, size);
    const auto cache = open(CacheMode::kDisk);
    EXPECT_THAT(said_, AllOf(HasSubstr(file.string()), HasSubstr("built again"))) << size;
    EXPECT_EQ(decodings_, kImages);
    EXPECT_EQ(expect_same(*cache), 11);
    EXPECT_EQ(read_file(file), good);
  }
  // One byte of the pixels, the index, the end.
  int rebuilt = 0, repaired = 0;
  for (size_t at = 3; at < good.size(); at += at < good.size() - 600 ? 997 : 41) {
    std::fstream(file, std::ios::in | std::ios::out | std::ios::binary)
        .seekp(std::streamoff(at))
        .put(char(good[at] ^ 0x20));
    const auto cache = open(CacheMode::kDisk);
    EXPECT_EQ(expect_same(*cache), 11) << at;
    rebuilt += said_.find("built again") != std::string::npos;
    repaired += said_.find("written again") != std::string::npos;
    EXPECT_EQ(read_file(file), good) << at;
  }
  EXPECT_GT(rebuilt, 5);
  EXPECT_GT(repaired, 5);
}

// Where the picture itself has gone, its reader says so.
TEST_F(ImageCacheTest, DamageThatCannotBeRepairedIsNotRead) {
  ASSERT_NE(open(CacheMode::kDisk), nullptr);
  const fs::path path = only_file();
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).put('\x7f').put('\x7f');
  const auto cache = open(CacheMode::kDisk);
  const std::string bytes = read_file(file(0));
  std::ofstream(file(0)) << "gone";
  EXPECT_FALSE(cache->find(0));
  EXPECT_THAT(said_, HasSubstr("decoded at each use"));
  EXPECT_TRUE(cache->find(1));
}

TEST_F(ImageCacheTest, ADiskWithoutRoomLosesNothing) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{5000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto cache = open(CacheMode::kDisk);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(cache, nullptr);
  EXPECT_THAT(said_, HasSubstr("not kept, but decoded at each use"));
  EXPECT_TRUE(files().empty());
  EXPECT_NE(open(CacheMode::kDisk), nullptr);

  std::ofstream(folder_.path() / "a file") << "x";
  CacheOptions nowhere = options(CacheMode::kDisk);
  nowhere.folder = folder_.path() / "a file" / "below";
  EXPECT_EQ(open_image_cache(contents(), nowhere), nullptr);
}

TEST_F(ImageCacheTest, OfSeveralProcessesOneWrites) {
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      CacheOptions own = options(CacheMode::kDisk);
      own.threads = 1;
      const auto cache = open_image_cache(contents(), own);
      const bool good = cache != nullptr && expect_same(*cache) == 11;
      ::_exit(!good ? 2 : said_.find("writing") != std::string::npos ? 1 : 0);
    }
    children.push_back(child);
  }
  int wrote = 0;
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_LT(WEXITSTATUS(status), 2);
    wrote += WEXITSTATUS(status);
  }
  EXPECT_EQ(wrote, 1);
}

TEST_F(ImageCacheTest, EstimatesTheDecodedSize) {
  // (20 + ... + 31) * 31 * 3, without number 5.
  int64_t exact = 0;
  for (int i = 0; i < kImages; ++i) exact += i == 5 ? 0 : (20 + i) * 31 * 3;
  EXPECT_EQ(estimate_decoded_bytes(contents()), exact);
  EXPECT_EQ(bytes_text(1.25e9), "1.25 GB");
  EXPECT_EQ(bytes_text(310e6), "310 MB");
}

}  // namespace
}  // namespace asmlp::image_cache_test
