// asmlp detect, validate of a detector and bench --task detect, as a user runs them, on a random
// detector and synthetic scenes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "asmlp/image/decode.h"
#include "asmlp/image/encode.h"
#include "asmlp/weights/safetensors.h"
#include "asmlp/weights/weight_file.h"
#include "tests/support/command.h"
#include "tests/support/dense_files.h"
#include "tests/support/idx_files.h"

namespace asmlp::test::cli_detect_test {
namespace {

using testing::ElementsAre, testing::HasSubstr, testing::SizeIs;

class DetectCommand : public testing::Test {
 protected:
  // Once for all tests, which only add files.
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    write_discs(path("items"));
    const Outcome made = run({"dataset", "scenes", path("items"), "-o", path("scenes"), "--train",
                              "2", "--val", "4", "--size", "48x64"});
    ASSERT_EQ(made.code, 0) << made.err;
    DetectorSpec spec = detect::small_spec(DetectorKind::kMaskRcnn);
    spec.config.num_classes = 10;
    spec.classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};  // the scenes'
    spec.config.rpn.test_proposals = {60, 40, 0.7, 0};
    spec.config.test.score_threshold = 0.12;
    spec.config.test.max_detections = 20;
    spec.preprocessing.short_side = 64;
    spec.preprocessing.long_side = 96;
    save_dense(path("detector.safetensors"), spec, lively_detector(spec.config));
    DetectorSpec boxes = detect::small_spec(DetectorKind::kCascadeRcnn);
    boxes.config.num_classes = 10;
    boxes.classes = spec.classes;
    boxes.config.rpn.test_proposals = spec.config.rpn.test_proposals;
    boxes.config.test = spec.config.test;
    boxes.preprocessing = spec.preprocessing;
    save_dense(path("boxes.safetensors"), boxes, lively_detector(boxes.config));
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  static std::string path(const std::string& name) { return folder_->path() / name; }
  static Outcome detect_with(const std::string& image, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"detect",    image, "--model", path("detector.safetensors"),
                                   "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  // A copy of the scenes to break.
  static std::string copied_scenes(const std::string& name) {
    fs::copy(path("scenes"), path(name), fs::copy_options::recursive);
    return path(name);
  }
  // From the annotations of both splits whose place in the file is `chosen`.
  static void remove_outlines(const std::string& data, const std::function<bool(size_t)>& chosen) {
    for (const std::string split : {"train2017", "val2017"}) {
      const std::string file = data + "/annotations/instances_" + split + ".json";
      Json json = Json::parse(slurp(file));
      for (size_t i = 0; i < json["annotations"].size(); ++i) {
        if (chosen(i)) json["annotations"][i].erase("segmentation");
      }
      std::ofstream(file) << json.dump();
    }
  }
  static Outcome validate(const std::string& data, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"validate",  data, "--model", path("detector.safetensors"),
                                   "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }

  static TemporaryFolder* folder_;
};
TemporaryFolder* DetectCommand::folder_ = nullptr;

TEST_F(DetectCommand, WritesPicturesTablesAndCocoFiles) {
  const std::string annotations = path("scenes/annotations/instances_val2017.json");
  const Outcome made =
      detect_with(path("scenes/val2017"),
                  {"--output", path("found"), "--annotations", annotations, "--coco-results",
                   path("by_detect"), "--threshold", "0.2", "--json"});
  ASSERT_EQ(made.code, 0) << made.err;
  const Json json = made.json();
  const Json truth = Json::parse(slurp(annotations));
  ASSERT_THAT(json["images"], SizeIs(4));
  EXPECT_EQ(json["model"]["name"], "small");
  size_t detections = 0;
  for (size_t i = 0; i < 4; ++i) {
    const Json& image = json["images"][i];
    EXPECT_EQ(image["id"], truth["images"][i]["id"]);
    const Image picture = decode_image(image["picture"].get<std::string>());
    EXPECT_EQ(picture.width, 64 * 7);  // enlarged
    for (const Json& d : image["detections"]) {
      ++detections;
      EXPECT_EQ(d["image_id"], image["id"]);
      EXPECT_GT(d["score"].get<double>(), 0.12);
      EXPECT_GE(d["bbox"][0].get<double>(), 0);
      EXPECT_LE(d["bbox"][0].get<double>() + d["bbox"][2].get<double>(), 64.01);
      EXPECT_EQ(d["segmentation"]["size"], Json::array({48, 64}));
      EXPECT_EQ(d["label"] == "0", d["category_id"] == 1);
    }
  }
  EXPECT_GT(detections, 8u);
  EXPECT_THAT(listing(path("found")), SizeIs(4));

  // Evaluation finds the same objects, and writes the same files.
  const Outcome validated =
      validate(path("scenes"), {"--coco-results", path("by_validate"), "--json"});
  ASSERT_EQ(validated.code, 0) << validated.err;
  EXPECT_EQ(validated.json()["detections"], detections);
  for (const std::string task : {".bbox.json", ".segm.json"}) {
    EXPECT_EQ(slurp(path("by_detect") + task), slurp(path("by_validate") + task));
    EXPECT_THAT(Json::parse(slurp(path("by_detect") + task)), SizeIs(detections));
  }

  const Outcome text = detect_with(path("scenes/val2017"), {"--no-pictures", "--threshold", "0"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("64 x 48, "));
  EXPECT_THAT(text.out, HasSubstr("mask pixels"));
  EXPECT_THAT(text.err, HasSubstr("4 images in "));
}

TEST_F(DetectCommand, ValidatePrintsTheTwelveNumbers) {
  const Outcome text = validate(path("scenes"), {"--per-class", "--results-file", path("r.csv")});
  ASSERT_EQ(text.code, 0) << text.err;
  for (const char* line :
       {"\nbbox\n", "\nsegm\n",
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.",
        " Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 0.",
        " Average Recall     (AR) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = ", "segm AP",
        "4 images"}) {
    EXPECT_THAT(text.out, HasSubstr(line));
  }
  EXPECT_THAT(slurp(path("r.csv")), HasSubstr("bbox_AP50"));
  const Outcome json = validate(path("scenes"), {"--split", "train", "--json"});
  ASSERT_EQ(json.code, 0) << json.err;
  EXPECT_EQ(json.json()["images"], 2);
  EXPECT_THAT(json.json()["segm"]["category_ap"], SizeIs(10));
}

TEST_F(DetectCommand, ImagesOfEveryKind) {
  fs::create_directories(path("odd"));
  write_png(path("odd/pixel.png"), Image(1, 1, 3));
  write_png(path("odd/strip.png"), Image(3, 10000, 1));
  std::ofstream(path("odd/torn.png")) << "\x89PNG";
  const Outcome outcome = detect_with(path("odd"), {"--output", path("odd_found"), "--json"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("torn.png"));
  const Json json = outcome.json();
  EXPECT_THAT(json["images"], SizeIs(2));
  EXPECT_THAT(json["failed"], SizeIs(1));
  EXPECT_THAT(listing(path("odd_found")), ElementsAre("pixel.png", "strip.png"));

  const Outcome missing = detect_with(path("nothing.jpg"), {"--no-pictures"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("nothing.jpg"));
  // Not among the annotations.
  const Outcome stranger = detect_with(
      path("odd/pixel.png"),
      {"--no-pictures", "--annotations", path("scenes/annotations/instances_val2017.json")});
  EXPECT_EQ(stranger.code, 1);
  EXPECT_THAT(stranger.err, HasSubstr("pixel.png: is not in the annotations"));
}

TEST_F(DetectCommand, ModelsThatAreNone) {
  const std::string image = path("scenes/val2017");
  fs::create_directories(path("no_models"));
  write_model(path("classifier.safetensors"));
  const Outcome none =
      run({"detect", image, "--json"}, {.environment = {"ASMLP_MODEL_DIR=" + path("no_models")}});
  EXPECT_EQ(none.code, 1);
  EXPECT_EQ(none.json()["error"]["code"], "not_found");
  EXPECT_THAT(none.err, HasSubstr("no *.safetensors of a detector in"));
  // The bundled one is the first that is a detector.
  fs::copy(path("classifier.safetensors"), path("no_models/a.safetensors"));
  fs::copy(path("detector.safetensors"), path("no_models/b.safetensors"));
  const Outcome bundled = run({"detect", image, "--no-pictures"},
                              {.environment = {"ASMLP_MODEL_DIR=" + path("no_models")}});
  EXPECT_EQ(bundled.code, 0) << bundled.err;
  EXPECT_THAT(bundled.err, HasSubstr("using the bundled model"));
  EXPECT_THAT(bundled.err, HasSubstr(" classes only"));
  const Outcome classifier =
      run({"detect", image, "--model", path("classifier.safetensors"), "--no-pictures"});
  EXPECT_EQ(classifier.code, 1);
  EXPECT_THAT(classifier.err, HasSubstr("weights of a classifier"));
  const Outcome arch = detect_with(image, {"--arch", "mask_rcnn_asmlp_tny"});
  EXPECT_EQ(arch.code, 1);
  EXPECT_THAT(arch.err, HasSubstr("mask_rcnn_asmlp_tiny"));
}

// The same objects in every form, for any batch size.
TEST_F(DetectCommand, WritesCsvAndYoloAndBatchesWithoutChangingWhatIsFound) {
  const std::vector<std::string> fixed{"--no-pictures", "--json", "--threshold", "0.2"};
  const auto found = [&](std::vector<std::string> more) {
    more.insert(more.end(), fixed.begin(), fixed.end());
    const Outcome outcome = detect_with(path("scenes/val2017"), more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.json();
  };
  const Json one =
      found({"--results-file", path("found.csv"), "--yolo", path("yolo"), "--yolo-scores"});
  const Json four = found({"--batch-size", "4", "--results-file", path("found4.csv"), "--quiet"});
  size_t objects = 0, lines = 0;
  for (size_t i = 0; i < 4; ++i) {
    const Json &a = one["images"][i], &b = four["images"][i];
    ASSERT_EQ(a["detections"].size(), b["detections"].size());
    std::ifstream labels(a["yolo"].get<std::string>());
    for (size_t k = 0; k < a["detections"].size(); ++k) {
      const Json &d = a["detections"][k], &e = b["detections"][k];
      ++objects;
      EXPECT_EQ(d["label"], e["label"]);
      EXPECT_NEAR(d["score"].get<double>(), e["score"].get<double>(), 1e-4);
      if (d["score"].get<double>() < 0.2) continue;
      int label = -1;
      double cx = 0, cy = 0, w = 0, h = 0, score = 0;
      ASSERT_TRUE(labels >> label >> cx >> cy >> w >> h >> score);
      ++lines;
      EXPECT_EQ(label + 1, d["category_id"]);
      EXPECT_NEAR((cx - w / 2) * 64, d["bbox"][0].get<double>(), 1e-3);
      EXPECT_NEAR((cy - h / 2) * 48, d["bbox"][1].get<double>(), 1e-3);
      EXPECT_NEAR(w * 64, d["bbox"][2].get<double>(), 1e-3);
      EXPECT_NEAR(h * 48, d["bbox"][3].get<double>(), 1e-3);
      EXPECT_NEAR(score, d["score"].get<double>(), 1e-6);
    }
  }
  EXPECT_GT(lines, 4u);
  EXPECT_THAT(listing(path("yolo")), SizeIs(5));  // classes.txt, too
  EXPECT_THAT(slurp(path("yolo/classes.txt")), testing::StartsWith("0\n1\n"));
  const std::string csv = slurp(path("found.csv"));
  EXPECT_EQ(static_cast<size_t>(std::ranges::count(csv, '\n')), objects + 1);
  EXPECT_THAT(csv, testing::StartsWith("filename,index,label,score,x1,y1,x2,y2,mask_pixels\n"));
  EXPECT_EQ(std::ranges::count(slurp(path("found4.csv")), '\n'), std::ranges::count(csv, '\n'));
  EXPECT_NE(found({"--img-size", "80"})["images"], one["images"]);
}

TEST_F(DetectCommand, ValidateWritesARowPerImage) {
  const Outcome outcome = validate(path("scenes"), {"--predictions", path("rows.csv"), "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::istringstream rows(slurp(path("rows.csv")));
  std::string row;
  ASSERT_TRUE(std::getline(rows, row));
  EXPECT_EQ(row, "filename,image_id,objects,detections,matched");
  int objects = 0, images = 0;
  while (std::getline(rows, row)) {
    std::istringstream cells(row.substr(row.find(',') + 1));
    char comma = 0;
    int id = 0, wanted = 0, detections = 0, matched = 0;
    ASSERT_TRUE(cells >> id >> comma >> wanted >> comma >> detections >> comma >> matched) << row;
    EXPECT_LE(matched, std::min(wanted, detections));
    objects += wanted;
    ++images;
  }
  EXPECT_EQ(images, 4);
  EXPECT_EQ(objects, outcome.json()["annotations"]);
}

TEST_F(DetectCommand, DataThatIsBroken) {
  // One image is gone: named, counted, and what is on it is missed.
  const std::string data = copied_scenes("broken");
  const std::string file = data + "/annotations/instances_val2017.json";
  Json truth = Json::parse(slurp(file));
  fs::remove(data + "/val2017/" + truth["images"][1]["file_name"].get<std::string>());
  const Outcome gone = validate(data, {"--json"});
  EXPECT_EQ(gone.code, 1);
  EXPECT_EQ(gone.json()["failed"], 1);
  EXPECT_EQ(gone.json()["images"], 3);
  EXPECT_THAT(gone.err, HasSubstr(truth["images"][1]["file_name"].get<std::string>()));

  // Annotations of nothing are counted.
  Json stray = truth["annotations"][0];
  stray["id"] = 100000;
  stray["category_id"] = 77;
  truth["annotations"].push_back(stray);
  std::ofstream(file) << truth.dump();
  const Outcome skipped = validate(data, {"--json"});
  EXPECT_EQ(skipped.json()["skipped_annotations"], 1);
  EXPECT_THAT(skipped.err, HasSubstr("1 annotation"));

  for (Json& category : truth["categories"]) category["name"] = "my " + category["name"].dump();
  std::ofstream(file) << truth.dump();
  const Outcome other = validate(data);
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("only in the file: 'my "));
  std::ofstream(file) << "{\"images\": [";
  const Outcome torn = validate(data);
  EXPECT_EQ(torn.code, 1);
  EXPECT_THAT(torn.err, HasSubstr("instances_val2017.json"));
  fs::remove_all(data + "/val2017");
  EXPECT_THAT(validate(data).err, HasSubstr("val2017"));
}

// A detector of boxes, on annotations without outlines.
TEST_F(DetectCommand, BoxesNeedNoMasks) {
  const std::string data = copied_scenes("boxes");
  remove_outlines(data, [](size_t) { return true; });
  const std::string model = path("boxes.safetensors");
  const std::vector<std::string> words{"validate",  data, "--model",        model,
                                       "--threads", "1",  "--coco-results", path("box_results")};
  const auto with = [&](std::vector<std::string> all, const std::vector<std::string>& more) {
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  };
  const Outcome validated = with(words, {"--json", "--results-file", path("boxes.csv")});
  ASSERT_EQ(validated.code, 0) << validated.err;
  EXPECT_GE(validated.json()["bbox"]["AP"].get<double>(), 0);
  EXPECT_TRUE(validated.json()["segm"].is_null());
  EXPECT_EQ(validated.json()["segm_note"], "the model finds boxes only");
  EXPECT_THAT(slurp(path("boxes.csv")), HasSubstr("segm_ARl\n"));
  EXPECT_THAT(slurp(path("boxes.csv")), testing::EndsWith(",,,,,,,,,,,,\n"));
  EXPECT_TRUE(fs::exists(path("box_results.bbox.json")));
  EXPECT_FALSE(fs::exists(path("box_results.segm.json")));
  const Outcome text = with(words, {"--per-class"});
  EXPECT_THAT(text.out, HasSubstr("\nsegm: the model finds boxes only\n"));
  EXPECT_THAT(text.out, testing::Not(HasSubstr("segm AP")));

  const Outcome found =
      run({"detect", path("scenes/val2017"), "--model", model, "--threshold", "0", "--output",
           path("box_found"), "--coco-results", path("box_r"), "--threads", "1", "--annotations",
           data + "/annotations/instances_val2017.json", "--json"});
  ASSERT_EQ(found.code, 0) << found.err;
  const Json listed = found.json();
  size_t detections = 0;
  for (const Json& image : listed["images"]) {
    for (const Json& d : image["detections"]) {
      ++detections;
      EXPECT_FALSE(d.contains("segmentation") || d.contains("area"));
    }
  }
  EXPECT_EQ(detections, validated.json()["detections"]);
  EXPECT_GT(detections, 0u);
  EXPECT_THAT(listing(path("box_found")), SizeIs(4));
  EXPECT_EQ(slurp(path("box_r.bbox.json")), slurp(path("box_results.bbox.json")));
  EXPECT_FALSE(fs::exists(path("box_r.segm.json")));
  EXPECT_THAT(
      run({"detect", path("scenes/val2017"), "--model", model, "--no-pictures", "--threshold", "0"})
          .out,
      testing::Not(HasSubstr("mask pixels")));
  const Outcome bench = run({"bench", "--task", "detect", "--model", model, "--size", "48x64",
                             "--runs", "2", "--threads", "1"});
  EXPECT_EQ(bench.code, 0) << bench.err;
  EXPECT_THAT(bench.out, testing::Not(HasSubstr("mask heads")));

  // As mmdetection writes it, without a description.
  const WeightFile file = read_weights(model);
  write_safetensors(path("bare.safetensors"), file.tensors, {});
  std::ofstream(path("boxes.json")) << to_json(*file.description());
  const std::string made = path("made.safetensors");
  const Outcome converted = run({"convert", path("bare.safetensors"), made, "--config",
                                 path("boxes.json"), "--shift-size", "5"});
  ASSERT_EQ(converted.code, 0) << converted.err;
  const Outcome again = run({"detect", path("scenes/val2017"), "--model", made, "--no-pictures",
                             "--coco-results", path("box_again"), "--threads", "1"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(slurp(path("box_again.bbox.json")), slurp(path("box_r.bbox.json")));
}

// Masks are scored over the objects that have an outline.
TEST_F(DetectCommand, MasksWhereTheyAre) {
  const Json whole = validate(path("scenes"), {"--json"}).json();
  EXPECT_FALSE(whole.contains("segm_note"));
  const std::string mixed = copied_scenes("mixed"), none = copied_scenes("none");
  remove_outlines(mixed, [](size_t i) { return i == 0; });
  const Outcome some = validate(mixed, {"--json"});
  ASSERT_EQ(some.code, 0) << some.err;
  EXPECT_EQ(some.json()["bbox"], whole["bbox"]);
  EXPECT_TRUE(some.json()["segm"].is_object());
  EXPECT_THAT(some.json()["segm_note"].get<std::string>(),
              HasSubstr(std::to_string(whole["annotations"].get<int>() - 1) + " of "));

  remove_outlines(none, [](size_t) { return true; });
  const Outcome boxes = validate(none, {"--json"});
  ASSERT_EQ(boxes.code, 0) << boxes.err;
  EXPECT_EQ(boxes.json()["bbox"], whole["bbox"]);
  EXPECT_TRUE(boxes.json()["segm"].is_null());
  EXPECT_EQ(boxes.json()["segm_note"], "no object of the annotations has an outline");
}

TEST_F(DetectCommand, BenchTellsTheParts) {
  std::vector<std::string> words{
      "bench",  "--task", "detect",    "--model", path("detector.safetensors"), "--size", "50x70",
      "--runs", "2",      "--threads", "1"};
  const Outcome text = run(words);
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("mask heads"));
  for (const char* word : {"--json", "--precision", "fp32,bf16", "--batch", "1,2"}) {
    words.emplace_back(word);
  }
  const Json json = run(words).json();
  ASSERT_THAT(json["rows"], SizeIs(4));
  for (const Json& row : json["rows"]) {
    EXPECT_EQ(row["backend"], "native");
    EXPECT_EQ(row["height"], 50);
    EXPECT_EQ(row["width"], 70);
    EXPECT_LE(row["verified"]["relative_error"], row["verified"]["tolerance"]);
    EXPECT_LE(row["verified"]["missing_share"], row["precision"] == "fp32" ? 0.2 : 1.0);
    EXPECT_GT(row["images_per_second"].get<double>(), 0);
    double sum = 0, gflop = 0;
    for (const auto& [part, ms] : row["parts_ms"].items()) {
      if (part != "total") sum += ms["min"].get<double>();
    }
    for (const auto& [part, value] : row["parts_gflop"].items()) {
      if (part != "total") gflop += value.get<double>();
    }
    EXPECT_GT(sum, 0);
    EXPECT_LE(sum, row["parts_ms"]["total"]["min"].get<double>() * 1.0001);
    EXPECT_NEAR(gflop, row["parts_gflop"]["total"].get<double>(), gflop * 1e-9);
    for (const char* part : {"backbone", "pyramid", "RPN", "box heads", "mask heads"}) {
      EXPECT_GT(row["parts_gflop"][part].get<double>(), 0) << part;
    }
  }
  EXPECT_EQ(json["rows"][3]["precision"], "bf16");
  EXPECT_EQ(json["rows"][3]["batch"], 2);
  for (const char* size : {"50by70", "0x70", "16385", "50x"}) {
    EXPECT_EQ(run({"bench", "--task", "detect", "--size", size}).code, 2) << size;
  }
  EXPECT_EQ(run({"bench", "--task", "sing"}).code, 2);
}

}  // namespace
}  // namespace asmlp::test::cli_detect_test
