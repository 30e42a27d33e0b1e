#include "asmlp/dataset/ade20k/ade20k.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/ade20k/label_scan.h"
#include "asmlp/image/encode.h"
#include "asmlp/image/labels/class_color.h"
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

  // The list of this many classes, "1", "2", ...
  void list_classes(int count) const {
    std::string text;
    for (int k = 1; k <= count; ++k) text += std::to_string(k) + "\n";
    write_bytes(root() / "classes.txt", text);
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
  list_classes(150);
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
  write_label_png(label_path("a"), Image(1, 2, 1));
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

// The folder that is asked for is the one that is read, under either of its usual names.
TEST_F(Ade20kTest, ReadsTheSplitThatIsNamed) {
  list_classes(2);
  add("a", {1});
  const auto copy = [&](const std::string& split, const std::string& name) {
    for (const char* kind : {"images", "annotations"}) {
      const fs::path folder = root() / kind / split;
      fs::create_directories(folder);
      const std::string ending = std::string(kind) == "images" ? ".jpg" : ".png";
      const fs::path from = ending == ".jpg" ? image_path("a.jpg") : label_path("a");
      fs::copy_file(from, folder / (name + ending));
    }
  };
  copy("test", "t");
  EXPECT_EQ(Ade20k(root(), "").split(), "test");  // the only one that is not for training
  copy("val", "v");
  copy("fold3", "f");
  for (const auto& [wanted, split] :
       std::vector<std::pair<std::string, std::string>>{{"", "val"},
                                                        {"val", "val"},
                                                        {"validation", "val"},
                                                        {"test", "test"},
                                                        {"train", "training"},
                                                        {"training", "training"},
                                                        {"fold3", "fold3"}}) {
    const Ade20k data(root(), wanted);
    EXPECT_EQ(data.split(), split);
    EXPECT_EQ(data.files(0).image.parent_path().filename(), split);
  }
  const Error error = error_of([&] { Ade20k(root(), std::string("fold4")); });
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.what(), HasSubstr("no split 'fold4'"));
  EXPECT_THAT(error.what(), HasSubstr("there are: fold3, test, training, val"));
  EXPECT_EQ(error_of([&] { Ade20k(root(), std::string("../training")); }).code(),
            ErrorCode::kInvalidArgument);
}

TEST_F(Ade20kTest, ClassesWithoutAListAreNoneOfAde20ks) {
  add("a", {0, 1, 3, 255});
  Ade20k data(root(), Split::kTrain);
  EXPECT_FALSE(data.named());
  EXPECT_TRUE(data.classes().empty());
  EXPECT_THROW(data.get(0), Error);
  data.assume_classes(3);
  EXPECT_THAT(class_names(data), ElementsAre("1", "2", "3"));
  EXPECT_THAT(data.get(0).labels.pixels, ElementsAre(255, 0, 2, 255));
  write_bytes(root() / "classes.txt", "sky\nroad\ncar\n");
  Ade20k named(root(), Split::kTrain);
  EXPECT_TRUE(named.named());
  EXPECT_THROW(named.assume_classes(3), Error);
}

TEST_F(Ade20kTest, ScansTheLabelsOfAllMaps) {
  list_classes(3);
  for (int i = 0; i < 300; ++i) add(fmt::format("{:03}", i), {0, 1, 255});
  add("007", {2, 9, 254});
  add("290", {9});
  write_bytes(label_path("100"), "no picture");
  const Ade20k data(root(), Split::kTrain);
  for (const int threads : {1, 3}) {
    const LabelScan scan = scan_labels(data, 3, threads);
    EXPECT_EQ(scan.maps, 299);
    EXPECT_EQ(scan.unreadable, 1);
    EXPECT_EQ(scan.pixels[1], 297);
    EXPECT_EQ(scan.labeled(), 297 + 4);
    EXPECT_EQ(scan.highest(), 254);
    EXPECT_EQ(scan.wrong_maps, 2);
    const std::string message = error_of(ErrorCode::kBadFormat, [&] { check_labels(scan, data); });
    EXPECT_THAT(message, HasSubstr("007.png: label 9 at row 0, column 1; 2 of 299 label maps"));
    EXPECT_THAT(message, HasSubstr("above the 3 classes of " + data.class_file().string()));
  }
  const LabelScan some = scan_labels(data, 0, 1, 10);
  EXPECT_EQ(some.maps, 10);
  EXPECT_EQ(some.wrong_maps, 0);
}

class ClassList : public testing::Test {
 protected:
  // The names that a list of this name and text gives; "colored" at the end where it has colors.
  std::vector<std::string> read(const std::string& file, const std::string& text) const {
    for (const auto& entry : fs::directory_iterator(root())) fs::remove(entry.path());
    write_bytes(root() / file, text);
    const auto list = find_class_list(root());
    std::vector<std::string> names;
    if (!list) return {"none"};
    for (const SegmentationClass& one : list->classes) names.push_back(one.name);
    if (list->colored) names.push_back("colored");
    return names;
  }
  std::string refusal(const std::string& file, const std::string& text) const {
    return error_of(ErrorCode::kBadFormat, [&] { read(file, text); });
  }
  fs::path root() const { return folder_.path(); }

 private:
  test::TemporaryFolder folder_;
};

TEST_F(ClassList, OfNamesWithOrWithoutColors) {
  EXPECT_THAT(read("classes.txt", "sky\r\ntraffic light\r\n\r\n"),
              ElementsAre("sky", "traffic light"));
  EXPECT_THAT(read("classes.txt", "\xef\xbb\xbf# by hand\nsky 1 2 3\ntraffic light, 4,5,6\n"),
              ElementsAre("sky", "traffic light", "colored"));
  EXPECT_EQ(find_class_list(root())->classes[1].color, (Color{4, 5, 6}));
  // Numbers that are no color belong to the name; one class without color makes none colored.
  EXPECT_THAT(read("classes.txt", "route 66\nsky 1 2 3\npier 1 2 256\n"),
              ElementsAre("route 66", "sky", "pier 1 2 256"));
  // What stands for label 0 is no class.
  for (const char* none : {"background", "_background_", "Void", "__ignore__", "unlabeled"}) {
    EXPECT_THAT(read("classes.txt", none + std::string("\nsky\n")), ElementsAre("sky"));
  }
  EXPECT_THAT(read("notes.txt", "sky\n"), ElementsAre("none"));
  EXPECT_THAT(refusal("classes.txt", "sky\n\nroad\n"), HasSubstr("line 2 is empty"));
  EXPECT_THAT(refusal("classes.txt", ""), HasSubstr("0 classes"));
  EXPECT_THAT(refusal("classes.txt", "a\na\n"), HasSubstr("'a' twice"));
  std::string many;
  for (int k = 0; k < 255; ++k) many += fmt::format("c{}\n", k);
  EXPECT_THAT(refusal("classes.txt", many), HasSubstr("255 classes; 1 to 254"));
}

TEST_F(ClassList, OfCvat) {
  EXPECT_THAT(read("labelmap.txt",
                   "# label:color_rgb:parts:actions\nbackground:0,0,0::\n"
                   "car:10,128,13::\ncat:250,50,83:head,tail:\n"),
              ElementsAre("car", "cat", "colored"));
  EXPECT_EQ(find_class_list(root())->classes[0].color, (Color{10, 128, 13}));
  EXPECT_THAT(refusal("labelmap.txt", "car:1,2::\n"), HasSubstr("line 1: '1,2' is no color"));
  EXPECT_THAT(refusal("labelmap.txt", "car\n"), HasSubstr("NAME:R,G,B"));
  // Two lists may lie side by side as long as they say the same; the colors are not lost.
  write_bytes(root() / "labelmap.txt", "car:1,2,3::\n");
  write_bytes(root() / "classes.txt", "car\n");
  EXPECT_TRUE(find_class_list(root())->colored);
  write_bytes(root() / "classes.txt", "cat\n");
  EXPECT_THAT(error_of(ErrorCode::kBadFormat, [&] { find_class_list(root()); }),
              HasSubstr("two lists of classes"));
}

TEST_F(ClassList, OfAde20kOnlyWhereItIsIts) {
  std::string own = "Idx\tRatio\tName\n", other = own;
  for (int k = 1; k <= 150; ++k) {
    own +=
        fmt::format("{}\t0.1\t{}, synonym\n", k, ade20k_classes()[static_cast<size_t>(k - 1)].name);
    other += fmt::format("{}\t0.1\tkind {}\n", k, k);
  }
  EXPECT_EQ(read("objectInfo150.txt", own).size(), 151u);  // with its colors
  EXPECT_EQ(read("objectInfo150.txt", own)[17], "plant");
  EXPECT_EQ(read("objectInfo150.txt", other)[17], "kind 18");
  const fs::path folder = root() / "ADEChallengeData2016";
  fs::create_directories(folder);
  EXPECT_EQ(find_class_list(folder)->classes.size(), 150u);
  fs::remove_all(folder);
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
