// Both backends give the same output of detectors and segmentors: objects, pixels, scores, files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "asmlp/image/labels/label_png.h"
#include "tests/support/command.h"
#include "tests/support/idx_files.h"

namespace asmlp::test::torch_backends_test {
namespace {

using testing::HasSubstr, testing::SizeIs;

std::string trained(const char* name) { return data("models") / name; }

class Backends : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() / name; }
  static Json run_on(const std::string& backend, std::vector<std::string> words) {
    words.insert(words.end(), {"--backend", backend, "--json", "--threads", "1"});
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.json();
  }
  // The keys of both documents are the same, whatever the values.
  static void expect_same_form(const Json& a, const Json& b, const std::string& at = "") {
    ASSERT_EQ(a.type() == b.type() || (a.is_number() && b.is_number()), true) << at;
    if (!a.is_object()) return;
    ASSERT_EQ(a.size(), b.size()) << at;
    for (const auto& [key, value] : a.items()) {
      ASSERT_TRUE(b.contains(key)) << at << '/' << key;
      expect_same_form(value, b[key], at + '/' + key);
    }
  }

  TemporaryFolder folder_;
};

TEST_F(Backends, FindTheSameObjects) {
  const auto detect = [&](const std::string& backend) {
    return run_on(backend, {"detect", data("coco_base/val2017"), "--model",
                            trained("mask_rcnn_scenes.safetensors"), "--output", path(backend),
                            "--yolo", path(backend + "_yolo")});
  };
  const Json native = detect("native"), torch = detect("torch");
  ASSERT_THAT(native["images"], SizeIs(3));
  for (size_t i = 0; i < 3; ++i) {
    const Json &ours = native["images"][i]["detections"],
               &theirs = torch["images"][i]["detections"];
    expect_same_form(native["images"][i], torch["images"][i]);
    ASSERT_EQ(ours.size(), theirs.size());
    for (size_t k = 0; k < ours.size(); ++k) {
      EXPECT_EQ(ours[k]["label"], theirs[k]["label"]);
      EXPECT_NEAR(ours[k]["score"].get<double>(), theirs[k]["score"].get<double>(), 1e-3);
      for (size_t side = 0; side < 4; ++side) {
        EXPECT_NEAR(ours[k]["bbox"][side].get<double>(), theirs[k]["bbox"][side].get<double>(),
                    0.1);
      }
    }
  }
  EXPECT_EQ(listing(path("native")), listing(path("torch")));
  EXPECT_EQ(listing(path("native_yolo")), listing(path("torch_yolo")));
}

TEST_F(Backends, LabelTheSamePixels) {
  const auto segment = [&](const std::string& backend, std::vector<std::string> views) {
    std::vector<std::string> words{"segment",  data("coco_base/val2017"),
                                   "--model",  trained("upernet_scenes.safetensors"),
                                   "--output", path(backend)};
    words.insert(words.end(), views.begin(), views.end());
    return run_on(backend, words);
  };
  for (const std::vector<std::string>& views :
       {std::vector<std::string>{}, {"--flip", "--sliding", "--crop", "96"}}) {
    const Json native = segment("native", views), torch = segment("torch", views);
    EXPECT_EQ(native["views"], torch["views"]);
    EXPECT_EQ(listing(path("native")), listing(path("torch")));
    for (const std::string& name : listing(path("native"))) {
      if (!name.ends_with(".labels.png")) continue;
      const Image ours = read_label_png(path("native/" + name));
      const Image theirs = read_label_png(path("torch/" + name));
      ASSERT_EQ(ours.pixels.size(), theirs.pixels.size());
      size_t others = 0;
      for (size_t p = 0; p < ours.pixels.size(); ++p) others += ours.pixels[p] != theirs.pixels[p];
      EXPECT_LE(others, ours.pixels.size() / 1000) << name;
    }
  }
}

TEST_F(Backends, MeasureTheSameScores) {
  const auto coco = [&](const std::string& backend) {
    return run_on(backend, {"validate", data("coco_base"), "--model",
                            trained("mask_rcnn_scenes.safetensors"), "--per-class", "--predictions",
                            path(backend + ".csv"), "--coco-results", path(backend)});
  };
  const Json native = coco("native"), torch = coco("torch");
  expect_same_form(native, torch);
  for (const char* task : {"bbox", "segm"}) {
    EXPECT_NEAR(native[task]["AP"].get<double>(), torch[task]["AP"].get<double>(), 1e-3);
  }
  EXPECT_EQ(native["param_count"], torch["param_count"]);
  EXPECT_EQ(slurp(path("native.csv")), slurp(path("torch.csv")));
  for (const char* suffix : {".bbox.json", ".segm.json"}) {
    EXPECT_EQ(Json::parse(slurp(path(std::string("native") + suffix))).size(),
              Json::parse(slurp(path(std::string("torch") + suffix))).size());
  }

  write_discs(path("items"));
  ASSERT_EQ(
      run({"dataset", "scenes", path("items"), "-o", path("scenes"), "--train", "1", "--val", "4"})
          .code,
      0);
  // The model's classes by the names of these items.
  std::ofstream names(path("names.txt"));
  names << "background\n";
  for (int k = 0; k < 10; ++k) names << k << '\n';
  names.close();
  const auto ade = [&](const std::string& backend) {
    return run_on(backend,
                  {"validate", path("scenes"), "--model", trained("upernet_scenes.safetensors"),
                   "--class-map", path("names.txt"), "--multi-scale"});
  };
  const Json ours = ade("native"), theirs = ade("torch");
  expect_same_form(ours, theirs);
  EXPECT_NEAR(ours["miou"].get<double>(), theirs["miou"].get<double>(), 0.05);
}

// The parts of a step add up to it.
TEST_F(Backends, BenchMeasuresTheTrainingStepsOfDenseTasks) {
  for (const auto& [model, first, last] :
       {std::tuple{"mask_rcnn_scenes.safetensors", "backbone", "pyramid back"},
        std::tuple{"upernet_scenes.safetensors", "backbone", "heads back"}}) {
    const Outcome outcome = run({"bench", "--train", "--model", trained(model), "--runs", "1",
                                 "--warmup", "0", "--size", "96x128", "--threads", "1", "--json"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json row = outcome.json()["rows"].at(0);
    double sum = 0;
    std::vector<std::string> parts;
    for (const Json& part : row["parts"]) {
      parts.push_back(part["part"].get<std::string>());
      sum += part["ms"]["median"].get<double>();
    }
    EXPECT_EQ(parts.front(), first);
    EXPECT_THAT(parts, testing::IsSupersetOf({last, "backbone back", "update"}));
    EXPECT_NEAR(sum, row["step_ms"]["median"].get<double>(), 1e-3 * sum);
    EXPECT_EQ(row["width"].get<int>(), 128);
  }
  EXPECT_NE(run({"bench", "--train", "--task", "segment", "--batch", "1"}).code, 0);
}

TEST_F(Backends, BenchMeasuresBothInTurn) {
  for (const char* task : {"detect", "segment"}) {
    const Json json =
        run_on("torch", {"bench", "--task", task, "--model",
                         trained(task == std::string("detect") ? "mask_rcnn_scenes.safetensors"
                                                               : "upernet_scenes.safetensors"),
                         "--runs", "2", "--warmup", "0", "--size", "96x128"});
    ASSERT_THAT(json["rows"], SizeIs(2)) << task;
    EXPECT_EQ(json["rows"][0]["backend"], "native");
    EXPECT_EQ(json["rows"][1]["backend"], "torch");
    EXPECT_EQ(json["rows"][1]["isa"], "libtorch");
    EXPECT_GT(json["rows"][0]["speedup"]["total"]["median"].get<double>(), 0);
    for (const Json& row : json["rows"]) {
      const Json& verified = row["verified"];
      if (verified.contains("relative_error")) {
        EXPECT_LE(verified["relative_error"], verified["tolerance"]);
      }
      if (verified.contains("missing_share")) {
        EXPECT_LE(verified["missing_share"], 0.2);
      }
    }
  }
  const Outcome bf16 =
      run({"bench", "--task", "detect", "--model", trained("mask_rcnn_scenes.safetensors"),
           "--precision", "bf16", "--backend", "torch"});
  EXPECT_EQ(bf16.code, 1);
  EXPECT_THAT(bf16.err, HasSubstr("--backend torch"));
}

TEST_F(Backends, LibTorchTakesNoOptionsOfTheEngine) {
  const auto refused = [](const std::vector<std::string>& more) {
    std::vector<std::string> words{"detect",
                                   data("coco_base/val2017"),
                                   "--no-pictures",
                                   "--model",
                                   trained("mask_rcnn_scenes.safetensors"),
                                   "--backend",
                                   "torch"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  EXPECT_THAT(refused({"--isa", "avx2"}).err, HasSubstr("--isa avx2"));
  EXPECT_THAT(refused({"--precision", "bf16"}).err, HasSubstr("--precision bf16"));
}

}  // namespace
}  // namespace asmlp::test::torch_backends_test
