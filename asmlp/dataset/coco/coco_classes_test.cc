#include "asmlp/dataset/coco/coco_classes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "asmlp/core/error.h"
#include "tests/support/support.h"

namespace asmlp::coco_classes_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Names = std::vector<std::string>;

// One image with one object of each of the categories in `used`, by label.
CocoAnnotations annotations_of(std::vector<CocoCategory> categories, const std::vector<int>& used) {
  CocoAnnotations coco;
  std::ranges::sort(categories, {}, &CocoCategory::id);
  coco.categories = std::move(categories);
  coco.images = {{1, "a.jpg", 50, 50}};
  for (const int label : used) {
    coco.annotations.push_back(
        {std::ssize(coco.annotations) + 1, 0, label, {1, 1, 2, 2}, 4, false, {}, {}});
  }
  coco.group_by_image();
  return coco;
}

std::string refusal(CocoAnnotations coco, const Names& classes, int count) {
  return test::error_of(ErrorCode::kMismatch,
                        [&] { match_categories(coco, classes, count, "f.json"); });
}

// Whatever the ids and their order, an object has the label of the class of its name, and the
// class the id of the file.
TEST(CocoClasses, IdsAndTheirOrderDoNotMatter) {
  std::mt19937 random(3);
  const Names classes{"cat", "dog", "bird", "fish", "cow"};
  for (int round = 0; round < 50; ++round) {
    std::vector<CocoCategory> categories;
    std::vector<int64_t> ids{0, 1, 2, 3, 4, 17, 90, -3};
    std::ranges::shuffle(ids, random);
    for (size_t k = 0; k < classes.size(); ++k) categories.push_back({ids[k], classes[k]});
    CocoAnnotations coco = annotations_of(categories, {0, 1, 2, 3, 4, 2});
    const CocoAnnotations before = coco;
    EXPECT_THAT(match_categories(coco, classes, 5, "f.json"), IsEmpty());
    for (size_t k = 0; k < classes.size(); ++k) {
      EXPECT_EQ(coco.categories[k], categories[k]);
      EXPECT_EQ(coco.find_category(ids[k]), static_cast<int>(k));
    }
    for (size_t i = 0; i < coco.annotations.size(); ++i) {
      EXPECT_EQ(classes[coco.annotations[i].label],
                before.categories[before.annotations[i].label].name);
    }
  }
}

TEST(CocoClasses, ParentsAndUnusedCategoriesDoNotCount) {
  const std::vector<CocoCategory> roboflow{
      {0, "cells", "none"}, {1, "RBC", "cells"}, {2, "WBC", "cells"}};
  CocoAnnotations coco = annotations_of(roboflow, {1, 2});
  EXPECT_THAT(training_classes(coco), ElementsAre("RBC", "WBC"));
  EXPECT_THAT(match_categories(coco, {"WBC", "RBC"}, 2, "f.json"), IsEmpty());
  EXPECT_THAT(coco.categories, ElementsAre(roboflow[2], roboflow[1]));
  EXPECT_EQ(coco.annotations[0].label, 1);

  // With annotations the parent is a class like others, and an unused one that is no parent stays.
  EXPECT_THAT(training_classes(annotations_of(roboflow, {0, 1})),
              ElementsAre("cells", "RBC", "WBC"));
  // Roboflow's project of one class, which is named as the class.
  CocoAnnotations twice = annotations_of({{0, "cat", "none"}, {1, "cat", "cat"}}, {1});
  EXPECT_THAT(training_classes(twice), ElementsAre("cat"));
  EXPECT_THAT(match_categories(twice, {"cat"}, 1, "f.json"), IsEmpty());
  EXPECT_EQ(twice.categories[0].id, 1);
  // A category that nobody uses and the model does not have.
  CocoAnnotations more = annotations_of({{1, "a"}, {2, "other"}, {3, "b"}}, {0, 2});
  EXPECT_THAT(match_categories(more, {"a", "b"}, 2, "f.json"), IsEmpty());
  EXPECT_EQ(more.annotations[1].label, 1);
}

TEST(CocoClasses, AFileOfFewerClassesLeavesOthersWithoutId) {
  CocoAnnotations coco = annotations_of({{5, "dog"}}, {0});
  EXPECT_THAT(match_categories(coco, {"cat", "dog"}, 2, "f.json"), ElementsAre(HasSubstr("'cat'")));
  EXPECT_FALSE(coco.categories[0].in_file);
  EXPECT_EQ(coco.categories[1], (CocoCategory{5, "dog"}));
  EXPECT_EQ(coco.find_category(0), -1);
  EXPECT_EQ(coco.annotations[0].label, 1);
}

TEST(CocoClasses, CaseAndBlanksMayDifferWhereThatIsUnique) {
  CocoAnnotations coco =
      annotations_of({{1, "Traffic_Light"}, {2, "hot-dog"}, {3, "CAR"}}, {0, 1, 2});
  EXPECT_THAT(match_categories(coco, {"car", "hot dog", "traffic light"}, 3, "f.json"),
              ElementsAre(AllOf(HasSubstr("'Traffic_Light' and 'traffic light'"),
                                HasSubstr("'CAR' and 'car'"))));
  EXPECT_EQ(coco.annotations[0].label, 2);
  // Equal names come first.
  CocoAnnotations exact = annotations_of({{1, "Cat"}, {2, "cat"}}, {0, 1});
  EXPECT_THAT(match_categories(exact, {"cat", "Cat"}, 2, "f.json"), IsEmpty());
  EXPECT_EQ(exact.annotations[0].label, 1);
  EXPECT_THAT(refusal(annotations_of({{1, "CAT"}}, {0}), {"cat", "Cat"}, 2), HasSubstr("'CAT'"));
}

TEST(CocoClasses, OtherNamesAreAnErrorThatListsBoth) {
  EXPECT_THAT(refusal(annotations_of({{1, "cat"}, {2, "Hund"}, {3, "Kuh"}}, {0, 1}),
                      {"cat", "dog", "cow"}, 3),
              AllOf(HasSubstr("f.json"), HasSubstr("only in the file: 'Hund';"),
                    HasSubstr("only in the model: 'dog', 'cow'"), HasSubstr("--class-map")));
  Names many;
  for (int k = 0; k < 80; ++k) many.push_back("class " + std::to_string(k));
  EXPECT_THAT(refusal(annotations_of({{1, "cat"}}, {0}), many, 80), HasSubstr("and 70 more"));
}

TEST(CocoClasses, AModelWithoutNamesIsMatchedById) {
  CocoAnnotations coco = annotations_of({{4, "b"}, {9, "a"}}, {0, 1});
  EXPECT_THAT(match_categories(coco, {}, 2, "f.json"), ElementsAre(HasSubstr("no names")));
  EXPECT_EQ(coco.annotations[0].label, 0);
  CocoAnnotations parent = annotations_of({{0, "p"}, {4, "b", "p"}, {9, "a", "p"}}, {1});
  EXPECT_THAT(match_categories(parent, {}, 2, "f.json"), SizeIs(1));
  EXPECT_EQ(parent.annotations[0].label, 0);
  CocoAnnotations used = annotations_of({{0, "x"}, {4, "b"}, {9, "a"}}, {1, 2});
  EXPECT_THAT(match_categories(used, {}, 2, "f.json"), SizeIs(1));
  EXPECT_EQ(used.annotations[1].label, 1);
  EXPECT_THAT(refusal(annotations_of({{4, "b"}, {9, "a"}}, {0, 1}), {}, 3),
              HasSubstr("3 classes without names"));
}

TEST(Coco, CategoriesOfCoco) {
  const auto categories = coco_categories();
  ASSERT_EQ(categories.size(), 80u);
  std::set<std::string> names;
  std::vector<int64_t> missing;
  int64_t next = 1;
  for (const CocoCategory& category : categories) {
    for (; next < category.id; ++next) missing.push_back(next);
    ++next;
    names.insert(category.name);
  }
  EXPECT_EQ(names.size(), 80u);
  EXPECT_THAT(missing, ElementsAre(12, 26, 29, 30, 45, 66, 68, 69, 71, 83));
  EXPECT_EQ(categories[0], (CocoCategory{1, "person"}));
  EXPECT_EQ(categories[56], (CocoCategory{62, "chair"}));
  EXPECT_EQ(categories[79], (CocoCategory{90, "toothbrush"}));
}

}  // namespace
}  // namespace asmlp::coco_classes_test
