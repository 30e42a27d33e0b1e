#include "asmlp/dataset/coco/coco_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/coco/coco_image_index.h"
#include "asmlp/dataset/layout.h"
#include "asmlp/image/decode.h"
#include "tests/support/coco_layouts.h"
#include "tests/support/files.h"

namespace asmlp::coco_set_test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// What a set says, whatever its ids and file names: the objects by image and class.
std::multimap<std::string, std::pair<std::string, CocoBox>> objects_of(const CocoSet& set) {
  std::multimap<std::string, std::pair<std::string, CocoBox>> objects;
  for (const CocoAnnotation& a : set.annotations.annotations) {
    const fs::path file = set.annotations.images[a.image].file_name;
    objects.emplace(file.filename(), std::pair(set.annotations.categories[a.label].name, a.box));
  }
  return objects;
}

TEST(CocoSet, EveryLayoutGivesTheSameSet) {
  const CocoSet base = open_coco(find_coco(test::data("coco_base"), "validation"));
  ASSERT_EQ(base.annotations.annotations.size(), 12u);
  for (const test::CocoLayout& layout : test::coco_layouts()) {
    SCOPED_TRACE(layout.name);
    const test::TemporaryFolder folder;
    const fs::path root = folder.path() / "data";
    test::write_coco_layout(layout, root);
    EXPECT_EQ(task_of_layout(root), Task::kDetect);
    for (const fs::path& name : {root, root / ""}) {
      const CocoSet set = open_coco(find_coco(name, "validation"));
      EXPECT_THAT(set.missing, IsEmpty());
      EXPECT_EQ(set.annotations.skips.annotations(), 0);
      EXPECT_EQ(objects_of(set), objects_of(base));
      for (const CocoImage& image : set.annotations.images) {
        const Image picture = decode_image(set.images / image.file_name);
        EXPECT_EQ(picture.height, image.height);
        EXPECT_EQ(picture.width, image.width);
      }
    }
    // Named one by one.
    const CocoSet named = open_coco(named_coco(root / layout.images, root / layout.annotations));
    EXPECT_EQ(objects_of(named), objects_of(base));
  }
}

TEST(CocoSet, SplitsAreToldApart) {
  const test::TemporaryFolder folder;
  const fs::path root = folder.path();
  const auto put = [&](const std::string& file) {
    test::write_bytes(root / file, read_file(test::data("coco_base/annotations/"
                                                        "instances_val2017.json")));
  };
  const auto found = [&](const std::string& split) {
    return find_coco(root, split).annotations.lexically_relative(root).string();
  };
  const auto none = [&](const std::string& split) {
    return test::error_of(ErrorCode::kNotFound, [&] { find_coco(root, split, "a hint"); });
  };
  EXPECT_THAT(none("train"), AllOf(HasSubstr("training split"), HasSubstr("is empty"),
                                   HasSubstr("_annotations.coco.json"), HasSubstr("a hint")));
  put("train/_annotations.coco.json");
  EXPECT_EQ(found("train"), "train/_annotations.coco.json");
  EXPECT_THAT(none("validation"),
              AllOf(HasSubstr("validation split"), HasSubstr("train/_annotations.coco.json")));
  EXPECT_THAT(none("test"), HasSubstr("test split"));
  put("valid/_annotations.coco.json");
  EXPECT_EQ(found("validation"), "valid/_annotations.coco.json");
  EXPECT_EQ(found("val"), "valid/_annotations.coco.json");
  put("annotations/instances_val2014.json");
  put("annotations/instances_val2017.json");
  put("annotations/instances_minival2014.json");
  put("annotations/person_keypoints_train2017.json");
  EXPECT_EQ(found("validation"), "annotations/instances_val2017.json");
  EXPECT_EQ(found("val2014"), "annotations/instances_val2014.json");
  EXPECT_EQ(found("minival"), "annotations/instances_minival2014.json");
  EXPECT_EQ(found("train"), "train/_annotations.coco.json");
  // Without splits, all of it is either.
  fs::remove_all(root / "annotations");
  fs::remove_all(root / "train");
  fs::remove_all(root / "valid");
  put("result.json");
  test::write_bytes(root / "package.json", "{\"name\": \"images\"}");
  EXPECT_EQ(found("train"), "result.json");
  EXPECT_EQ(found("validation"), "result.json");
  EXPECT_EQ(find_coco(root, "train").split, "");
  EXPECT_THAT(none("test"), HasSubstr("result.json"));
  EXPECT_THAT(list_coco(root), SizeIs(1));
  EXPECT_THAT(list_coco(root / "result.json"), IsEmpty());
  EXPECT_THAT(test::error_of(ErrorCode::kNotFound, [&] { find_coco(root / "no", "train"); }),
              HasSubstr("no such folder"));
  test::error_of(ErrorCode::kNotFound, [&] { named_coco(root / "no", root / "result.json"); });
  test::error_of(ErrorCode::kNotFound, [&] { named_coco(root, root / "no.json"); });
}

TEST(CocoSet, MissingImagesAreNamedBeforeAnyIsRead) {
  const test::TemporaryFolder folder;
  const fs::path root = folder.path() / "data";
  test::write_coco_layout(test::coco_layouts()[0], root);
  // One of the same name elsewhere is another image.
  fs::create_directories(root / "train2017");
  fs::rename(root / "val2017/000000000002.jpg", root / "train2017/000000000002.jpg");
  const CocoSet set = open_coco(find_coco(root, "validation"));
  EXPECT_THAT(set.missing, ElementsAre("000000000002.jpg"));
  EXPECT_THAT(set.notes(), ElementsAre(AllOf(HasSubstr("1 of 3 images"), HasSubstr("val2017"),
                                             HasSubstr("000000000002.jpg"))));
  fs::remove_all(root / "val2017");
  fs::remove_all(root / "train2017");
  EXPECT_THAT(
      test::error_of(ErrorCode::kNotFound, [&] { open_coco(find_coco(root, "validation")); }),
      AllOf(HasSubstr("none of its 3 images"), HasSubstr("000000000001.jpg")));
}

TEST(CocoSet, NamesOfOtherMachinesAreFoundWhereTheyAreUnique) {
  EXPECT_EQ(local_name("a/b.jpg"), "a/b.jpg");
  EXPECT_EQ(local_name("D:\\a\\b.jpg"), "/a/b.jpg");
  EXPECT_EQ(local_name("http://h/a%20b%zz/c.jpg?x=/y#z"), "h/a b%zz/c.jpg");
  PathEnds ends;
  ends.add("x/a/1.jpg", 1);
  ends.add("x/b/1.jpg", 2);
  ends.add("y/2.jpg", 3);
  EXPECT_EQ(ends.find("/data/b/1.jpg"), 2);
  EXPECT_EQ(ends.find("2.jpg"), 3);
  EXPECT_EQ(ends.find("z/2.jpg"), 3);
  EXPECT_EQ(ends.find("1.jpg"), std::nullopt);
  EXPECT_EQ(ends.find("c/1.jpg"), std::nullopt);
  EXPECT_EQ(ends.find("12.jpg"), std::nullopt);
}

TEST(CocoSet, HeldOutImagesComeWithTheirObjects) {
  const CocoSet all = open_coco(find_coco(test::data("coco_base"), "validation"));
  const auto [rest, held] = hold_out_images(all, 0.34, 7);
  EXPECT_EQ(held.annotations.images.size(), 1u);
  EXPECT_EQ(rest.annotations.images.size(), 2u);
  auto objects = objects_of(rest);
  const auto others = objects_of(held);
  for (const auto& [image, object] : others) EXPECT_FALSE(objects.contains(image)) << image;
  objects.insert(others.begin(), others.end());
  EXPECT_EQ(objects.size(), 12u);
}

}  // namespace
}  // namespace asmlp::coco_set_test
