// Weights stored as halves, or calibrated, on LibTorch: training starts from them, and both
// backends compute the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/weights/checkpoint.h"
#include "tests/support/command.h"

namespace asmlp::test::torch_storage_test {
namespace {

using testing::HasSubstr;

class StoredWeights : public testing::Test {
 protected:
  void SetUp() override {
    write_model(path("m.safetensors"), 3, 2, 8, 16);
    for (const char* split : {"train", "val"}) {
      for (const char* name : {"kind a", "kind b"}) {
        const fs::path folder = fs::path(path("data")) / split / name;
        fs::create_directories(folder);
        for (const char* photo : {"coffee.png", "rocket.jpg"}) {
          fs::copy_file(data("photos") / photo, folder / photo);
        }
      }
    }
  }
  std::string path(const std::string& name) const { return folder_.path() / name; }
  static void expect_runs(const std::vector<std::string>& words) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << testing::PrintToString(words) << outcome.err;
  }
  TemporaryFolder folder_;
};

TEST_F(StoredWeights, TrainingStartsFromThemAndGoesOn) {
  expect_runs({"calibrate", path("m.safetensors"), "--temperature", "2", "--typical-score", "0.5",
               "-o", path("c.safetensors")});
  expect_runs({"convert", path("c.safetensors"), path("h.safetensors"), "--dtype", "bf16"});
  std::ofstream(path("model.json"))
      << R"({"num_classes": 2, "embed_dim": 8, "depths": [1, 1], "img_size": 16})";
  for (const char* option : {"--model", "--initial-checkpoint"}) {
    fs::remove_all(path("run"));
    std::vector<std::string> words{"train",
                                   path("data"),
                                   "--output",
                                   path("run"),
                                   "--epochs",
                                   "2",
                                   "--warmup-epochs",
                                   "0",
                                   "--threads",
                                   "1",
                                   "--batch-size",
                                   "2",
                                   option,
                                   path("h.safetensors")};
    if (std::string(option) != "--model") {
      words.insert(words.end(), {"--model", path("model.json")});
    }
    std::vector<std::string> stopped = words;
    stopped.insert(stopped.end(), {"--max-steps", "1"});
    expect_runs(stopped);
    expect_runs({"train", "--resume", path("run")});
    const Checkpoint trained = load_checkpoint(path("run/final.safetensors"));
    EXPECT_EQ(trained.tensors.at("head.weight").dtype, DType::kF32);
    // What was found out about other weights does not hold for these.
    EXPECT_FALSE(trained.spec.origin.contains("temperature"));
    EXPECT_FALSE(trained.spec.origin.contains("typical_score"));
  }
}

TEST_F(StoredWeights, BothBackendsComputeTheSame) {
  expect_runs({"convert", path("m.safetensors"), path("h.safetensors"), "--dtype", "fp16"});
  const auto scores = [&](const char* backend) {
    const Outcome outcome = run({"validate", path("data"), "--model", path("h.safetensors"),
                                 "--backend", backend, "--threads", "1", "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.json();
  };
  const Json native = scores("native"), torch = scores("torch");
  for (const char* key : {"loss", "ece", "confidence"}) {
    EXPECT_NEAR(native[key].get<double>(), torch[key].get<double>(), 1e-4) << key;
  }
  EXPECT_THAT(run({"info", path("h.safetensors")}).out, HasSubstr("fp16"));
}

}  // namespace
}  // namespace asmlp::test::torch_storage_test
