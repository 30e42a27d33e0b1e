// Samples out of one shard, whatever has become of it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/dataset/shards/shards.h"
#include "tests/support/files.h"
#include "tests/support/support.h"
#include "tests/support/tar.h"

namespace asmlp::shard_reader_test {
namespace {

namespace fs = std::filesystem;
using test::Members;
using test::tar_of;
using test::write_bytes;
using testing::ElementsAre;
using testing::HasSubstr;

// What a shard gives: the samples as "name=target:bytes", and the problems.
struct Content {
  std::vector<std::string> samples;
  std::vector<Unreadable> bad;
};

Content read_all(ShardReader& reader) {
  Content content;
  while (const auto sample = reader.next()) {
    content.samples.push_back(fmt::format("{}={}:{}", sample->name, sample->target, sample->bytes));
  }
  content.bad = reader.take_unreadable();
  return content;
}

Content content_of(const std::string& tar, int classes = 10) {
  ShardReader reader(std::as_bytes(std::span(tar)), "s.tar", classes);
  return read_all(reader);
}

TEST(ShardReader, GroupsConsecutiveMembersByTheNameUpToTheFirstDot) {
  const Content content = content_of(tar_of({{"README", "no dot"},
                                             {"a/1.jpg", "one"},
                                             {"a/1.cls", "3"},
                                             {"a/1.json", "{}"},
                                             {"a.b/2.cls", " 4\n"},
                                             {"a.b/2.seg.png", "no picture of the sample"},
                                             {"a.b/2.JPEG", "two"},
                                             {"meta.json", "{}"},
                                             {".hidden.png", "x"},
                                             {"3.webp", "three"},
                                             {"3.cls", "0"}}));
  EXPECT_THAT(content.samples,
              ElementsAre("s.tar: a/1=3:one", "s.tar: a.b/2=4:two", "s.tar: 3=0:three"));
  EXPECT_TRUE(content.bad.empty());
}

TEST(ShardReader, PassesOverWhatCannotBeUsedAndNamesIt) {
  const Content content = content_of(tar_of({{"good1.png", "a"},
                                             {"good1.cls", "1"},
                                             {"nolabel.png", "b"},
                                             {"noimage.cls", "1"},
                                             {"text.png", "c"},
                                             {"text.cls", "cat"},
                                             {"negative.png", "c"},
                                             {"negative.cls", "-1"},
                                             {"high.png", "c"},
                                             {"high.cls", "10"},
                                             {"long.png", "c"},
                                             {"long.cls", std::string(100, '1')},
                                             {"empty.png", ""},
                                             {"empty.cls", "1"},
                                             {"twice.png", "c"},
                                             {"twice.cls", "1"},
                                             {"twice.cls", "2"},
                                             {"good2.cls", "9"},
                                             {"good2.png", "d"}}));
  EXPECT_THAT(content.samples, ElementsAre("s.tar: good1=1:a", "s.tar: good2=9:d"));
  std::vector<std::string> messages;
  for (const Unreadable& bad : content.bad) {
    messages.push_back(bad.message);
    EXPECT_EQ(bad.samples, 1);
  }
  EXPECT_THAT(messages, ElementsAre("s.tar: nolabel: has no .cls member beside it",
                                    HasSubstr("s.tar: noimage: has a label but no .jpg"),
                                    HasSubstr("s.tar: text: its .cls member holds no class"),
                                    HasSubstr("s.tar: negative: its .cls member holds no class"),
                                    "s.tar: high: class 10 of 10 (0..9)",
                                    HasSubstr("s.tar: long: its .cls member holds no class"),
                                    "s.tar: empty: its image is empty",
                                    "s.tar: twice: has two .cls members"));
}

// A cut anywhere leaves the samples before it whole, and is noticed: by the archive itself, or by
// the number of samples.
TEST(ShardReader, ATruncatedShardGivesWhatIsWholeAndCountsTheRest) {
  const test::TemporaryFolder folder;
  Members members;
  for (int i = 0; i < 4; ++i) {
    members.emplace_back(fmt::format("{}.png", i), std::string(700, static_cast<char>('a' + i)));
    members.emplace_back(fmt::format("{}.cls", i), "1");
  }
  const std::string whole = tar_of(members);
  const fs::path path = folder.path() / "train-0.tar";
  // A sample is 512 + 1024 + 512 + 512 bytes, of which the last ones of the label are padding.
  constexpr size_t kSample = 2560;
  for (size_t size = 0; size < 4 * kSample; size += 37) {
    write_bytes(path, whole.substr(0, size));
    ShardReader reader(path, 4, 10);
    const Content content = read_all(reader);
    int64_t lost = 0;
    for (const Unreadable& bad : content.bad) {
      lost += bad.samples;
      EXPECT_THAT(bad.message, HasSubstr("train-0.tar")) << size;
    }
    const size_t good = content.samples.size();
    EXPECT_GE(good, size / kSample) << size;
    EXPECT_LE(good, (size + 511) / kSample) << size;
    EXPECT_EQ(lost, int64_t(4 - good)) << size;
    for (size_t i = 0; i < good; ++i) {
      EXPECT_THAT(content.samples[i], HasSubstr(std::string(700, static_cast<char>('a' + i))));
    }
    // Counting passes over the images by seeking, and must not be fooled by that.
    ShardReader labels(path, -1, 10, ShardReader::Read::kLabels);
    EXPECT_EQ(read_all(labels).samples.size(), good) << size;
  }
}

TEST(ShardReader, EveryDamageOfAHeaderIsNoticed) {
  const std::string whole =
      tar_of({{"0.png", "a"}, {"0.cls", "1"}, {"1.png", "b"}, {"1.cls", "1"}});
  for (size_t at = 2048; at < 2048 + 500; ++at) {  // the header of 1.png
    if (at == 2048 + 155) continue;                // the byte after the checksum says nothing
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x15);
    const Content content = content_of(bytes);
    EXPECT_THAT(content.samples, ElementsAre("s.tar: 0=1:a")) << at;
    ASSERT_FALSE(content.bad.empty()) << at;
    EXPECT_THAT(content.bad.back().message, HasSubstr("s.tar")) << at;
  }
}

TEST(ShardReader, AMissingShardAndAForeignFileAreLostSamples) {
  const test::TemporaryFolder folder;
  ShardReader missing(folder.path() / "train-7.tar", 12, 10);
  EXPECT_FALSE(missing.next());
  const auto bad = missing.take_unreadable();
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].samples, 12);
  EXPECT_THAT(bad[0].message, HasSubstr("train-7.tar: cannot open: No such file"));
  write_bytes(folder.path() / "train-8.tar",
              "This is a text, and a long one. " + std::string(4000, 'x'));
  ShardReader text(folder.path() / "train-8.tar", 5, 10);
  EXPECT_FALSE(text.next());
  EXPECT_EQ(text.take_unreadable().at(0).samples, 5);
  // More than the index says.
  write_bytes(folder.path() / "train-9.tar",
              tar_of({{"0.png", "a"}, {"0.cls", "1"}, {"1.png", "b"}, {"1.cls", "1"}}));
  ShardReader more(folder.path() / "train-9.tar", 1, 10);
  EXPECT_EQ(read_all(more).samples.size(), 2u);
}

}  // namespace
}  // namespace asmlp::shard_reader_test
