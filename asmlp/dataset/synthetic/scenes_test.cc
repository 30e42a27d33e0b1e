#include "asmlp/dataset/synthetic/scenes.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/ade20k/ade20k.h"
#include "asmlp/dataset/synthetic/scenes_coco.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/resize.h"
#include "tests/support/idx_files.h"
#include "tests/support/support.h"

namespace asmlp::scenes_test {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::json;

// Every file below `root` with its bytes.
std::map<std::string, std::string> tree(const fs::path& root) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_regular_file()) {
      files[entry.path().lexically_relative(root).string()] = read_file(entry.path());
    }
  }
  return files;
}

size_t entries_in(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), {}));
}

ScenesOptions small_options(uint64_t seed = 3) {
  ScenesOptions options;
  options.scene = {.height = 48, .width = 72, .min_items = 1, .max_items = 5};
  options.train = 70;  // more than a block
  options.val = 9;
  options.seed = seed;
  return options;
}

TEST(RunLengths, GoDownTheColumnsAndGiveTheMaskBack) {
  Image map(2, 3, 1);
  map.pixels = {7, 7, 0,   //
                0, 7, 7};  // down the columns: 7 0 7 7 0 7
  EXPECT_THAT(run_lengths(map, 7), ElementsAre(0, 1, 1, 2, 1, 1));
  EXPECT_THAT(run_lengths(map, 0), ElementsAre(1, 1, 2, 1, 1));
  EXPECT_THAT(run_lengths(map, 9), ElementsAre(6));
  std::mt19937 random(1);
  for (int trial = 0; trial < 200; ++trial) {
    Image labels(1 + static_cast<int>(random() % 9), 1 + static_cast<int>(random() % 9), 1);
    for (uint8_t& label : labels.pixels) label = static_cast<uint8_t>(random() % 3);
    std::vector<bool> mask;
    bool in_mask = false;
    for (const int64_t count : run_lengths(labels, 1)) {
      mask.insert(mask.end(), static_cast<size_t>(count), in_mask);
      in_mask = !in_mask;
    }
    ASSERT_EQ(mask.size(), labels.pixels.size());
    for (int y = 0; y < labels.height; ++y) {
      for (int x = 0; x < labels.width; ++x) {
        EXPECT_EQ(mask[static_cast<size_t>(x) * labels.height + y], labels.row(y)[x] == 1);
      }
    }
  }
}

TEST(Scenes, TheSameBytesForAnyNumberOfThreads) {
  const test::TemporaryFolder folder;
  test::write_discs(folder.path() / "items");
  std::map<std::string, std::string> first;
  for (const int threads : {1, 2, 5}) {
    ScenesOptions options = small_options();
    options.threads = threads;
    const fs::path output = folder.path() / std::to_string(threads);
    int64_t done = 0;
    write_scenes(folder.path() / "items", output, options, [&](int64_t now) {
      EXPECT_GT(now, done);
      done = now;
    });
    EXPECT_EQ(done, 79);
    const auto files = tree(output);
    EXPECT_EQ(files.size(), 3 * 79u + 3u);
    if (first.empty()) first = files;
    EXPECT_TRUE(files == first) << threads << " threads";
  }
  write_scenes(folder.path() / "items", folder.path() / "other", small_options(4));
  const auto other = tree(folder.path() / "other");
  EXPECT_NE(other.at("train2017/000000000001.jpg"), first.at("train2017/000000000001.jpg"));
  EXPECT_EQ(entries_in(folder.path()), 5u);  // no temporary folder is left
}

// The two formats say the same, of the same pictures; Ade20k reads what is written.
TEST(Scenes, CocoAndAde20kAgree) {
  const test::TemporaryFolder folder;
  test::write_discs(folder.path() / "items");
  const fs::path root = folder.path() / "scenes";
  const ScenesReport report = write_scenes(folder.path() / "items", root, small_options());
  EXPECT_EQ(report.classes.size(), 10u);
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    const bool training = split == Split::kTrain;
    const std::string coco = training ? "train2017" : "val2017";
    const ScenesReport::OfSplit& said = report.splits[training ? 0 : 1];
    const Ade20k ade(root, split);
    ASSERT_EQ(ade.size(), training ? 70 : 9);
    ASSERT_EQ(said.images, ade.size());
    ASSERT_EQ(ade.classes().size(), 11u);
    EXPECT_EQ(ade.classes()[0].name, "background");
    EXPECT_EQ(ade.classes()[8].name, "7");
    const Json json =
        Json::parse(read_file(root / "annotations" / ("instances_" + coco + ".json")));
    ASSERT_EQ(json["images"].size(), static_cast<size_t>(ade.size()));
    EXPECT_EQ(json["annotations"].size(), static_cast<size_t>(said.objects));
    EXPECT_EQ(json["categories"].size(), 10u);
    EXPECT_EQ(json["categories"][9]["id"], 10);
    EXPECT_EQ(json["categories"][9]["name"], "9");
    std::vector<std::vector<uint8_t>> painted(json["images"].size(),
                                              std::vector<uint8_t>(48 * 72, 0));
    std::set<int64_t> categories, ids;
    for (const Json& annotation : json["annotations"]) {
      EXPECT_TRUE(ids.insert(annotation["id"].get<int64_t>()).second);
      EXPECT_EQ(annotation["iscrowd"], 0);
      categories.insert(annotation["category_id"].get<int64_t>());
      const Json& mask = annotation["segmentation"];
      EXPECT_EQ(mask["size"], (Json{48, 72}));
      int64_t at = 0, area = 0, left = 72, top = 48, right = -1, bottom = -1;
      bool in_mask = false;
      for (const int64_t count : mask["counts"]) {
        for (int64_t end = at + count; at < end; ++at) {
          if (!in_mask) continue;
          const int64_t y = at % 48, x = at / 48;
          uint8_t& label =
              painted[annotation["image_id"].get<size_t>() - 1][static_cast<size_t>(y * 72 + x)];
          EXPECT_EQ(label, 0) << "a pixel of two objects";
          label = annotation["category_id"].get<uint8_t>();
          left = std::min(left, x), top = std::min(top, y);
          right = std::max(right, x), bottom = std::max(bottom, y);
          ++area;
        }
        in_mask = !in_mask;
      }
      EXPECT_EQ(at, 48 * 72);
      EXPECT_EQ(annotation["area"], area);
      EXPECT_EQ(annotation["bbox"], (Json{left, top, right - left + 1, bottom - top + 1}));
    }
    for (int64_t i = 0; i < ade.size(); ++i) {
      const Json& image = json["images"][static_cast<size_t>(i)];
      EXPECT_EQ(image["id"], i + 1);
      EXPECT_EQ(image["height"], 48);
      EXPECT_EQ(image["width"], 72);
      EXPECT_EQ(read_file(root / coco / image["file_name"].get<std::string>()),
                read_file(ade.files(i).image));
      EXPECT_EQ(ade.get(i).labels.pixels, painted[static_cast<size_t>(i)]) << "image " << i;
    }
    // Of the items that are in this split only.
    EXPECT_GE(*categories.begin(), training ? 1 : 6);
    EXPECT_LE(*categories.rbegin(), training ? 5 : 10);
  }
}

// Every annotation has its crop: the square around its box of the very scene, in an ImageFolder.
TEST(Scenes, CropsShowEachObjectInTheFolderOfItsClass) {
  const test::TemporaryFolder folder;
  const fs::path items = folder.path() / "fashion", root = folder.path() / "s";
  test::write_discs(items);
  ScenesOptions options = small_options();
  options.crops = 24;
  const ScenesReport report = write_scenes(items, root, options);
  const auto with_crops = tree(root);
  options.crops = 0;
  write_scenes(items, folder.path() / "plain", options);
  for (const auto& [name, bytes] : tree(folder.path() / "plain")) {
    EXPECT_TRUE(with_crops.at(name) == bytes) << name << " differs with crops";
  }
  for (const auto& [split, coco] : {std::pair{"train", "train2017"}, {"val", "val2017"}}) {
    EXPECT_EQ(entries_in(root / "crops" / split), 10u);
    const Json json =
        Json::parse(read_file(root / "annotations" / ("instances_" + std::string(coco) + ".json")));
    std::map<int64_t, int> in_image;
    for (const Json& annotation : json["annotations"]) {
      const auto id = annotation["image_id"].get<int64_t>();
      std::string name = json["categories"][annotation["category_id"].get<size_t>() - 1]["name"];
      if (name == "T-shirt/top") name = "T-shirt-top";
      const fs::path path =
          root / "crops" / split / name / fmt::format("{:012}_{}.png", id, ++in_image[id]);
      ASSERT_TRUE(fs::exists(path)) << path;
      const Image crop = decode_image(path);
      ASSERT_EQ(crop.height, 24);
      ASSERT_EQ(crop.width, 24);
      // The JPEG of the scene is the crop's source but for its losses: mean colors are alike.
      const Image scene =
          decode_image(root / coco /
                       json["images"][static_cast<size_t>(id) - 1]["file_name"].get<std::string>());
      const auto& box = annotation["bbox"];
      const int x = box[0], y = box[1], w = box[2], h = box[3];
      const int side = std::min({static_cast<int>(1.2 * std::max(w, h) + 0.5), 48, 72});
      const int top = std::clamp(y + (h - side) / 2, 0, 48 - side);
      const int left = std::clamp(x + (w - side) / 2, 0, 72 - side);
      EXPECT_LE(top, std::max(y, 0));
      EXPECT_GE(top + side, std::min(y + h, 48));
      const Image expected =
          resize(asmlp::crop(scene, {top, left, side, side}), 24, 24, Interpolation::kBilinear);
      double difference = 0;
      for (size_t i = 0; i < crop.pixels.size(); ++i) {
        difference += std::abs(crop.pixels[i] - expected.pixels[i]);
      }
      EXPECT_LT(difference / static_cast<double>(crop.pixels.size()), 12) << path;
    }
  }
  for (const int side : {7, 513, -1}) {
    options.crops = side;
    EXPECT_EQ(error_of([&] { write_scenes(items, folder.path() / "bad", options); }).code(),
              ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(report.splits[0].objects + report.splits[1].objects,
            std::ranges::count_if(with_crops,
                                  [](const auto& f) { return f.first.starts_with("crops/"); }));
}

TEST(Scenes, TrainingImagesMayBeFullerThanTheSameValidationImages) {
  const test::TemporaryFolder folder;
  const fs::path items = folder.path() / "items";
  test::write_discs(items);
  ScenesOptions options = small_options();
  const ScenesReport report = write_scenes(items, folder.path() / "s", options);
  options.train_items = std::pair{6, 9};
  const ScenesReport full = write_scenes(items, folder.path() / "full", options);
  EXPECT_GE(full.splits[0].objects + full.splits[0].hidden, 70 * 6);
  EXPECT_GT(full.splits[0].objects, report.splits[0].objects);
  EXPECT_TRUE(tree(folder.path() / "s" / "val2017") == tree(folder.path() / "full" / "val2017"));
  for (const auto& wrong : {std::pair{0, 3}, {0, 0}}) {
    options.train_items = wrong;
    EXPECT_EQ(error_of([&] { write_scenes(items, folder.path() / "bad", options); }).code(),
              ErrorCode::kInvalidArgument);
  }
}

TEST(Scenes, ListsTheClassesAsAde20kDoes) {
  const test::TemporaryFolder folder;
  const fs::path items = folder.path() / "fashion";
  test::write_discs(items);
  write_scenes(items, folder.path() / "s", small_options());
  const std::string list = read_file(folder.path() / "s" / "objectInfo11.txt");
  EXPECT_THAT(list, HasSubstr("Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0."));
  EXPECT_THAT(list, HasSubstr("\t70\t9\t1\tbackground\n2\t"));
  EXPECT_THAT(list, HasSubstr("T-shirt/top\n3\t"));
  // The last class is in validation images only.
  EXPECT_THAT(list, testing::ContainsRegex("\n11\t0.[0-9]+\t0\t[1-9]\t0\tAnkle boot\n$"));
}

TEST(Scenes, AFailureLeavesNothingBehind) {
  const test::TemporaryFolder folder;
  const fs::path items = folder.path() / "items", output = folder.path() / "out";
  EXPECT_EQ(error_of([&] { write_scenes(items, output, small_options()); }).code(),
            ErrorCode::kNotFound);
  test::write_discs(items);
  for (const auto& change : std::vector<std::function<void(ScenesOptions&)>>{
           [](ScenesOptions& o) { o.train = 0; }, [](ScenesOptions& o) { o.val = 1'000'001; },
           [](ScenesOptions& o) { o.scene.width = 16; },
           [](ScenesOptions& o) { o.threads = 257; }}) {
    ScenesOptions options = small_options();
    change(options);
    EXPECT_EQ(error_of([&] { write_scenes(items, output, options); }).code(),
              ErrorCode::kInvalidArgument);
  }
  // The test split cannot be used: found after the training images are written.
  test::write_items(
      items, "t10k", {5, 6}, [](int, int, int) { return 255; }, 257);
  const Error late = error_of([&] { write_scenes(items, output, small_options()); });
  EXPECT_EQ(late.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(late.what(), HasSubstr("257 x 257"));
  test::write_items(items, "t10k", {5, 60}, test::draw_disc);
  EXPECT_EQ(error_of([&] { write_scenes(items, output, small_options()); }).code(),
            ErrorCode::kMismatch);
  test::write_items(items, "t10k", {5, 200}, test::draw_disc);
  test::write_items(items, "train", {5, 200}, test::draw_disc);
  EXPECT_EQ(error_of([&] { write_scenes(items, output, small_options()); }).code(),
            ErrorCode::kUnsupported);
  EXPECT_EQ(entries_in(folder.path()), 1u);

  test::write_discs(items);
  fs::create_directory(output);
  for (const fs::path& taken : {output, output / "", folder.path() / "." / "out"}) {
    const Error error = error_of([&] { write_scenes(items, taken, small_options()); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("exists already"));
  }
  fs::remove(output);
  fs::create_symlink("nowhere", output);
  EXPECT_THAT(error_of([&] { write_scenes(items, output, small_options()); }).what(),
              HasSubstr("exists already"));
  fs::remove(output);
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_EQ(error_of([&] {
              write_scenes(items, folder.path() / "file" / "out", small_options());
            }).code(),
            ErrorCode::kIo);
  EXPECT_EQ(entries_in(folder.path()), 2u);
  write_scenes(items, folder.path() / "new" / "out" / "", small_options());
  EXPECT_TRUE(fs::exists(folder.path() / "new" / "out" / "objectInfo11.txt"));
}

}  // namespace
}  // namespace asmlp::scenes_test
