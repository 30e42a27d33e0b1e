#include "asmlp/dataset/shards/shards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/shards/shard_writer.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/encode.h"
#include "tests/support/files.h"
#include "tests/support/support.h"
#include "tests/support/tar.h"

namespace asmlp::shards_test {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::tar_of;
using test::write_bytes;
using testing::ElementsAre;
using testing::HasSubstr;

std::string png(int value) {
  Image image(2, 2, 3);
  image.pixels[0] = static_cast<uint8_t>(value);
  const auto bytes = encode_png(image);
  return {bytes.begin(), bytes.end()};
}

TEST(ExpandRanges, CountsAsWideAsTheFirstNumber) {
  EXPECT_THAT(expand_ranges("a-{08..11}.tar"),
              ElementsAre("a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"));
  EXPECT_THAT(expand_ranges("{0..1}/{9..10}"), ElementsAre("0/9", "0/10", "1/9", "1/10"));
  EXPECT_THAT(expand_ranges("plain.tar"), ElementsAre("plain.tar"));
  for (const char* bad : {"{}", "{3}", "{3..1}", "{a..b}", "{1..2", "{0..99999999}",
                          "{0..9999}{0..9999}", "{-1..2}"}) {
    EXPECT_EQ(error_of([&] { expand_ranges(bad); }).code(), ErrorCode::kInvalidArgument) << bad;
  }
}

// An image folder with good files of every kind.
void make_folder(const fs::path& root, int images) {
  const std::string jpeg = read_file(test::data("images/jpeg_420.jpg"));
  const std::string webp = read_file(test::data("images/webp_lossy.webp"));
  for (int i = 0; i < images; ++i) {
    const fs::path folder = root / (i % 3 == 0 ? "dog" : "cat") / (i % 5 == 0 ? "deep" : "");
    // The same stem twice, dots, and characters that a tar member's name should not have.
    write_bytes(folder / fmt::format("{}.x y\xc3\xa9.png", i), png(i));
    if (i % 4 == 0) write_bytes(folder / fmt::format("{}.JPEG", i), jpeg);
    if (i % 4 == 1) write_bytes(folder / fmt::format("{}.webp", i), webp);
  }
}

// (bytes, class) of everything.
using Bag = std::multiset<std::pair<std::string, int>>;

Bag bag_of(const ImageFiles& list) {
  Bag bag;
  for (const ImageFile& file : list.files) bag.emplace(read_file(file.path), file.target);
  return bag;
}

Bag bag_of(const ShardSet& set) {
  Bag bag;
  for (const Shard& shard : set.shards) {
    ShardReader reader(shard.path, shard.samples, static_cast<int>(set.classes.size()));
    while (auto sample = reader.next()) bag.emplace(std::move(sample->bytes), sample->target);
    EXPECT_TRUE(reader.take_unreadable().empty());
    EXPECT_EQ(shard.bytes, int64_t(fs::file_size(shard.path)));
  }
  return bag;
}

TEST(ShardWriter, ShardsHoldTheFoldersFilesAndNothingElse) {
  const test::TemporaryFolder folder;
  make_folder(folder.path() / "images", 30);
  const ImageFiles list = list_image_folder(folder.path() / "images");
  ShardWriterOptions options;
  options.samples_per_shard = 7;
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    const auto report = write_shards(list, split, folder.path() / "shards", options);
    EXPECT_EQ(report.samples, std::ssize(list.files));
    EXPECT_EQ(report.shards, (report.samples + 6) / 7);
    EXPECT_TRUE(report.unreadable.empty());
  }
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    const ShardSet set = open_shards(folder.path() / "shards", split);
    EXPECT_TRUE(set.indexed);
    EXPECT_EQ(set.samples, std::ssize(list.files));
    EXPECT_THAT(set.classes, ElementsAre("cat", "dog"));
    EXPECT_EQ(bag_of(set), bag_of(list));
    EXPECT_THAT(set.shards[1].path.filename().string(),
                split == Split::kTrain ? "train-000001.tar" : "val-000001.tar");
  }
  // The same bytes for any number of threads; another order for another seed.
  options.threads = 3;
  write_shards(list, Split::kTrain, folder.path() / "again", options);
  options.seed = 1;
  write_shards(list, Split::kTrain, folder.path() / "other", options);
  const auto first = [&](const char* name) {
    return read_file(folder.path() / name / "train-000000.tar");
  };
  EXPECT_EQ(first("shards"), first("again"));
  EXPECT_NE(first("shards"), first("other"));
}

TEST(ShardWriter, ASizeLimitsTheShards) {
  const test::TemporaryFolder folder;
  make_folder(folder.path() / "images", 30);
  const ImageFiles list = list_image_folder(folder.path() / "images");
  ShardWriterOptions options;
  options.shard_bytes = 20000;
  const auto report = write_shards(list, Split::kTrain, folder.path() / "s", options);
  EXPECT_GT(report.shards, 2);
  const ShardSet set = open_shards(folder.path() / "s", Split::kTrain);
  EXPECT_EQ(bag_of(set), bag_of(list));
  for (const Shard& shard : set.shards) EXPECT_LE(shard.bytes, 20000 + 10240);  // tar's last block
}

TEST(ShardWriter, LeavesOutWhatCannotBeReadAndNamesIt) {
  const test::TemporaryFolder folder;
  const fs::path root = folder.path() / "images";
  make_folder(root, 6);
  const Bag good = bag_of(list_image_folder(root));
  const std::string jpeg = read_file(test::data("images/jpeg_420.jpg"));
  write_bytes(root / "cat" / "cut.jpg", jpeg.substr(0, jpeg.size() / 2));
  write_bytes(root / "cat" / "text.jpg", "not a picture");
  write_bytes(root / "dog" / "empty.png", "");  // the folder's list leaves it out
  write_bytes(root / "dog" / "zeros.jpg", std::string(3000, '\0'));
  fs::create_symlink("nowhere", root / "dog" / "gone.png");  // and that, too
  ShardWriterOptions options;
  int64_t done = 0;
  auto report = write_shards(list_image_folder(root), Split::kTrain, folder.path() / "s", options,
                             [&](int64_t count, const auto&) { done = count; });
  EXPECT_EQ(done, std::ssize(good) + 3);
  EXPECT_EQ(report.samples, std::ssize(good));
  EXPECT_EQ(bag_of(open_shards(folder.path() / "s", Split::kTrain)), good);
  std::vector<std::string> messages;
  for (const Unreadable& bad : report.unreadable) messages.push_back(bad.message);
  EXPECT_THAT(messages,
              testing::UnorderedElementsAre(HasSubstr("cat/cut.jpg"), HasSubstr("cat/text.jpg"),
                                            HasSubstr("dog/zeros.jpg")));
  // Without the check all files go in.
  options.check = false;
  report = write_shards(list_image_folder(root), Split::kTrain, folder.path() / "t", options);
  EXPECT_EQ(report.unreadable.size(), 0u);
  // Nothing good at all leaves nothing behind that looks like a data set.
  write_bytes(folder.path() / "bad" / "cat" / "text.jpg", "not a picture");
  EXPECT_EQ(error_of([&] {
              write_shards(list_image_folder(folder.path() / "bad"), Split::kTrain,
                           folder.path() / "u", {});
            }).code(),
            ErrorCode::kBadFormat);
  EXPECT_TRUE(fs::is_empty(folder.path() / "u"));
}

TEST(ShardWriter, ShrinksLargeImagesOnly) {
  const test::TemporaryFolder folder;
  const fs::path root = folder.path() / "images";
  write_bytes(root / "cat" / "large.png", [] {
    const auto bytes = encode_png(Image(40, 60, 3));
    return std::string(bytes.begin(), bytes.end());
  }());
  write_bytes(root / "cat" / "small.png", png(1));
  ShardWriterOptions options;
  options.resize = 20;
  write_shards(list_image_folder(root), Split::kTrain, folder.path() / "s", options);
  std::multiset<std::pair<int, int>> sizes;
  for (const auto& [bytes, target] : bag_of(open_shards(folder.path() / "s", Split::kTrain))) {
    const Image image = decode_image(std::as_bytes(std::span(bytes)), "sample");
    sizes.emplace(image.height, image.width);
    EXPECT_EQ(is_jpeg(bytes), image.height == 20);
  }
  EXPECT_THAT(sizes, ElementsAre(std::pair(2, 2), std::pair(20, 30)));
}

TEST(ShardWriter, RefusesAFolderThatHoldsTheSplit) {
  const test::TemporaryFolder folder;
  make_folder(folder.path() / "images", 6);
  const ImageFiles list = list_image_folder(folder.path() / "images");
  const fs::path shards = folder.path() / "shards";
  write_shards(list, Split::kTrain, shards, {});
  EXPECT_THAT(error_of([&] { write_shards(list, Split::kTrain, shards, {}); }).what(),
              HasSubstr("holds shards already (train-000000.tar)"));
  fs::remove(shards / "train-000000.tar");
  EXPECT_THAT(error_of([&] { write_shards(list, Split::kTrain, shards, {}); }).what(),
              HasSubstr("lists train shards already"));
  ImageFiles other = list;
  other.classes.push_back("cow");
  EXPECT_EQ(error_of([&] { write_shards(other, Split::kValidation, shards, {}); }).code(),
            ErrorCode::kMismatch);
}

TEST(OpenShards, CountsWithoutAnIndexAndFindsSplits) {
  const test::TemporaryFolder folder;
  make_folder(folder.path() / "images", 20);
  const ImageFiles list = list_image_folder(folder.path() / "images");
  const fs::path shards = folder.path() / "s";
  ShardWriterOptions options;
  options.samples_per_shard = 10;
  write_shards(list, Split::kTrain, shards, options);
  const Bag bag = bag_of(list);
  const auto open = [&](const std::string& path, Split split = Split::kTrain) {
    EXPECT_TRUE(names_shards(path)) << path;
    return open_shards(path, split);
  };
  const std::string pattern = shards / "train-{000000..000002}.tar";
  EXPECT_EQ(bag_of(open(pattern)), bag);
  EXPECT_TRUE(open(pattern).indexed);
  EXPECT_EQ(error_of([&] { open(shards, Split::kValidation); }).code(), ErrorCode::kNotFound);
  EXPECT_EQ(error_of([&] { open(pattern, Split::kValidation); }).code(), ErrorCode::kNotFound);

  fs::remove(shards / kShardIndexName);
  for (const std::string& path : {shards.string(), pattern}) {
    const ShardSet set = open(path);
    EXPECT_FALSE(set.indexed);
    EXPECT_EQ(set.samples, std::ssize(list.files));
    EXPECT_THAT(set.classes, ElementsAre("0", "1"));
    EXPECT_EQ(bag_of(set), bag);
  }
  EXPECT_EQ(open(shards / "train-000001.tar").samples, 10);
  fs::copy(shards / "train-000002.tar", shards / "val-0.tar");
  const std::string both = pattern + "::" + (shards / "val-0.tar").string();
  EXPECT_EQ(open(both).shards.size(), 3u);
  EXPECT_EQ(open(both, Split::kValidation).shards.size(), 1u);

  // Written anew, with names.
  const ShardIndex index = index_shards(shards, {"cat", "dog"});
  EXPECT_EQ(index.splits.at("train").size(), 3u);
  EXPECT_THAT(open(shards, Split::kValidation).classes, ElementsAre("cat", "dog"));
  EXPECT_EQ(bag_of(open(shards)), bag);
  // What the index lists and what lies there must agree; a missing one is for the reader.
  fs::copy(shards / "val-0.tar", shards / "train-000009.tar");
  EXPECT_THAT(error_of([&] { open(shards); }).what(), HasSubstr("train-000009.tar: is not listed"));
  fs::remove(shards / "train-000009.tar");
  fs::remove(shards / "train-000001.tar");
  EXPECT_EQ(open(shards).samples, std::ssize(list.files));
  // A shard that is damaged is not indexed.
  fs::resize_file(shards / "train-000000.tar", 3000);
  EXPECT_EQ(error_of([&] { index_shards(shards, {}); }).code(), ErrorCode::kBadFormat);
}

TEST(OpenShards, ADamagedIndexIsNamed) {
  const test::TemporaryFolder folder;
  write_bytes(folder.path() / "train-0.tar", tar_of({{"0.png", "a"}, {"0.cls", "0"}}));
  index_shards(folder.path(), {});
  const fs::path path = folder.path() / kShardIndexName;
  const std::string good = read_file(path);
  ASSERT_EQ(open_shards(folder.path(), Split::kTrain).samples, 1);
  for (size_t size = 0; size + 2 < good.size(); size += 3) {
    write_bytes(path, good.substr(0, size));
    const Error error = error_of([&] { open_shards(folder.path(), Split::kTrain); });
    EXPECT_EQ(error.code(), ErrorCode::kBadFormat) << size;
    EXPECT_THAT(error.what(), HasSubstr(kShardIndexName));
  }
  for (const char* name : {"../train-0.tar", "/etc/passwd", "", ".."}) {
    std::string text = good;
    text.replace(text.find("train-0.tar"), 11, name);
    write_bytes(path, text);
    EXPECT_EQ(error_of([&] { open_shards(folder.path(), Split::kTrain); }).code(),
              ErrorCode::kBadFormat)
        << name;
  }
}

TEST(OpenDataset, SaysThatShardsAreForTraining) {
  const test::TemporaryFolder folder;
  write_bytes(folder.path() / "train-0.tar", "x");
  EXPECT_THAT(error_of([&] { open_dataset(folder.path(), Split::kTrain); }).what(),
              HasSubstr("holds tar shards"));
}

}  // namespace
}  // namespace asmlp::shards_test
