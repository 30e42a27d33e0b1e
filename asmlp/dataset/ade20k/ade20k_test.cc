#include "asmlp/dataset/ade20k/ade20k.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/image/class_color.h"
#include "asmlp/image/encode.h"
#include "tests/support/files.h"
#include "tests/support/support.h"

namespace asmlp::ade20k_test {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::write_bytes;
using testing::ElementsAre;
using testing::HasSubstr;

// A data set of ADE20K's layout in a folder of its own.
class Ade20kTest : public testing::Test {
 protected:
  fs::path root() const { return folder_.path(); }
  fs::path image_path(const std::string& file) const { return root() / "images/training" / file; }
  fs::path label_path(const std::string& name) const {
    return root() / "annotations/training" / (name + ".png");
  }

  // A gray picture of one row with these labels.
  void add(const std::string& name, const std::vector<uint8_t>& labels,
           std::span<const Color> palette = {}) {
    fs::create_directories(image_path(name).parent_path());
    fs::create_directories(label_path(name).parent_path());
    const int width = static_cast<int>(labels.size());
    write_bytes(image_path(name + ".jpg"), encode_jpeg(Image(1, width, 1), 90));
    Image map(1, width, 1);
    map.pixels = labels;
    write_label_png(label_path(name), map, palette);
  }

  Error open_error() const {
    return error_of([&] { Ade20k(root(), Split::kTrain); });
  }
  Error get_error() const {
    return error_of([&] { Ade20k(root(), Split::kTrain).get(0); });
  }

 private:
  test::TemporaryFolder folder_;
};

TEST_F(Ade20kTest, ReadsPairsInOrderAndReducesTheLabels) {
  add("b", {0, 1, 2, 150, 255});
  add("a.x", {150, 149});
  add("a", {5}, std::vector<Color>(151, Color{9, 9, 9}));  // a palette image
  write_bytes(root() / "images/training/.hidden.jpg", "x");
  write_bytes(root() / "images/training/notes.txt", "x");
  write_bytes(label_path("of no image"), "x");
  // ADE20K's own list is passed over, whatever is in it.
  write_bytes(root() / "objectInfo150.txt", "x");
  const Ade20k data(root(), Split::kTrain);
  ASSERT_EQ(data.size(), 3);
  EXPECT_EQ(data.classes().size(), 150u);
  const LabeledImage a = data.get(0), ax = data.get(1), b = data.get(2);
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(ax.name, "a.x");
  EXPECT_EQ(b.name, "b");
  EXPECT_THAT(a.labels.pixels, ElementsAre(4));
  EXPECT_THAT(ax.labels.pixels, ElementsAre(149, 148));
  EXPECT_THAT(b.labels.pixels, ElementsAre(255, 0, 1, 149, 255));
  EXPECT_EQ(b.image.channels, 3);
  EXPECT_EQ(b.image.width, 5);
  EXPECT_EQ(data.files(2).labels, label_path("b"));
  EXPECT_THROW(data.get(3), Error);
  EXPECT_THROW(data.get(-1), Error);
  EXPECT_EQ(error_of([&] { Ade20k(root(), Split::kValidation); }).code(), ErrorCode::kNotFound);
}

TEST_F(Ade20kTest, SaysWhatIsMissing) {
  EXPECT_EQ(error_of([&] { Ade20k(root() / "none", Split::kTrain); }).code(), ErrorCode::kNotFound);
  EXPECT_THAT(open_error().what(), HasSubstr("annotations/training"));
  fs::create_directories(root() / "annotations/training");
  EXPECT_EQ(open_error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(open_error().what(), HasSubstr("laid out as ADE20K"));
  fs::create_directories(root() / "images/training");
  EXPECT_EQ(open_error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(open_error().what(), HasSubstr("images/training: holds no"));
  add("a", {1});
  fs::copy_file(image_path("a.jpg"), image_path("b.jpeg"));
  EXPECT_EQ(open_error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(open_error().what(), HasSubstr("b.jpeg: has no labels; expected them in"));
  fs::rename(image_path("b.jpeg"), image_path("a.webp"));
  add("a.b", {1});
  EXPECT_EQ(open_error().code(), ErrorCode::kBadFormat);
  EXPECT_THAT(open_error().what(), HasSubstr("two images for one label file"));
}

TEST_F(Ade20kTest, NamesTheFileThatCannotBeUsed) {
  add("a", {0, 151});
  EXPECT_EQ(get_error().code(), ErrorCode::kBadFormat);
  EXPECT_THAT(get_error().what(), HasSubstr("a.png: label 151 at row 0, column 1"));
  write_label_png(label_path("a"), Image(2, 1, 1));
  EXPECT_EQ(get_error().code(), ErrorCode::kMismatch);
  EXPECT_THAT(get_error().what(), HasSubstr("a.png: 1 x 2 labels for 2 x 1 pixels"));
  const auto replace = [&](const std::string& fixture) {
    fs::copy_file(test::data("images/" + fixture), label_path("a"),
                  fs::copy_options::overwrite_existing);
    return get_error();
  };
  EXPECT_EQ(replace("png_grey16_plain.png").code(), ErrorCode::kUnsupported);
  EXPECT_THAT(get_error().what(), HasSubstr("a.png: is a PNG of 16-bit gray"));
  EXPECT_THAT(replace("png_rgb8_plain.png").what(), HasSubstr("a.png: is a PNG of 8-bit RGB"));
  write_bytes(label_path("a"), "");
  EXPECT_THAT(get_error().what(), HasSubstr("a.png: is no PNG file"));
  write_bytes(image_path("a.jpg"), "no picture");
  EXPECT_THAT(get_error().what(), HasSubstr("a.jpg"));
}

TEST_F(Ade20kTest, ReadsAListOfOtherClasses) {
  add("a", {0, 1, 2, 255});
  const fs::path list = root() / "objectInfo2.txt";
  write_bytes(list, "Name\tIdx\r\ncoat, overcoat\t1\r\nankle boot\t2\r\n\r\n");
  const Ade20k data(root(), Split::kTrain);
  ASSERT_EQ(data.classes().size(), 2u);
  EXPECT_EQ(data.classes()[0].name, "coat");
  EXPECT_EQ(data.classes()[1].name, "ankle boot");
  EXPECT_EQ(data.classes()[1].color, class_color(1));
  EXPECT_THAT(data.get(0).labels.pixels, ElementsAre(255, 0, 1, 255));
  add("a", {3});
  EXPECT_THAT(get_error().what(), HasSubstr("labels are 1..2"));
  for (const char* bad :
       {"", "\n", "Idx\n1\n2\n", "Name\na\nb\n", "Idx Name\n1 a\n2 b\n", "Idx\tName\n1\ta\n",
        "Idx\tName\n1\ta\n2\tb\n3\tc\n", "Idx\tName\n1\ta\n3\tb\n", "Idx\tName\n1\ta\n2x\tb\n",
        "Idx\tName\n1\ta\n2\n", "Idx\tName\n1\ta\n2\tb\tc\n", "Idx\tName\n1\ta\n2\t\n",
        "Idx\tName\n1\ta\n2\t, b\n", "Idx\tName\n\n2\tb\n"}) {
    write_bytes(list, bad);
    EXPECT_EQ(open_error().code(), ErrorCode::kBadFormat) << bad;
    EXPECT_THAT(open_error().what(), HasSubstr("objectInfo2.txt")) << bad;
  }
  write_bytes(list, "Idx\tName\n1\ta\n2\tb\n");
  write_bytes(root() / "objectInfo.txt", "x");  // these are no lists
  write_bytes(root() / "objectInfo2b.txt", "x");
  EXPECT_EQ(Ade20k(root(), Split::kTrain).classes()[1].name, "b");
  write_bytes(root() / "objectInfo3.txt", "x");
  EXPECT_THAT(open_error().what(), HasSubstr("two lists of classes"));
  fs::remove(list);
  for (const char* name : {"objectInfo0.txt", "objectInfo-1.txt", "objectInfo255.txt"}) {
    fs::rename(root() / "objectInfo3.txt", root() / name);
    write_bytes(root() / name, "Idx\tName\n");
    EXPECT_EQ(open_error().code(), ErrorCode::kBadFormat) << name;
    fs::rename(root() / name, root() / "objectInfo3.txt");
  }
}

TEST(Ade20kClasses, AreTheOnesOfMmsegmentation) {
  const std::vector<SegmentationClass>& classes = ade20k_classes();
  ASSERT_EQ(classes.size(), 150u);
  std::set<std::string> names;
  int sum = 0;
  for (const SegmentationClass& one : classes) {
    EXPECT_TRUE(names.insert(one.name).second) << one.name;
    EXPECT_FALSE(one.name.empty() || one.name.front() == ' ' || one.name.back() == ' ');
    sum += one.color.r + one.color.g + one.color.b;
  }
  EXPECT_EQ(sum, 58427);  // of mmsegmentation's palette
  const auto is = [&](int label, const char* name, const Color& color) {
    EXPECT_EQ(classes[label].name, name);
    EXPECT_EQ(classes[label].color, color);
  };
  is(0, "wall", {120, 120, 120});
  is(12, "person", {150, 5, 61});
  is(80, "bus", {255, 0, 245});
  is(149, "flag", {92, 0, 255});
}

TEST(ReduceLabels, EveryLabelOfEveryNumberOfClasses) {
  for (int classes = 1; classes <= 254; ++classes) {
    for (int label = 0; label < 256; ++label) {
      Image one(1, 1, 1);
      one.pixels[0] = static_cast<uint8_t>(label);
      const auto reduce = [&] { reduce_labels(one, classes, "x.png"); };
      if (label <= classes || label == 255) {
        ASSERT_NO_THROW(reduce()) << label;
        ASSERT_EQ(one.pixels[0], label == 0 || label == 255 ? 255 : label - 1);
      } else {
        ASSERT_EQ(error_of(reduce).code(), ErrorCode::kBadFormat) << label;
      }
    }
  }
  Image one(1, 1, 1);
  EXPECT_THROW(reduce_labels(one, 0, "x"), Error);
  EXPECT_THROW(reduce_labels(one, 255, "x"), Error);
}

}  // namespace
}  // namespace asmlp::ade20k_test
