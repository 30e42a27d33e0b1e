#include "asmlp/model/imagenet_classes.h"

#include <gtest/gtest.h>

#include <set>

namespace asmlp::imagenet_classes_test {
namespace {

TEST(ImageNetClasses, AreAThousandInTheOrderOfTheirIds) {
  std::set<std::string> names;
  std::string_view before;
  for (const ImageNetClass& known : imagenet_classes()) {
    const std::string_view wnid = known.wnid;
    EXPECT_EQ(wnid.size(), 9u);
    EXPECT_EQ(wnid[0], 'n');
    EXPECT_LT(before, wnid);
    before = wnid;
    EXPECT_TRUE(names.insert(known.name).second) << known.name;
    EXPECT_EQ(imagenet_class_by_wnid(wnid), &known);
  }
  EXPECT_EQ(names.size(), 1000u);
  // Where everybody knows the index.
  EXPECT_STREQ(imagenet_classes()[0].name, "tench");
  EXPECT_STREQ(imagenet_classes()[207].name, "golden retriever");
  EXPECT_STREQ(imagenet_classes()[285].name, "Egyptian cat");
  EXPECT_STREQ(imagenet_classes()[999].name, "toilet tissue");
  EXPECT_EQ(imagenet_names()[1], "goldfish");
  EXPECT_EQ(imagenet_aliases()[2].first, "n01484850");
  EXPECT_EQ(imagenet_aliases()[2].second, "great white shark");
  EXPECT_EQ(imagenet_class_by_wnid("n00000000"), nullptr);
  EXPECT_EQ(imagenet_class_by_wnid("n99999999"), nullptr);
  EXPECT_EQ(imagenet_class_by_wnid(""), nullptr);
}

}  // namespace
}  // namespace asmlp::imagenet_classes_test
