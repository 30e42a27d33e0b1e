// asmlp dataset scenes, as a user runs it, and read by another program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/command.h"
#include "tests/support/idx_files.h"

namespace asmlp::test::cli_scenes_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ScenesCommand : public testing::Test {
 protected:
  void SetUp() override { write_discs(path("items")); }
  std::string path(const std::string& name) const { return folder_.path() / name; }
  std::vector<std::string> command(const std::string& output,
                                   const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"dataset",    "scenes",  path("items"), "-o",
                                   path(output), "--train", "6",           "--val",
                                   "3",          "--size",  "48x64",       "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  TemporaryFolder folder_;
};

// A decoder of masks and of label PNGs that shares nothing with ours.
constexpr const char* kCheck = R"(
import json, os, pathlib, struct, sys, zlib
root = pathlib.Path(sys.argv[1])

def read_png(path):
    data, at, pixels = path.read_bytes(), 8, b''
    while at < len(data):
        length, kind = struct.unpack('>I4s', data[at:at + 8])
        chunk = data[at + 8:at + 8 + length]
        if kind == b'IHDR':
            width, height, depth, color, _, _, interlaced = struct.unpack('>IIBBBBB', chunk)
            assert (depth, color, interlaced) == (8, 0, 0), path
        if kind == b'IDAT': pixels += chunk
        at += 12 + length
    raw, rows, above = zlib.decompress(pixels), [], [0] * width
    for y in range(height):
        line = raw[y * (width + 1):(y + 1) * (width + 1)]
        row = []
        for x, value in enumerate(line[1:]):
            a, b = row[-1] if x else 0, above[x]
            c = above[x - 1] if x else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row.append((value + (0, a, b, (a + b) // 2, paeth)[line[0]]) % 256)
        rows.append(row)
        above = row
    return rows

for split, ade, prefix, classes in (('train', 'training', 'ADE_train_', range(1, 6)),
                                    ('val', 'validation', 'ADE_val_', range(6, 11))):
    coco = json.loads((root / f'annotations/instances_{split}2017.json').read_text())
    assert [c['id'] for c in coco['categories']] == list(range(1, 11))
    for image in coco['images']:
        second = root / f'images/{ade}/{prefix}{image["id"]:08}.jpg'
        first = root / f'{split}2017' / image['file_name']
        assert first.read_bytes() == second.read_bytes()
        h, w = image['height'], image['width']
        map = [[1] * w for _ in range(h)]
        for a in coco['annotations']:
            if a['image_id'] != image['id']: continue
            assert a['category_id'] in classes, a['category_id']
            bits = []
            for i, count in enumerate(a['segmentation']['counts']): bits += [i % 2] * count
            pixels = [(k % h, k // h) for k, bit in enumerate(bits) if bit]
            ys, xs = [p[0] for p in pixels], [p[1] for p in pixels]
            assert len(bits) == h * w and a['segmentation']['size'] == [h, w]
            assert len(pixels) == a['area'] and a['iscrowd'] == 0
            assert a['bbox'] == [min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1]
            for y, x in pixels: map[y][x] = a['category_id'] + 1
        assert map == read_png(root / f'annotations/{ade}/{prefix}{image["id"]:08}.png')
print('agree')
)";

TEST_F(ScenesCommand, WritesBothFormatsReproducibly) {
  const Outcome made = run(command("a", {"--seed", "5", "--items", "2,4", "--threads", "1"}));
  ASSERT_EQ(made.code, 0) << made.err;
  const Json json = made.json();
  EXPECT_EQ(json["train"]["images"], 6);
  EXPECT_EQ(json["val"]["images"], 3);
  EXPECT_EQ(json["height"], 48);
  EXPECT_EQ(json["width"], 64);
  EXPECT_GT(json["train"]["objects"], 6);
  EXPECT_EQ(json["classes"].size(), 10u);
  EXPECT_THAT(listing(path("a")),
              ElementsAre("annotations", "images", "objectInfo11.txt", "train2017", "val2017"));
  EXPECT_THAT(
      listing(path("a/annotations")),
      ElementsAre("instances_train2017.json", "instances_val2017.json", "training", "validation"));
  const Outcome checked = run({"-c", kCheck, path("a")}, {.program = "/usr/bin/python3"});
  EXPECT_EQ(checked.out, "agree\n") << checked.err;

  const Outcome again = run(command("b", {"--seed", "5", "--items", "2,4", "--threads", "3"}));
  ASSERT_EQ(again.code, 0) << again.err;
  for (const auto& entry : fs::recursive_directory_iterator(path("a"))) {
    if (!entry.is_regular_file()) continue;
    const fs::path name = entry.path().lexically_relative(path("a"));
    EXPECT_EQ(slurp(entry.path()), slurp(path("b") / name)) << name;
  }
  EXPECT_THAT(listing(folder_.path()), ElementsAre("a", "b", "items"));
}

// What --crops writes is a data set for classifiers; fuller training images leave the others alone.
TEST_F(ScenesCommand, WritesCropsAndFullerTrainingImages) {
  ASSERT_EQ(run(command("a")).code, 0);
  const Outcome made = run(command("b", {"--train-items", "7,9", "--crops", "32"}));
  ASSERT_EQ(made.code, 0) << made.err;
  const Json json = made.json();
  EXPECT_GE(json["train"]["objects"].get<int>() + json["train"]["hidden"].get<int>(), 6 * 7);
  EXPECT_EQ(slurp(path("a/annotations/instances_val2017.json")),
            slurp(path("b/annotations/instances_val2017.json")));
  EXPECT_THAT(listing(path("b/crops")), ElementsAre("train", "val"));
  const Outcome classified =
      run({"validate", path("b/crops"), "--json", "--model",
           source_folder() / "models/asmlp_nano_patch2_shift5_28.fashion_mnist.safetensors"});
  ASSERT_EQ(classified.code, 0) << classified.err;
  EXPECT_EQ(classified.json()["images"], json["val"]["objects"]);
}

TEST_F(ScenesCommand, RefusesWhatItCannotDoAndLeavesNothing) {
  fs::create_directory(path("taken"));
  const Outcome taken = run(command("taken"));
  EXPECT_EQ(taken.code, 2);
  EXPECT_THAT(taken.err, HasSubstr("exists already; choose another output"));
  EXPECT_TRUE(fs::is_empty(path("taken")));
  for (const std::vector<std::string>& options : std::vector<std::vector<std::string>>{
           {"--size", "48x"},         {"--size", "31"},     {"--size", "48x64x3"},
           {"--size", "99999999999"}, {"--items", "4,2"},   {"--items", "0"},
           {"--items", "1;6"},        {"--items", "1,101"}, {"--train-items", "3,2"},
           {"--train-items", "0"},    {"--crops", "7"},     {"--scale", "2,1"},
           {"--scale", "0,1"},        {"--scale", "1"},     {"--visible", "1.5"},
           {"--clutter", "-1"},       {"--train", "0"},     {"--val", "-1"},
           {"--seed", "x"},           {"--threads", "300"}}) {
    // An option given twice is an error of its own.
    std::vector<std::string> words{"dataset", "scenes", path("items"), "-o", path("out")};
    words.insert(words.end(), options.begin(), options.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 2) << options[0] << " " << options[1] << "\n" << outcome.err;
    EXPECT_FALSE(outcome.err.empty());
  }
  const Outcome missing = run({"dataset", "scenes", path("none"), "-o", path("out")});
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("train-images-idx3-ubyte"));
  std::ofstream(path("items/t10k-images-idx3-ubyte")) << "cut";
  const Outcome damaged = run({"dataset", "scenes", path("items"), "-o", path("out")});
  EXPECT_EQ(damaged.code, 1);
  EXPECT_THAT(damaged.err, HasSubstr("t10k-images-idx3-ubyte"));
  EXPECT_THAT(listing(folder_.path()), ElementsAre("items", "taken"));
}

}  // namespace
}  // namespace asmlp::test::cli_scenes_test
