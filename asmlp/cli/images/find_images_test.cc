#include "asmlp/cli/images/find_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/support.h"

namespace asmlp::cli::find_images_test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class FindImages : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"b.jpg", "a.PNG", "notes.txt", "deep/er/c.webp", "deep/d.jpeg",
                             "odd[1].jpg", "empty/readme.md"}) {
      fs::create_directories((folder_.path() / name).parent_path());
      std::ofstream(folder_.path() / name) << "x";
    }
  }

  // The files found, relative to the folder.
  std::vector<std::string> names(const FoundImages& found) const {
    std::vector<std::string> result;
    for (const fs::path& file : found.files) {
      result.push_back(file.lexically_normal().lexically_relative(folder_.path()).string());
    }
    return result;
  }
  FoundImages find(const std::vector<std::string>& arguments) const {
    std::vector<std::string> absolute;
    for (const std::string& argument : arguments) {
      absolute.push_back((folder_.path() / argument).string());
    }
    return find_images(absolute);
  }

  test::TemporaryFolder folder_;
};

TEST_F(FindImages, FoldersAreSearchedAtAnyDepthInPathOrder) {
  const FoundImages found = find({"."});
  EXPECT_THAT(names(found),
              ElementsAre("a.PNG", "b.jpg", "deep/d.jpeg", "deep/er/c.webp", "odd[1].jpg"));
  EXPECT_THAT(found.missing, IsEmpty());
}

TEST_F(FindImages, FilesAreTakenAsTheyAreInTheOrderGiven) {
  EXPECT_THAT(names(find({"notes.txt", "b.jpg", "odd[1].jpg"})),
              ElementsAre("notes.txt", "b.jpg", "odd[1].jpg"));
}

TEST_F(FindImages, GlobsAreExpandedAndTheirFoldersSearched) {
  EXPECT_THAT(names(find({"[ab].*"})), ElementsAre("a.PNG", "b.jpg"));
  EXPECT_THAT(names(find({"{b,notes}.*"})), ElementsAre("b.jpg", "notes.txt"));
  EXPECT_THAT(names(find({"de*"})), ElementsAre("deep/d.jpeg", "deep/er/c.webp"));
}

TEST_F(FindImages, WhatLeadsNowhereIsReportedAndTheRestGoesOn) {
  const FoundImages found = find({"nothing.jpg", "b.jpg", "z*.png", "empty"});
  EXPECT_THAT(names(found), ElementsAre("b.jpg"));
  ASSERT_EQ(found.missing.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(found.missing[i].code, ErrorCode::kNotFound);
    EXPECT_THAT(found.missing[i].message, testing::HasSubstr(found.missing[i].argument));
  }
}

TEST_F(FindImages, WhatAFolderHoldsBesideImagesIsCountedOnce) {
  std::ofstream(folder_.path() / "IMG_1.heic") << "x";
  std::ofstream(folder_.path() / "IMG_2.HEIC") << "x";
  std::ofstream(folder_.path() / ".hidden.jpg") << "x";
  fs::create_directories(folder_.path() / ".git");
  std::ofstream(folder_.path() / ".git" / "a.png") << "x";
  const FoundImages found = find({""});
  EXPECT_EQ(found.files.size(), 5u);
  EXPECT_THAT(found.missing, IsEmpty());
  EXPECT_THAT(found.notes,
              ElementsAre(testing::EndsWith("2 .heic, 1 .md, 1 .txt, 1 hidden, 1 hidden folder")));
}

TEST_F(FindImages, AListNamesAFileALine) {
  const auto path = [&](const char* name) { return (folder_.path() / name).string(); };
  std::ofstream(path("list.txt")) << "\xef\xbb\xbf" << path("odd[1].jpg") << "\r\n\n"
                                  << path("missing.jpg") << '\n'
                                  << path("deep");
  const FoundImages found = find_images({path("b.jpg"), "@" + path("list.txt")});
  EXPECT_THAT(names(found), ElementsAre("b.jpg", "odd[1].jpg", "deep/d.jpeg", "deep/er/c.webp"));
  ASSERT_EQ(found.missing.size(), 1u);
  EXPECT_EQ(found.missing[0].argument, path("missing.jpg"));
  EXPECT_THAT(found.missing[0].message, testing::HasSubstr("line 3"));
  EXPECT_EQ(find_images({"@" + path("no_list.txt")}).missing.at(0).code, ErrorCode::kNotFound);
}

TEST_F(FindImages, StandardInputIsOnePicture) {
  const FoundImages found = find_images({"-", "-"});
  EXPECT_EQ(found.files, std::vector<fs::path>{"-"});
  ASSERT_EQ(found.missing.size(), 1u);
  EXPECT_EQ(found.missing[0].code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(shown_name("-"), "stdin");
  EXPECT_EQ(shown_name("a/b.jpg"), "a/b.jpg");
}

}  // namespace
}  // namespace asmlp::cli::find_images_test
