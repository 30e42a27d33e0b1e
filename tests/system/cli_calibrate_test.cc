// asmlp calibrate, and what predict, validate, and info make of its files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "asmlp/weights/quantized.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/command.h"

namespace asmlp::test::cli_calibrate_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Photographs in folders of the classes that the model sees in them, four of five, and one of five
// in that of the second class: better than chance, and not all right, in both halves.
class CalibrateCommand : public testing::Test {
 protected:
  void SetUp() override {
    model_ = write_model(path("m.safetensors"), 3, 5, 16);
    for (const char* photo : {"astronaut.png", "coffee.png", "rocket.jpg"}) {
      const Json best = predictions(model_, photo);
      for (int copy = 0; copy < 10; ++copy) {
        const fs::path folder =
            fs::path(path("data/val")) / best[copy < 8 ? 0 : 1]["label"].get<std::string>();
        fs::create_directories(folder);
        fs::copy_file(data("photos") / photo, folder / (std::to_string(copy) + photo));
      }
    }
  }
  std::string path(const std::string& name) const { return folder_.path() / name; }
  static Json predictions(const std::string& model, const std::string& photo) {
    const Outcome outcome = run({"predict", data("photos") / photo, "--model", model, "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.json()["images"][0]["predictions"];
  }
  Outcome calibrate(const std::string& model, const std::string& out,
                    std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"calibrate", model, "-o", path(out)};
    if (more.empty()) more = {"--data", path("data"), "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  Json validate(const std::string& model) const {
    return run({"validate", path("data"), "--model", model, "--json"}).json();
  }
  static Json origin(const std::string& model) {
    return run({"info", model, "--json"}).json()["model"]["origin"];
  }

  TemporaryFolder folder_;
  std::string model_;
};

TEST_F(CalibrateCommand, FoldsTheTemperatureIntoTheHead) {
  const Outcome made = calibrate(model_, "c.safetensors");
  ASSERT_EQ(made.code, 0) << made.err;
  const Json json = made.json();
  EXPECT_THAT(listing(folder_.path()),
              testing::ElementsAre("c.safetensors", "data", "m.safetensors"));
  EXPECT_EQ(json["images"], 30);
  EXPECT_EQ(json["split"], "val");
  EXPECT_DOUBLE_EQ(json["top1"].get<double>(), 80);
  EXPECT_EQ(json["after"]["method"], "two-fold cross fitting");

  // What validate says of both files.
  const std::string calibrated = path("c.safetensors");
  const Json before = validate(model_), after = validate(calibrated);
  EXPECT_NEAR(before["ece"].get<double>(), json["before"]["ece"].get<double>(), 1e-5);
  EXPECT_NEAR(before["loss"].get<double>(), json["before"]["loss"].get<double>(), 1e-5);
  EXPECT_NEAR(before["confidence"].get<double>(), json["before"]["confidence"].get<double>(), 1e-5);
  EXPECT_EQ(after["top1"], before["top1"]);
  EXPECT_LT(after["loss"].get<double>(), before["loss"].get<double>());
  // No temperature of a part is better for the whole than its own, and these help, too.
  EXPECT_GE(json["after"]["loss"].get<double>(), after["loss"].get<double>() - 1e-6);
  EXPECT_LT(json["after"]["loss"].get<double>(), before["loss"].get<double>());
  // Right four times of five, and it says so.
  EXPECT_NEAR(after["confidence"].get<double>(), 0.8, 0.1);
  EXPECT_THAT(run({"validate", path("data"), "--model", calibrated}).out,
              AllOf(HasSubstr("ECE "), HasSubstr("mean confidence")));

  // Everything but the head has the same bytes; the head is divided by what the file says.
  const TensorMap was = read_safetensors(model_).tensors, is = read_safetensors(calibrated).tensors;
  const double temperature = json["temperature"];
  ASSERT_EQ(was.size(), is.size());
  for (const auto& [name, tensor] : was) {
    std::vector<float> expected = to_f32(tensor);
    if (name.starts_with("head.")) {
      for (float& value : expected) value = static_cast<float>(value / temperature);
    }
    EXPECT_EQ(to_f32(is.at(name)), expected) << name;
  }
  const Json told = origin(calibrated);
  EXPECT_DOUBLE_EQ(std::stod(told["temperature"].get<std::string>()), temperature);
  EXPECT_DOUBLE_EQ(std::stod(told["typical_score"].get<std::string>()),
                   json["typical_score"].get<double>());
  EXPECT_THAT(told["calibration_data"],
              AllOf(HasSubstr(path("data")), HasSubstr("val, 30 images")));
  EXPECT_THAT(told["calibration"],
              AllOf(HasSubstr("ECE"), HasSubstr("loss"), HasSubstr("two-fold")));
}

TEST_F(CalibrateCommand, TemperaturesMultiply) {
  const double own = calibrate(model_, "c.safetensors").json()["temperature"];
  const Outcome hot = calibrate(model_, "hot.safetensors", {"--temperature", "0.25"});
  ASSERT_EQ(hot.code, 0) << hot.err;
  EXPECT_EQ(origin(path("hot.safetensors"))["temperature"], "0.25");
  EXPECT_FALSE(origin(path("hot.safetensors")).contains("typical_score"));
  const Json again = calibrate(path("hot.safetensors"), "again.safetensors").json();
  EXPECT_NEAR(again["temperature"].get<double>(), 4 * own, 1e-4 * own);
  EXPECT_NEAR(again["temperature_in_file"].get<double>(), own, 1e-4 * own);
  // The old score says nothing of other temperatures.
  ASSERT_EQ(calibrate(path("again.safetensors"), "last.safetensors", {"--temperature", "2"}).code,
            0);
  const Json last = origin(path("last.safetensors"));
  EXPECT_NEAR(std::stod(last["temperature"].get<std::string>()), 2 * own, 1e-4 * own);
  EXPECT_FALSE(last.contains("typical_score"));
  EXPECT_FALSE(last.contains("calibration"));
}

TEST_F(CalibrateCommand, PredictMarksWhatIsUnlikeWhatTheModelKnows) {
  const auto predict = [&](const std::string& model, bool json) {
    std::vector<std::string> words{"predict", data("photos/rocket.jpg"), "--model", path(model)};
    if (json) words.push_back("--json");
    return run(words);
  };
  ASSERT_EQ(
      calibrate(model_, "high.safetensors", {"--temperature", "1", "--typical-score", "0.999"})
          .code,
      0);
  ASSERT_EQ(
      calibrate(model_, "low.safetensors", {"--temperature", "1", "--typical-score", "0.001"}).code,
      0);
  EXPECT_EQ(predict("high.safetensors", true).json()["images"][0]["unsure"], true);
  EXPECT_EQ(predict("low.safetensors", true).json()["images"][0]["unsure"], false);
  EXPECT_FALSE(predict("m.safetensors", true).json()["images"][0].contains("unsure"));
  EXPECT_THAT(predict("high.safetensors", false).out, HasSubstr("unsure: lower than 90 %"));
  EXPECT_THAT(predict("low.safetensors", false).out, Not(HasSubstr("unsure")));
}

TEST_F(CalibrateCommand, TakesInt8ModelsAndKeepsTheirLayers) {
  ASSERT_EQ(run({"quantize", model_, "--data", data("photos"), "-o", path("q.safetensors"),
                 "--max-error", "1", "--quiet"})
                .code,
            0);
  const Outcome made = calibrate(path("q.safetensors"), "c.safetensors");
  ASSERT_EQ(made.code, 0) << made.err;
  const TensorMap was = read_safetensors(path("q.safetensors")).tensors;
  for (const auto& [name, tensor] : read_safetensors(path("c.safetensors")).tensors) {
    EXPECT_EQ(std::ranges::equal(tensor.bytes, was.at(name).bytes), !name.starts_with("head."))
        << name;
  }
  EXPECT_LT(validate(path("c.safetensors"))["loss"].get<double>(),
            validate(path("q.safetensors"))["loss"].get<double>());
  EXPECT_EQ(validate(path("c.safetensors"))["precision"], "int8");
}

TEST_F(CalibrateCommand, AnImageThatCannotBeReadIsNamedAndSkipped) {
  fs::create_directories(path("data/val/kind a"));
  std::ofstream(path("data/val/kind a/broken.png")) << "no picture";
  const Outcome made = calibrate(model_, "c.safetensors");
  EXPECT_EQ(made.code, 1);
  EXPECT_THAT(made.err, HasSubstr("broken.png"));
  EXPECT_EQ(made.json()["failed"], 1);
  EXPECT_TRUE(fs::exists(path("c.safetensors")));
}

TEST_F(CalibrateCommand, WhatCannotBeDoneIsSaidAndWritesNothing) {
  struct Wrong {
    std::vector<std::string> arguments;
    int code;
    std::string said;
  };
  const std::string out = path("o.safetensors"), photos = path("data");
  // Every image is right: what is left after the others have gone.
  for (const auto& entry : fs::recursive_directory_iterator(path("data"))) {
    const std::string name = entry.path().filename();
    if (!entry.is_regular_file() || name[0] == '8' || name[0] == '9') continue;
    const fs::path copy =
        fs::path(path("right/val")) / fs::relative(entry.path(), path("data/val"));
    fs::create_directories(copy.parent_path());
    fs::copy_file(entry.path(), copy);
  }
  write_model(path("one.safetensors"), 3, 1);
  write_model(path("backbone.safetensors"), 3, 0);
  const std::vector<Wrong> all{
      {{model_, "-o", out}, 2, "--data DIR"},
      {{model_, "-o", out, "--data", photos, "--temperature", "2"}, 2, "exclude each other"},
      {{model_, "-o", out, "--data", photos, "--typical-score", "0.5"}, 2, "--typical-score"},
      {{model_, "-o", out, "--temperature", "2", "--split", "val"}, 2, "--split"},
      {{model_, "-o", out, "--temperature", "0"}, 2, "--temperature"},
      {{model_, "-o", out, "--temperature", "nan"}, 2, "--temperature"},
      {{model_, "-o", out, "--temperature", "2", "--typical-score", "1.5"}, 2, "--typical-score"},
      {{model_, "-o", model_, "--temperature", "2"}, 2, "both input and output"},
      {{model_, "-o", path("o.pth"), "--temperature", "2"}, 2, ".safetensors"},
      {{model_, "-o", path("none/o.safetensors"), "--temperature", "2"}, 1, "none"},
      {{model_, "-o", out, "--data", path("nowhere")}, 1, "nowhere"},
      {{model_, "-o", out, "--data", photos, "--split", "test"}, 1, "test"},
      {{model_, "-o", out, "--data", path("right")}, 1, "right on all 24 images"},
      {{path("one.safetensors"), "-o", out, "--data", photos}, 1, "kind"},
      {{path("backbone.safetensors"), "-o", out, "--temperature", "2"}, 1, "without head"},
      {{data("models/mask_rcnn_scenes.safetensors"), "-o", out, "--temperature", "2"}, 1, "detect"},
      {{path("missing.safetensors"), "-o", out, "--temperature", "2"}, 1, "missing"}};
  for (const Wrong& wrong : all) {
    std::vector<std::string> words{"calibrate"};
    words.insert(words.end(), wrong.arguments.begin(), wrong.arguments.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, wrong.code) << testing::PrintToString(wrong.arguments) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(wrong.said));
    EXPECT_FALSE(fs::exists(out));
  }
}

TEST(PredictWithoutAModel, SaysWhatItKnows) {
  const TemporaryFolder folder;
  const auto predict = [&](int classes, std::vector<std::string> more) {
    for (const std::string& name : listing(folder.path())) fs::remove(folder.path() / name);
    write_model(folder.path() / "m.safetensors", 3, classes);
    std::vector<std::string> words{"predict", data("photos/rocket.jpg")};
    words.insert(words.end(), more.begin(), more.end());
    const RunSettings settings{.environment =
                                   environment_with("ASMLP_MODEL_DIR=" + folder.path().string())};
    return run(words, settings).err;
  };
  EXPECT_THAT(
      predict(3, {}),
      AllOf(HasSubstr("note: filled knows 3 classes only: kind a, kind b, kind c (`asmlp info"),
            HasSubstr("m.safetensors` says more)")));
  EXPECT_THAT(predict(20, {}), HasSubstr("filled knows 20 classes only: kind a, kind b, kind c, "
                                         "kind d, kind e, ... ("));
  EXPECT_THAT(predict(3, {"--json"}), Not(HasSubstr("knows")));
  EXPECT_EQ(predict(3, {"--quiet"}), "");
  EXPECT_THAT(predict(3, {"--model", folder.path() / "m.safetensors"}), Not(HasSubstr("knows")));
}

}  // namespace
}  // namespace asmlp::test::cli_calibrate_test
