// asmlp dataset: what it writes, seen by other programs too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/image/decode.h"
#include "tests/support/command.h"

namespace asmlp::test::cli_dataset_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DatasetCommand : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() / name; }
  // Runs a Python program with the standard library.
  static Outcome python(const std::string& program, const std::vector<std::string>& arguments) {
    std::vector<std::string> words{"-c", program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return run(words, {.program = "/usr/bin/python3"});
  }
  TemporaryFolder folder_;
};

TEST_F(DatasetCommand, ShardsOfAMadeFolderAreReadByPythonsTarfile) {
  const Outcome made =
      run({"dataset", "imagenet-like", data("photos"), "-o", path("images"), "--classes", "5",
           "--train", "4", "--val", "1", "--size", "16", "--json"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(made.json()["train"], 20);
  const Image image = decode_image(path("images/train/n00000003/n00000003_2.JPEG"));
  EXPECT_GE(std::min(image.height, image.width), 16);
  EXPECT_LE(std::min(image.height, image.width), 20);
  std::ofstream(path("images/train/n00000001/bad.jpg")) << "no picture";

  const Outcome written = run({"dataset", "shards", path("images"), "--output", path("shards"),
                               "--samples-per-shard", "6", "--json"});
  EXPECT_EQ(written.code, 1);  // one file was left out
  const Json json = written.json();
  EXPECT_THAT(json["unreadable"].dump(), HasSubstr("n00000001/bad.jpg"));
  EXPECT_THAT(written.err, HasSubstr("n00000001/bad.jpg"));
  EXPECT_EQ(json["splits"][0]["samples"], 20);
  EXPECT_EQ(json["splits"][1]["samples"], 5);
  EXPECT_THAT(listing(path("shards")),
              ElementsAre("shards.json", "train-000000.tar", "train-000001.tar", "train-000002.tar",
                          "train-000003.tar", "val-000000.tar"));

  // Python reads the same (bytes, class) that the folder holds.
  const Outcome compared = python(R"(
import sys, tarfile, pathlib
images, shards = map(pathlib.Path, sys.argv[1:])
for split in ('train', 'val'):
    classes = sorted(p.name for p in (images / split).iterdir())
    want = sorted((f.read_bytes(), classes.index(f.parent.name))
                  for f in (images / split).rglob('*.JPEG'))
    got = []
    for shard in sorted(shards.glob(split + '-*.tar')):
        with tarfile.open(shard) as tar:
            members = tar.getmembers()
            for image, label in zip(members[::2], members[1::2]):
                assert image.name.rsplit('.', 1)[0] == label.name.rsplit('.', 1)[0], image.name
                assert image.name.endswith('.jpg') and label.name.endswith('.cls')
                got.append((tar.extractfile(image).read(), int(tar.extractfile(label).read())))
    assert sorted(got) == want, split
print('equal')
)",
                                  {path("images"), path("shards")});
  EXPECT_EQ(compared.out, "equal\n") << compared.err;

  const Outcome again = run({"dataset", "shards", path("images"), "-o", path("shards")});
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.err, HasSubstr("holds shards already"));
}

// Shards as other tools write them: pax and GNU headers, long names, folders, other members.
TEST_F(DatasetCommand, IndexReadsShardsThatPythonWrote) {
  const Outcome written = python(R"(
import io, sys, tarfile
for number, kind in enumerate((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)):
    with tarfile.open(f'{sys.argv[1]}/train-{number}.tar', 'w', format=kind) as tar:
        folder = tarfile.TarInfo('n01440764'); folder.type = tarfile.DIRTYPE; tar.addfile(folder)
        long = 'x' * (90 if kind == tarfile.USTAR_FORMAT else 300)
        for i, key in enumerate(('n01440764/0', 'n01440764/\u00e9t\u00e9', long)):
            for extension, content in (('jpg', b'p'), ('cls', b'%d' % (i + number)), ('json', b'{}')):
                member = tarfile.TarInfo(key + '.' + extension)
                member.size, member.mtime = len(content), 1.5
                tar.addfile(member, io.BytesIO(content))
)",
                                 {folder_.path()});
  ASSERT_EQ(written.code, 0) << written.err;
  const Outcome indexed = run({"dataset", "index", folder_.path(), "--json"});
  ASSERT_EQ(indexed.code, 0) << indexed.err;
  EXPECT_EQ(indexed.json()["classes"], 5);
  EXPECT_EQ(indexed.json()["splits"][0]["samples"], 9);
  EXPECT_EQ(indexed.json()["splits"][0]["shards"], 3);
}

TEST_F(DatasetCommand, SaysWhatIsMissing) {
  const Outcome none = run({"dataset"});
  EXPECT_EQ(none.code, 2);
  const Outcome help = run({"dataset", "shards", "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, HasSubstr("--samples-per-shard"));
  const Outcome empty = run({"dataset", "shards", folder_.path(), "--output", path("s")});
  EXPECT_NE(empty.code, 0);
  EXPECT_THAT(empty.err, HasSubstr("neither train/ nor val/"));
  const Outcome index = run({"dataset", "index", folder_.path()});
  EXPECT_EQ(index.code, 1);
  EXPECT_THAT(index.err, HasSubstr("holds no shards"));
}

// Names with several dots belong to no sample by WebDataset's rule; that is said, not passed over.
TEST_F(DatasetCommand, ShardsWithoutSamplesAreAnErrorThatSaysWhy) {
  fs::copy(data("cases/shards_no_samples"), path("shards"));
  const Outcome none = run({"dataset", "index", path("shards")});
  EXPECT_EQ(none.code, 1);
  EXPECT_EQ(none.out, "");
  for (const char* word : {"hold no samples", "6 members are of no sample", "photo.v2.0.jpg",
                           "its field is 'v2.0.jpg'", "KEY.jpg"}) {
    EXPECT_THAT(none.err, HasSubstr(word));
  }
  const Outcome written = python(R"(
import io, sys, tarfile
with tarfile.open(sys.argv[1], 'w') as tar:
    for name, content in (('a.jpg', b'p'), ('a.cls', b'0'), ('b.1.jpg', b'p')):
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
)",
                                 {path("shards/train-000000.tar")});
  ASSERT_EQ(written.code, 0) << written.err;
  const Outcome some = run({"dataset", "index", path("shards"), "--json"});
  EXPECT_EQ(some.code, 0) << some.err;
  EXPECT_EQ(some.json()["splits"][0]["samples"], 1);
  EXPECT_THAT(some.err, HasSubstr("1 member is of no sample"));
  EXPECT_EQ(run({"dataset", "index", path("shards"), "--quiet"}).err, "");
}

}  // namespace
}  // namespace asmlp::test::cli_dataset_test
