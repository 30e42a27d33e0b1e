#include "asmlp/dataset/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <thread>

#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/encode.h"
#include "tests/support/files.h"
#include "tests/support/support.h"

namespace asmlp::dataset_test {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::write_bytes;
using testing::ElementsAre;
using testing::HasSubstr;

void write_gzip(const fs::path& path, const std::string& bytes) {
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

// An IDX file of unsigned bytes.
std::string idx(const std::vector<uint32_t>& sizes, const std::string& data) {
  std::string bytes{0, 0, 8, static_cast<char>(sizes.size())};
  for (const uint32_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  }
  return bytes + data;
}

// `count` images of 2 x 3 pixels, pixel p of image i = 10 i + p.
std::string idx_images(int count) {
  std::string data;
  for (int i = 0; i < count; ++i) {
    for (int p = 0; p < 6; ++p) data += static_cast<char>(10 * i + p);
  }
  return idx({static_cast<uint32_t>(count), 2, 3}, data);
}

std::string idx_labels(const std::string& labels) {
  return idx({static_cast<uint32_t>(labels.size())}, labels);
}

const std::string kLabels("\x02\x00\x09", 3);

void write_image(const fs::path& path, int value) {
  fs::create_directories(path.parent_path());
  Image image(2, 2, 3);
  image.pixels[0] = static_cast<uint8_t>(value);
  write_png(path, image);
}

TEST(Idx, ReadsPlainAndGzip) {
  const test::TemporaryFolder folder;
  write_bytes(folder.path() / "train-images-idx3-ubyte", idx_images(3));
  write_bytes(folder.path() / "train-labels-idx1-ubyte", idx_labels(kLabels));
  write_gzip(folder.path() / "t10k-images-idx3-ubyte.gz", idx_images(3));
  write_gzip(folder.path() / "t10k-labels-idx1-ubyte.gz", idx_labels(kLabels));
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    const auto dataset = open_dataset(folder.path(), split);
    ASSERT_EQ(dataset->size(), 3);
    const Sample sample = dataset->get(2);
    EXPECT_EQ(sample.target, 9);
    EXPECT_EQ(dataset->target(0), 2);
    EXPECT_EQ(sample.name, "#2");
    EXPECT_EQ(sample.image.height, 2);
    EXPECT_EQ(sample.image.width, 3);
    EXPECT_EQ(sample.image.channels, 1);
    EXPECT_THAT(sample.image.pixels, ElementsAre(20, 21, 22, 23, 24, 25));
    EXPECT_THAT(dataset->classes(), ElementsAre("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"));
    EXPECT_THROW(dataset->get(3), Error);
    EXPECT_THROW(dataset->target(-1), Error);
  }
}

TEST(Idx, NamesFashionClassesByThePath) {
  const test::TemporaryFolder folder;
  const fs::path root = folder.path() / "FashionMNIST" / "raw";
  write_bytes(root / "t10k-images-idx3-ubyte", idx_images(3));
  write_bytes(root / "t10k-labels-idx1-ubyte", idx_labels(kLabels));
  EXPECT_EQ(open_idx(root, Split::kValidation)->classes().at(9), "Ankle boot");
  write_bytes(root / "t10k-labels-idx1-ubyte", idx_labels("\x01\x02\x0b"));
  EXPECT_EQ(open_idx(root, Split::kValidation)->classes().size(), 12u);
}

TEST(Idx, RefusesDamagedFilesAndNamesThem) {
  const test::TemporaryFolder folder;
  const fs::path images = folder.path() / "train-images-idx3-ubyte";
  const fs::path labels = folder.path() / "train-labels-idx1-ubyte";
  const auto error_with = [&](const std::string& image_bytes, const std::string& label_bytes) {
    write_bytes(images, image_bytes);
    write_bytes(labels, label_bytes);
    return error_of([&] { open_idx(folder.path(), Split::kTrain); });
  };
  const std::string good = idx_images(3);
  write_bytes(images, good);
  write_bytes(labels, idx_labels(kLabels));
  ASSERT_NO_THROW(open_idx(folder.path(), Split::kTrain));
  EXPECT_EQ(error_with(good, idx_labels("\x01\x02")).code(), ErrorCode::kMismatch);
  EXPECT_EQ(error_with(good + "x", idx_labels(kLabels)).code(), ErrorCode::kBadFormat);
  EXPECT_EQ(error_with(good, good).code(), ErrorCode::kBadFormat);
  EXPECT_EQ(error_with(idx({0, 2, 3}, ""), idx_labels(kLabels)).code(), ErrorCode::kBadFormat);
  EXPECT_EQ(error_with(idx({1, 1u << 31, 1u << 31}, ""), idx_labels(kLabels)).code(),
            ErrorCode::kTooLarge);
  // Announces 2 GiB - 1 and holds nothing: refused without taking that memory.
  EXPECT_EQ(error_with(idx({1, 1, 0x7fffffff}, ""), idx_labels(kLabels)).code(),
            ErrorCode::kBadFormat);
  for (size_t size = 0; size < good.size(); ++size) {
    const Error error = error_with(good.substr(0, size), idx_labels(kLabels));
    EXPECT_EQ(error.code(), ErrorCode::kBadFormat) << size;
    EXPECT_THAT(error.what(), HasSubstr("train-images-idx3-ubyte"));
  }
}

TEST(Idx, RefusesDamagedGzip) {
  const test::TemporaryFolder folder;
  const fs::path images = folder.path() / "train-images-idx3-ubyte.gz";
  write_bytes(folder.path() / "train-labels-idx1-ubyte", idx_labels(kLabels));
  write_gzip(images, idx_images(3));
  const std::string good = [&] {
    std::ifstream stream(images, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  }();
  for (size_t size = 0; size < good.size(); ++size) {
    write_bytes(images, good.substr(0, size));
    const Error error = error_of([&] { open_idx(folder.path(), Split::kTrain); });
    EXPECT_EQ(error.code(), ErrorCode::kBadFormat) << "cut to " << size;
    EXPECT_THAT(error.what(), HasSubstr("train-images-idx3-ubyte.gz"));
  }
  std::string wrong_checksum = good;
  wrong_checksum[good.size() - 8] ^= 1;
  write_bytes(images, wrong_checksum);
  EXPECT_EQ(error_of([&] { open_idx(folder.path(), Split::kTrain); }).code(),
            ErrorCode::kBadFormat);
  fs::remove(images);
  const Error missing = error_of([&] { open_idx(folder.path(), Split::kTrain); });
  EXPECT_EQ(missing.code(), ErrorCode::kNotFound);
  EXPECT_THAT(missing.what(), HasSubstr("train-images-idx3-ubyte"));
}

// Debian's package dataset-fashion-mnist, where it is installed.
TEST(Idx, ReadsFashionMnist) {
  const fs::path root = "/usr/share/datasets/fashion-mnist";
  if (!fs::exists(root)) GTEST_SKIP() << root << " is not installed";
  const auto dataset = open_dataset(root, Split::kValidation);
  EXPECT_EQ(dataset->size(), 10000);
  EXPECT_EQ(dataset->get(9999).image.height, 28);
  EXPECT_EQ(dataset->classes()[0], "T-shirt/top");
  std::vector<int> counts(10);
  for (int64_t i = 0; i < dataset->size(); ++i) ++counts[dataset->target(i)];
  EXPECT_EQ(counts, std::vector<int>(10, 1000));
}

TEST(ImageFolder, OrdersAsTorchvisionDoes) {
  const test::TemporaryFolder folder;
  const fs::path& root = folder.path();
  write_image(root / "cat" / "z.PNG", 1);
  write_image(root / "cat" / "a" / "y.png", 2);
  write_image(root / "cat" / "a-b" / "x.png", 3);
  write_image(root / "Dog" / "10.png", 4);
  write_image(root / "Dog" / "9.png", 5);
  write_image(root / ".hidden" / "h.png", 6);
  fs::create_directories(root / "empty");
  write_bytes(root / "cat" / "notes.txt", "no image");
  write_bytes(root / "stray.txt", "no class");
  fs::create_directory_symlink(root / "cat", root / "cat" / "a" / "loop");
  const auto dataset = open_image_folder(root);
  EXPECT_THAT(dataset->classes(), ElementsAre("Dog", "cat", "empty"));
  std::vector<std::string> names;
  std::vector<int> values, targets;
  for (int64_t i = 0; i < dataset->size(); ++i) {
    const Sample sample = dataset->get(i);
    names.push_back(sample.name);
    values.push_back(sample.image.pixels[0]);
    targets.push_back(sample.target);
    EXPECT_EQ(dataset->target(i), sample.target);
  }
  // Upper case first; a folder's own files first; "cat/a" before "cat/a-b".
  EXPECT_THAT(names,
              ElementsAre("Dog/10.png", "Dog/9.png", "cat/z.PNG", "cat/a/y.png", "cat/a-b/x.png"));
  EXPECT_THAT(values, ElementsAre(4, 5, 1, 2, 3));
  EXPECT_THAT(targets, ElementsAre(0, 0, 1, 1, 1));
}

TEST(ImageFolder, TakesTheExtensionsOfTorchvisionAndCountsTheRest) {
  const test::TemporaryFolder folder;
  const fs::path cat = folder.path() / "cat";
  fs::create_directories(cat);
  for (const char* name : {"bmp_24.bmp", "pnm_p6.ppm", "pnm_p5.pgm", "tiff_rgb_lzw.tif"}) {
    fs::copy_file(test::data(std::string("pictures/") + name), cat / name);
  }
  write_image(cat / "a.png", 1);
  write_image(cat / ".b.png", 1);
  write_image(folder.path() / "stray.png", 1);
  write_bytes(cat / "c.heic", "x");
  write_bytes(cat / "empty.jpg", "");
  const auto dataset = open_image_folder(folder.path());
  EXPECT_EQ(dataset->size(), 5);
  for (int64_t i = 0; i < dataset->size(); ++i) EXPECT_NO_THROW(dataset->get(i)) << i;
  EXPECT_THAT(
      dataset->left_out(),
      testing::EndsWith(": 1 .heic, 1 empty, 1 hidden, 1 images outside of the class folders"));
}

TEST(ImageFolder, DecodesAsItIsTold) {
  const test::TemporaryFolder folder;
  fs::create_directories(folder.path() / "cat");
  fs::copy_file(test::data("pictures/turned_6.png"), folder.path() / "cat" / "a.png");
  const auto dataset = open_image_folder(folder.path());
  EXPECT_EQ(dataset->get(0).image.height, 11);
  dataset->set_decoding({.exif = Exif::kIgnore});
  EXPECT_EQ(dataset->get(0).image.height, 13);
  dataset->set_decoding({.max_pixels = 10});
  EXPECT_EQ(error_of([&] { dataset->get(0); }).code(), ErrorCode::kTooLarge);
}

TEST(ImageFolder, NamesABrokenImage) {
  const test::TemporaryFolder folder;
  write_bytes(folder.path() / "cat" / "broken.jpg", "\xff\xd8\xff\xe0");
  const auto dataset = open_image_folder(folder.path());
  const Error error = error_of([&] { dataset->get(0); });
  EXPECT_EQ(error.code(), ErrorCode::kBadFormat);
  EXPECT_THAT(error.what(), HasSubstr("broken.jpg"));
}

TEST(ImageFolder, AnswersSeveralThreads) {
  const test::TemporaryFolder folder;
  for (int i = 0; i < 20; ++i) write_image(folder.path() / "c" / fmt::format("{:02}.png", i), i);
  const auto dataset = open_image_folder(folder.path());
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) wrong[t] += dataset->get(i).image.pixels[0] != i;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

TEST(OpenDataset, FindsTheSplit) {
  const test::TemporaryFolder folder;
  const fs::path& root = folder.path();
  write_image(root / "train" / "cat" / "1.png", 1);
  write_image(root / "validation" / "dog" / "2.png", 2);
  EXPECT_EQ(open_dataset(root, Split::kTrain)->get(0).name, "cat/1.png");
  EXPECT_EQ(open_dataset(root, Split::kValidation)->get(0).name, "dog/2.png");
  write_image(root / "val" / "cow" / "3.png", 3);
  EXPECT_EQ(open_dataset(root, Split::kValidation)->get(0).name, "cow/3.png");
  // A folder of classes is a data set by itself, for either split.
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    EXPECT_EQ(open_dataset(root / "train", split)->size(), 1);
  }
}

TEST(OpenDataset, ASplitFolderIsNoClassAndAClassOfTrainsIsNoSplit) {
  const test::TemporaryFolder folder;
  write_image(folder.path() / "a" / "train" / "cat" / "1.png", 1);
  const Error error = error_of([&] { open_dataset(folder.path() / "a", Split::kValidation); });
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.what(), HasSubstr("has train/ but no val/"));
  write_image(folder.path() / "b" / "train" / "1.png", 1);
  write_image(folder.path() / "b" / "ship" / "2.png", 2);
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    EXPECT_THAT(open_dataset(folder.path() / "b", split)->classes(), ElementsAre("ship", "train"));
  }
}

TEST(OpenDataset, SaysWhatItExpected) {
  const test::TemporaryFolder folder;
  write_bytes(folder.path() / "file", "x");
  fs::create_directories(folder.path() / "empty");
  fs::create_directories(folder.path() / "classes" / "cat");
  for (const char* name : {"missing", "file", "empty", "classes"}) {
    const Error error = error_of([&] { open_dataset(folder.path() / name, Split::kTrain); });
    EXPECT_EQ(error.code(), ErrorCode::kNotFound) << name;
    EXPECT_THAT(error.what(), HasSubstr(name));
    EXPECT_THAT(error.what(), HasSubstr("expected")) << name;
  }
}

}  // namespace
}  // namespace asmlp::dataset_test
