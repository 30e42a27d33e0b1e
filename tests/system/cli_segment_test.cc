// asmlp segment, and validate of a segmentor, as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>

#include "asmlp/image/decode.h"
#include "asmlp/image/labels/class_color.h"
#include "tests/support/ade_files.h"
#include "tests/support/command.h"
#include "tests/support/dense_files.h"

namespace asmlp::test::cli_segment_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kClasses = 4;

class SegmentCommand : public testing::Test {
 protected:
  void SetUp() override {
    SegmentorSpec spec;
    spec.name = "small";
    spec.config = segment::small_segmentor_config(kClasses);
    spec.preprocessing = segment::small_input();
    for (int k = 1; k <= kClasses; ++k) spec.classes.push_back(fmt::format("class {}", k));
    fs::create_directories(path("models"));
    save_dense(path("models/small.safetensors"), spec, lively_segmentor(spec));
    segment::write_ade(path("data"), {{41, 60}, {50, 33}, {30, 30}}, kClasses);
  }

  std::string path(const std::string& name) const { return folder_.path() / name; }
  std::string photo(int i) const {
    return path(fmt::format("data/images/validation/image_{}.png", i));
  }
  std::string model() const { return path("models/small.safetensors"); }
  std::string out(const std::string& name) const { return path("out/" + name); }

  Outcome segment(const std::vector<std::string>& images,
                  const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"segment"};
    words.insert(words.end(), images.begin(), images.end());
    for (const char* word : {"--threads", "1", "--output"}) words.emplace_back(word);
    words.push_back(path("out"));
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }

  TemporaryFolder folder_;
};

TEST_F(SegmentCommand, WritesOverlayLabelsAndAreas) {
  const Outcome outcome =
      segment({photo(0), path("no.jpg"), photo(1)}, {"--model", model(), "--json"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("no.jpg"));
  const Json json = outcome.json();
  ASSERT_EQ(json["images"].size(), 2u);
  ASSERT_EQ(json["failed"].size(), 1u);
  EXPECT_EQ(json["model"]["name"], "small");
  EXPECT_THAT(listing(path("out")), ElementsAre("image_0.labels.png", "image_0.segments.png",
                                                "image_1.labels.png", "image_1.segments.png"));
  for (const Json& image : json["images"]) {
    const Image labels = read_label_png(image["label_map"].get<std::string>());
    EXPECT_EQ(labels.height, image["height"]);
    EXPECT_EQ(labels.width, image["width"]);
    double share = 0;
    for (const Json& area : image["classes"]) {
      EXPECT_EQ(std::ranges::count(labels.pixels, area["index"].get<uint8_t>()), area["pixels"]);
      EXPECT_EQ(area["label"], fmt::format("class {}", area["index"].get<int>() + 1));
      share += area["share"].get<double>();
    }
    EXPECT_NEAR(share, 1, 1e-9);
    EXPECT_GT(decode_image(image["overlay"].get<std::string>()).width, labels.width);
    // As a picture the map shows the colors of the classes, which are not those of ADE20K.
    const Image shown = decode_image(image["label_map"].get<std::string>());
    const Color color = class_color(labels.pixels[0]);
    EXPECT_EQ((Color{shown.pixels[0], shown.pixels[1], shown.pixels[2]}), color);
  }
}

TEST_F(SegmentCommand, PrintsATableAndKeepsNamesApart) {
  fs::create_directories(path("other"));
  fs::copy_file(photo(1), path("other/image_0.png"));
  const Outcome outcome =
      segment({photo(0), path("other")}, {"--model", model(), "--results-file", path("areas.csv")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  for (const char* word : {"image_0.png  60 x 41", "class 1", " %", "image_0-2.segments.png"}) {
    EXPECT_THAT(outcome.out, HasSubstr(word));
  }
  EXPECT_EQ(listing(path("out")).size(), 4u);
  EXPECT_THAT(slurp(path("areas.csv")), testing::StartsWith("filename,index,label,pixels,share"));
}

TEST_F(SegmentCommand, ViewsChangeWhatIsSeenAndMistakesAreUsageErrors) {
  std::set<std::string> maps;
  for (const std::vector<std::string>& views : {std::vector<std::string>{},
                                                {"--flip"},
                                                {"--multi-scale", "--flip"},
                                                {"--sliding", "--crop", "32", "--stride", "16"},
                                                {"--full-size", "--sliding", "--crop", "32"}}) {
    std::vector<std::string> more{"--model", model()};
    more.insert(more.end(), views.begin(), views.end());
    ASSERT_EQ(segment({photo(0)}, more).code, 0);
    maps.insert(slurp(out("image_0.labels.png")));
  }
  EXPECT_GE(maps.size(), 4u);
  const auto usage = [&](const std::vector<std::string>& more, const std::string& word) {
    const Outcome outcome = segment({photo(0)}, more);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(word));
  };
  usage({"--model", model(), "--crop", "32"}, "--sliding");
  usage({"--model", model(), "--sliding", "--crop", "32", "--stride", "33"}, "stride 33");
  usage({"--model", model(), "--opacity", "1.5"}, "--opacity");
  // The authors' files do not say what they are.
  usage({"--model", data("downstream/mmseg.pth").string()}, "architecture");
  usage({"--model", data("downstream/mmseg.pth").string(), "--arch", "upernet_asmlp_tiny"},
        "shift size");
}

TEST_F(SegmentCommand, TakesTheBundledSegmentor) {
  write_model(path("models/a_classifier.safetensors"));
  RunSettings settings;
  settings.environment = environment_with("ASMLP_MODEL_DIR=" + path("models"));
  const std::vector<std::string> words{"segment", photo(0), "--output", path("out"), "--json"};
  const Outcome outcome = run(words, settings);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("bundled model"));
  EXPECT_EQ(outcome.json()["model"]["bundled"], true);
  fs::remove(model());
  const Outcome none = run(words, settings);
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("of a segmentor in " + path("models")));
}

// The scores follow from the label maps that `segment` writes.
TEST_F(SegmentCommand, ValidateScoresWhatSegmentSees) {
  for (const std::vector<std::string>& views :
       {std::vector<std::string>{}, {"--multi-scale", "--flip"}}) {
    std::vector<std::string> more{"--model", model()};
    more.insert(more.end(), views.begin(), views.end());
    ASSERT_EQ(segment({path("data/images/validation")}, more).code, 0);
    std::array<double, kClasses> right{}, predicted{}, labeled{};
    for (int i = 0; i < 3; ++i) {
      const Image labels = read_label_png(out(fmt::format("image_{}.labels.png", i)));
      const Image truth =
          read_label_png(path(fmt::format("data/annotations/validation/image_{}.png", i)));
      for (size_t p = 0; p < labels.pixels.size(); ++p) {
        if (truth.pixels[p] == 0) continue;
        const size_t own = labels.pixels[p], wanted = truth.pixels[p] - 1u;
        ++predicted.at(own);
        ++labeled.at(wanted);
        if (own == wanted) ++right.at(own);
      }
    }
    double iou = 0, classes = 0, hits = 0, pixels = 0;
    for (size_t k = 0; k < kClasses; ++k) {
      const double together = predicted[k] + labeled[k] - right[k];
      if (together > 0) iou += right[k] / together, ++classes;
      hits += right[k];
      pixels += labeled[k];
    }
    std::vector<std::string> words{"validate", path("data"), "--json", "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json json = outcome.json();
    EXPECT_NEAR(json["miou"].get<double>(), 100 * iou / classes, 1e-9);
    EXPECT_NEAR(json["aacc"].get<double>(), 100 * hits / pixels, 1e-9);
    EXPECT_EQ(json["images"], 3);
    EXPECT_EQ(json["per_class"].size(), size_t{kClasses});
  }
}

TEST_F(SegmentCommand, ValidateNamesWhatIsWrong) {
  std::ofstream(photo(2)) << "no PNG";
  const Outcome outcome = run({"validate", path("data"), "--model", model()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("image_2.png"));
  EXPECT_THAT(outcome.out, HasSubstr("* mIoU "));
  EXPECT_THAT(outcome.out, HasSubstr("unreadable"));
  segment::write_ade(path("five"), {{20, 20}}, 5);
  const Outcome classes = run({"validate", path("five"), "--model", model()});
  EXPECT_EQ(classes.code, 1);
  EXPECT_THAT(classes.err, HasSubstr("5 classes"));
  const Outcome none = run({"validate", path("models"), "--model", model()});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("models"));
}

// The split that is named is the one that is measured and printed.
TEST_F(SegmentCommand, ValidateReadsTheSplitThatIsNamed) {
  segment::write_ade(path("data"), {{24, 24}}, kClasses, "test");
  const auto images_of = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"validate", path("data"), "--model", model(), "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return std::pair{outcome.json()["split"].get<std::string>(),
                     outcome.json()["images"].get<int>()};
  };
  EXPECT_EQ(images_of({}), (std::pair{std::string("validation"), 3}));
  EXPECT_EQ(images_of({"--split", "val"}), (std::pair{std::string("validation"), 3}));
  EXPECT_EQ(images_of({"--split", "test"}), (std::pair{std::string("test"), 1}));
  const Outcome none = run({"validate", path("data"), "--model", model(), "--split", "train"});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("no split 'train' in images/ and annotations/; there are: test, "
                                  "validation"));
}

// Whatever the order of the data's classes, and whether it has all: the scores stay with the names.
TEST_F(SegmentCommand, ValidateMatchesClassesByNameAndWritesARowPerImage) {
  const auto validate = [&](const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"validate", path("data"), "--model", model(), "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  const Outcome own = validate({"--predictions", path("rows.csv")});
  ASSERT_EQ(own.code, 0) << own.err;
  const std::string rows = slurp(path("rows.csv"));
  EXPECT_THAT(rows, testing::StartsWith("filename,pixels,pixel_accuracy,miou,macc\nimage_0.png,"));
  EXPECT_EQ(std::ranges::count(rows, '\n'), 4);

  // Labels 1..4 as 4..1, with the names turned round, too.
  fs::remove(path("data/objectInfo4.txt"));
  std::ofstream(path("data/classes.txt")) << "Class_4\nclass 3\nclass 2\nclass 1\n";
  for (int i = 0; i < 3; ++i) {
    const std::string file = path(fmt::format("data/annotations/validation/image_{}.png", i));
    Image labels = read_label_png(file);
    for (uint8_t& label : labels.pixels) label = label == 0 ? 0 : static_cast<uint8_t>(5 - label);
    write_label_png(file, labels);
  }
  const Outcome turned = validate({"--predictions", path("turned.csv")});
  ASSERT_EQ(turned.code, 0) << turned.err;
  EXPECT_THAT(turned.err, HasSubstr("'Class_4' is 'class 4'"));
  EXPECT_NEAR(turned.json()["miou"].get<double>(), own.json()["miou"].get<double>(), 1e-9);
  EXPECT_EQ(turned.json()["aacc"], own.json()["aacc"]);
  for (int k = 0; k < kClasses; ++k) {
    EXPECT_EQ(turned.json()["per_class"][k]["iou"],
              own.json()["per_class"][kClasses - 1 - k]["iou"]);
  }

  std::ofstream(path("data/classes.txt")) << "sky\nclass 3\nclass 2\nclass 1\n";
  const Outcome other = validate();
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("only in the data (4 classes): sky"));
  EXPECT_THAT(other.err, HasSubstr("only in the model (4 classes): class 4"));

  // Without a list, the labels are the model's classes by number.
  fs::remove(path("data/classes.txt"));
  const Outcome unnamed = validate();
  EXPECT_EQ(unnamed.code, 0);
  EXPECT_THAT(unnamed.err, HasSubstr("does not name its classes: matched by number"));
}

TEST_F(SegmentCommand, LabelsAreLookedAtBeforeTheFirstImage) {
  const std::string file = path("data/annotations/validation/image_1.png");
  Image labels = read_label_png(file);
  labels.pixels[7] = 5;
  write_label_png(file, labels);
  const Outcome wrong = run({"validate", path("data"), "--model", model()});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_EQ(wrong.out, "");
  EXPECT_THAT(wrong.err, HasSubstr("image_1.png: label 5 at row 0, column 7; 1 of 3 label maps"));
  EXPECT_THAT(wrong.err, testing::Not(HasSubstr("validate: ")));

  // Nothing that could be right or wrong: no score, and no success.
  const Outcome none = run({"validate", data("cases/ade_no_labels"), "--model",
                            data("models/upernet_scenes.safetensors"), "--json"});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("no pixel of its 1 label maps has a class"));
  for (const char* score : {"miou", "macc", "aacc"}) EXPECT_TRUE(none.json()[score].is_null());
}

// A model that was trained on data with colors shows its classes in them.
TEST_F(SegmentCommand, ShowsTheModelsPaletteAndTakesAnotherSize) {
  SegmentorSpec spec;
  spec.config = segment::small_segmentor_config(kClasses);
  spec.preprocessing = segment::small_input();
  spec.palette = {"#010203", "#111213", "#212223", "#fffefd"};
  save_dense(path("colored.safetensors"), spec, lively_segmentor(spec));
  const Outcome outcome = segment(
      {photo(0)}, {"--model", path("colored.safetensors"), "--img-size", "48,64", "--quiet"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "");
  const Image labels = read_label_png(out("image_0.labels.png"));
  const Image shown = decode_image(out("image_0.labels.png"));
  const int k = labels.pixels[0];
  EXPECT_EQ(fmt::format("#{:02x}{:02x}{:02x}", shown.pixels[0], shown.pixels[1], shown.pixels[2]),
            spec.palette[static_cast<size_t>(k)]);
  const Outcome size = segment({photo(0)}, {"--model", model(), "--img-size", "64,32"});
  EXPECT_EQ(size.code, 2);
  EXPECT_THAT(size.err, HasSubstr("--img-size 64,32"));
}

}  // namespace
}  // namespace asmlp::test::cli_segment_test
