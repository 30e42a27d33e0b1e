// asmlp quantize, and what the other commands make of its files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "asmlp/model/params.h"
#include "asmlp/weights/quantized.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/command.h"

namespace asmlp::test::cli_quantize_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const char* const kFashion = "/usr/share/datasets/fashion-mnist";

std::string fashion_model() {
  return source_folder() / "models" / "asmlp_nano_patch2_shift5_28.fashion_mnist.safetensors";
}

class QuantizeCommand : public testing::Test {
 protected:
  QuantizeCommand() : model_(write_model(path("m.safetensors"), 3, 5, 16)) {}
  std::string path(const std::string& name) const { return folder_.path() / name; }
  Outcome quantize(std::vector<std::string> more, const std::string& out = "q.safetensors") const {
    std::vector<std::string> words{"quantize", model_, "--output", path(out)};
    if (std::ranges::find(more, "--data") == more.end()) {
      words.insert(words.end(), {"--data", data("photos").string()});
    }
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }

  TemporaryFolder folder_;
  std::string model_;
};

TEST_F(QuantizeCommand, WritesAFileThatEveryCommandTakes) {
  const Outcome made = quantize({"--json", "--max-error", "1"});
  ASSERT_EQ(made.code, 0) << made.err;
  const Json json = made.json();
  EXPECT_EQ(json["int8_layers"], 13);
  EXPECT_EQ(json["fp32_layers"].size(), 0u);
  EXPECT_EQ(json["images"].get<int>() + json["held_out"].get<int>(), 7);
  EXPECT_EQ(json["output_bytes"], fs::file_size(path("q.safetensors")));
  EXPECT_FALSE(json.contains("top1"));
  EXPECT_THAT(listing(folder_.path()), testing::ElementsAre("m.safetensors", "q.safetensors"));

  const std::string file = path("q.safetensors");
  const Json info = run({"info", file, "--json"}).json()["model"];
  EXPECT_EQ(info["quantization"]["source"], "m.safetensors");
  EXPECT_EQ(info["quantization"]["error"], json["error"]);
  EXPECT_THAT(run({"info", file}).out, HasSubstr("int8"));
  const Outcome predicted = run({"predict", data("photos"), "--model", file, "--json"});
  EXPECT_EQ(predicted.code, 0) << predicted.err;

  write_safetensors(path("x.safetensors"), {{"input", fill_tensor("input", {2, 3, 32, 32})}});
  const auto logits = [&](const std::string& weights, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{
        "forward",  "--weights",          weights, "--input", path("x.safetensors"),
        "--output", path("y.safetensors")};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return to_f32(read_safetensors(path("y.safetensors")).tensors.at("logits"));
  };
  const std::vector<float> int8 = logits(file);
  EXPECT_THAT(read_safetensors(path("y.safetensors")).metadata.at("source"), HasSubstr("int8"));
  EXPECT_EQ(logits(file, {"--precision", "int8"}), int8);
  const std::vector<float> fp32 = logits(model_);
  EXPECT_NE(int8, fp32);
  EXPECT_LT(relative_error(int8, fp32), 0.1);
  EXPECT_EQ(logits(file, {"--threads", "1"}), logits(file, {"--threads", "3"}));

  // A copy stays as it is; --dequantize writes fp32 weights.
  ASSERT_EQ(run({"convert", file, path("copy.safetensors")}).code, 0);
  EXPECT_EQ(logits(path("copy.safetensors")), int8);
  ASSERT_EQ(run({"convert", file, path("f.safetensors"), "--dequantize"}).code, 0);
  EXPECT_FALSE(is_quantized(read_safetensors(path("f.safetensors")).tensors));
  EXPECT_LT(relative_error(logits(path("f.safetensors")), fp32), 0.1);
  EXPECT_FALSE(
      run({"info", path("f.safetensors"), "--json"}).json()["model"].contains("quantization"));
}

TEST_F(QuantizeCommand, OtherPrecisionsSayWhatToDo) {
  ASSERT_EQ(quantize({"--max-error", "1", "--quiet"}).code, 0);
  for (const char* precision : {"fp32", "bf16", "bf16x3"}) {
    const Outcome outcome = run({"predict", data("photos/rocket.jpg"), "--model",
                                 path("q.safetensors"), "--precision", precision});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(precision), HasSubstr("--dequantize")));
  }
  const Outcome outcome =
      run({"predict", data("photos/rocket.jpg"), "--model", model_, "--precision", "int8"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("asmlp quantize"));
  EXPECT_EQ(run({"convert", model_, path("f.safetensors"), "--dequantize"}).code, 2);
}

TEST_F(QuantizeCommand, SaysWhichLayersStayInFp32AndWhy) {
  const Outcome made =
      quantize({"--exclude", "layers.0.blocks.0.mlp.*", "--exclude", "*reduction"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.out, AllOf(HasSubstr("layers.0.blocks.0.mlp.fc1"),
                              HasSubstr("layers.0.downsample.reduction"), HasSubstr("excluded")));
  const Outcome strict = quantize({"--max-error", "0.002", "--json"});
  ASSERT_EQ(strict.code, 0) << strict.err;
  const Json json = strict.json();
  EXPECT_LE(json["error"].get<double>(), 0.002);
  EXPECT_GT(json["error_of_all"].get<double>(), 0.002);
  EXPECT_GT(json["fp32_layers"].size(), 0u);
  EXPECT_LT(json["fp32_layers"].size(), 13u);
  EXPECT_FALSE(json["fp32_layers"][0]["excluded"].get<bool>());
  const Outcome none = quantize({"--max-error", "0"}, "none.safetensors");
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("--max-error"));
  EXPECT_FALSE(fs::exists(path("none.safetensors")));
}

TEST_F(QuantizeCommand, TheFileDoesNotDependOnThreads) {
  ASSERT_EQ(quantize({"--threads", "1", "--quiet"}, "a.safetensors").code, 0);
  ASSERT_EQ(quantize({"--threads", "3", "--quiet"}, "b.safetensors").code, 0);
  EXPECT_EQ(slurp(path("a.safetensors")), slurp(path("b.safetensors")));
}

TEST_F(QuantizeCommand, TakesImagesAsOtherCommandsDo) {
  // Class folders give labels, whatever their names' order; other classes are no reason to stop.
  for (const char* name : {"kind c", "kind a"}) {
    fs::create_directories(path("data/train") + "/" + name);
    for (const char* photo : {"astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"}) {
      fs::copy_file(data(std::string("photos/") + photo), path("data/train/") + name + "/" + photo);
    }
  }
  const Json named = quantize({"--data", path("data"), "--json"}).json();
  EXPECT_EQ(named["split"], "train");
  EXPECT_EQ(named["images"].get<int>() + named["held_out"].get<int>(), 8);
  EXPECT_TRUE(named["top1"].contains("int8"));
  fs::rename(path("data/train/kind a"), path("data/train/tench"));
  const Outcome others = quantize({"--data", path("data"), "--json", "--images", "5"});
  EXPECT_EQ(others.json()["images"].get<int>() + others.json()["held_out"].get<int>(), 5);
  EXPECT_FALSE(others.json().contains("top1"));
  EXPECT_THAT(others.err, HasSubstr("labels"));
  const Outcome files =
      quantize({"--json", "--data", data("photos/rocket.jpg"), data("photos/coffee.png")});
  EXPECT_EQ(files.json()["images"], 2);
  EXPECT_EQ(files.json()["held_out"], 2);
}

TEST_F(QuantizeCommand, AnImageThatCannotBeReadIsNamedAndSkipped) {
  fs::create_directories(path("photos"));
  for (const char* photo : {"astronaut.png", "coffee.png"}) {
    fs::copy_file(data(std::string("photos/") + photo), path("photos/") + photo);
  }
  std::ofstream(path("photos/broken.png")) << "no picture";
  const Outcome outcome = quantize({"--data", path("photos"), "--json"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("broken.png"));
  EXPECT_EQ(outcome.json()["failed"], 1);
  EXPECT_TRUE(fs::exists(path("q.safetensors")));
  for (const char* photo : {"astronaut.png", "coffee.png"}) fs::remove(path("photos/") + photo);
  fs::remove(path("q.safetensors"));
  EXPECT_EQ(quantize({"--data", path("photos")}).code, 1);
  EXPECT_FALSE(fs::exists(path("q.safetensors")));
}

TEST_F(QuantizeCommand, WhatCannotBeDoneIsSaidBeforeTheWork) {
  struct Wrong {
    std::vector<std::string> arguments;
    int code;
    std::string said;
  };
  const std::string photos = data("photos"), out = path("o.safetensors");
  fs::create_directories(path("empty"));
  ASSERT_EQ(quantize({"--max-error", "1", "--quiet"}).code, 0);
  const std::vector<Wrong> all{
      {{model_, "--data", path("empty"), "--output", out}, 1, "empty"},
      {{model_, "--data", path("nowhere"), "--output", out}, 1, "nowhere"},
      {{model_, "--data", photos, "--output", path("o.pth")}, 2, ".safetensors"},
      {{model_, "--data", photos, "--output", model_}, 2, "both input and output"},
      {{model_, "--data", photos, "--output", path("none/o.safetensors")}, 1, "none"},
      {{path("q.safetensors"), "--data", photos, "--output", out}, 1, "quantized to int8"},
      {{model_, "--data", photos, "--output", out, "--exclude", "head"}, 2, "no layer"},
      {{model_, "--data", photos, "--output", out, "--split", "train"}, 1, "train"},
      {{model_, "--data", photos}, 2, "--output"},
      {{model_, "--output", out}, 2, "--data"},
      {{model_, "--data", photos, "--output", out, "--percentile", "20"}, 2, "--percentile"},
      {{model_, "--data", photos, "--output", out, "--images", "0"}, 2, "--images"}};
  for (const Wrong& wrong : all) {
    std::vector<std::string> words{"quantize"};
    words.insert(words.end(), wrong.arguments.begin(), wrong.arguments.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, wrong.code) << testing::PrintToString(wrong.arguments);
    EXPECT_THAT(outcome.err, HasSubstr(wrong.said));
    EXPECT_FALSE(fs::exists(out));
  }
}

// The file computes in int8 wherever it is loaded, and finds and labels what the fp32 model does.
TEST_F(QuantizeCommand, DetectorsAndSegmentorsToo) {
  const std::string photos = data("coco_base/val2017");
  const auto trained = [](const char* name) { return (data("models") / name).string(); };
  const auto json_of = [](const std::vector<std::string>& words) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.json();
  };
  const std::string detector = path("detector.safetensors"),
                    segmentor = path("segmentor.safetensors");
  for (const auto& [from, to] : {std::pair{"mask_rcnn_scenes.safetensors", detector},
                                 std::pair{"upernet_scenes.safetensors", segmentor}}) {
    const Outcome made = run({"quantize", trained(from), "--data", photos, "--output", to});
    ASSERT_EQ(made.code, 0) << made.err;
    // A byte for most weights, where the file has two.
    EXPECT_LT(fs::file_size(to), fs::file_size(trained(from)) * 2 / 3);
    // What only training needs is not in a file for inference.
    for (const auto& [name, tensor] : read_safetensors(to).tensors) {
      EXPECT_FALSE(name.starts_with("auxiliary_head.")) << name;
    }
  }
  const Json scores = json_of({"validate", data("coco_base"), "--model", detector, "--json"});
  EXPECT_EQ(scores["precision"], "int8");
  EXPECT_GT(scores["bbox"]["AP"].get<double>(), 0.65);
  const auto areas = [&](const std::string& model) {
    const Json json =
        json_of({"segment", photos, "--model", model, "--output", path("s"), "--json"});
    std::map<std::string, double> shares;
    for (const Json& area : json["images"][0]["classes"]) {
      shares[area["label"].get<std::string>()] = area["share"].get<double>();
    }
    return shares;
  };
  std::map<std::string, double> int8 = areas(segmentor);
  for (const auto& [label, share] : areas(trained("upernet_scenes.safetensors"))) {
    EXPECT_NEAR(int8[label], share, 0.02) << label;
  }
  const Json bench = json_of(
      {"bench", "--task", "detect", "--model", detector, "--runs", "1", "--warmup", "0", "--json"});
  EXPECT_EQ(bench["rows"][0]["precision"], "int8");
  const Outcome refused =
      run({"detect", photos, "--model", detector, "--precision", "fp32", "--no-pictures"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("quantized to int8"));
}

// A trained model on every tenth test image: int8 may lose 3 of 1000, and a layer that is wrong
// loses hundreds.
TEST_F(QuantizeCommand, ATrainedModelKeepsItsAccuracy) {
  if (!fs::exists(kFashion)) GTEST_SKIP() << kFashion << " is not installed";
  const std::string file = path("fashion.safetensors");
  const Outcome made = run({"quantize", fashion_model(), "--data", kFashion, "--output", file,
                            "--images", "128", "--json"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_TRUE(made.json().contains("top1"));
  const auto right = [&](const std::string& weights) {
    const Json json =
        run({"validate", kFashion, "--model", weights, "--limit", "1000", "--json"}).json();
    return json["top1"].get<double>() * 10;
  };
  EXPECT_GE(right(file), right(fashion_model()) - 3.5);
  // Everything but the embedding, the norms, the biases and the head takes a byte a weight, where
  // the model's file has two.
  EXPECT_LT(static_cast<double>(fs::file_size(file)),
            0.6 * static_cast<double>(fs::file_size(fashion_model())));
}

}  // namespace
}  // namespace asmlp::test::cli_quantize_test
