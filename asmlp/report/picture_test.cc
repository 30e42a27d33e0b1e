#include "asmlp/report/picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <span>

#include "asmlp/core/atomic_file.h"
#include "asmlp/image/decode.h"
#include "tests/support/support.h"

namespace asmlp::picture_test {
namespace {

using testing::HasSubstr;

TEST(Base64, KnownAnswers) {
  // RFC 4648, section 10.
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

Picture picture(const std::string& name, int side, bool noise) {
  std::mt19937 random(1);
  Picture result{name, "Title of " + name, "What <is> on it.", Image(side, side + 1, 3)};
  for (uint8_t& value : result.image.pixels) value = noise ? uint8_t(random()) : 7;
  return result;
}

TEST(StorePicture, FilesHoldThePixelsAndLargeOnesAreEmbeddedAsJpeg) {
  const test::TemporaryFolder folder;
  for (const bool noise : {false, true}) {
    const Picture one = picture("samples", 700, noise);
    const EmbeddedPicture stored = store_picture(folder.path(), one, 12);
    EXPECT_EQ(decode_image(folder.path() / "images/samples.png").pixels, one.image.pixels);
    EXPECT_EQ(stored.media_type, noise ? "image/jpeg" : "image/png");
    EXPECT_LE(stored.bytes.size(), kLargePicture);
    const Image again = decode_image(std::as_bytes(std::span(stored.bytes)), "embedded");
    EXPECT_EQ(again.width, 701);
    if (!noise) {
      EXPECT_EQ(again.pixels, one.image.pixels);
    }
  }
}

TEST(ReadPictures, AResumedRunKeepsThem) {
  const test::TemporaryFolder folder;
  std::vector<EmbeddedPicture> pictures;
  for (const char* name : {"confusion", "samples", "predictions", "samples"}) {
    replace_picture(pictures, store_picture(folder.path(), picture(name, 20, true), 5));
  }
  ASSERT_EQ(pictures.size(), 3u);
  EXPECT_EQ(pictures[0].name, "predictions");
  EXPECT_EQ(pictures[1].name, "samples");
  EXPECT_EQ(pictures[2].name, "confusion");
  auto list = pictures_json(pictures);
  const std::string html = pictures_html(pictures);
  EXPECT_EQ(pictures_html(read_pictures(folder.path(), list)), html);
  EXPECT_THAT(html, HasSubstr("What &lt;is&gt; on it. Step 5."));
  EXPECT_THAT(html, HasSubstr("src=\"data:image/png;base64," + base64(pictures[0].bytes) + "\""));

  // What is missing, damaged, or no picture of ours is left out.
  std::filesystem::remove(folder.path() / "images/samples.png");
  std::ofstream(folder.path() / "images/confusion.png") << "no PNG";
  list.push_back({{"file", "../secret.png"}, {"title", ""}, {"caption", ""}, {"step", 1}});
  list.push_back("text");
  EXPECT_EQ(read_pictures(folder.path(), list).size(), 1u);
  list[0]["step"] = "many";
  EXPECT_TRUE(read_pictures(folder.path(), list).empty());
  EXPECT_TRUE(read_pictures(folder.path(), {}).empty());
  EXPECT_EQ(pictures_html({}), "");
}

}  // namespace
}  // namespace asmlp::picture_test
