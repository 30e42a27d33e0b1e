#include "asmlp/dataset/layout.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/support.h"

namespace asmlp {
namespace {

TEST(Layout, ShowsTheTask) {
  const test::TemporaryFolder folder;
  const auto make = [&](const char* name) {
    std::filesystem::create_directories(folder.path() / name);
  };
  for (const char* name :
       {"classes/train/cat", "classes/val/cat", "coco/annotations", "coco/train2017",
        "ade/images/validation", "ade/annotations/validation", "half/images/training"}) {
    make(name);
  }
  std::ofstream(folder.path() / "coco/annotations/instances_train2017.json") << "{}";
  // No annotations of COCO's format, in spite of its name.
  std::ofstream(folder.path() / "classes/annotations.json") << "{\"images\": []}";
  EXPECT_EQ(task_of_layout(folder.path() / "coco"), Task::kDetect);
  EXPECT_EQ(task_of_layout(folder.path() / "ade"), Task::kSegment);
  for (const char* name :
       {"classes", "half", "nowhere", "coco/annotations/instances_train2017.json"}) {
    EXPECT_EQ(task_of_layout(folder.path() / name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace asmlp
