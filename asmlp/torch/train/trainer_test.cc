#include "asmlp/torch/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support.h"

namespace asmlp::train {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// Noise whose brightness is the class: learnt in a few steps.
class Brightness : public Dataset {
 public:
  explicit Brightness(int64_t size, uint64_t seed) : size_(size), seed_(seed) {}
  int64_t size() const override { return size_; }
  int target(int64_t index) const override { return static_cast<int>(index % 3); }
  const std::vector<std::string>& classes() const override { return classes_; }
  Sample get(int64_t index) const override {
    Sample sample{Image(8, 8, 1), target(index), ""};
    data::Random random(data::derive_seed(seed_, {uint64_t(index)}));
    for (uint8_t& pixel : sample.image.pixels) {
      pixel = static_cast<uint8_t>(80 * sample.target + random.below(90));
    }
    return sample;
  }

 private:
  int64_t size_;
  uint64_t seed_;
  std::vector<std::string> classes_{"dark", "grey", "bright"};
};

constexpr int64_t kStepsPerEpoch = 5;

TrainOptions small_options() {
  TrainOptions o;
  o.data = "brightness";
  o.model =
      R"({"name": "small", "config": {"in_chans": 1, "embed_dim": 6, "depths": [1, 1],
          "patch_size": 2, "drop_path": 0.3},
          "preprocessing": {"size": 8, "crop_pct": 1, "mean": [0.31], "std": [0.27]}})";
  o.epochs = 3;
  o.batch_size = 8;
  o.threads = 1;
  o.workers = 0;
  o.lr = 0.01;
  o.warmup_epochs = 0.5;
  o.crop_padding = 1;
  o.model_ema = true;
  o.model_ema_decay = 0.8;
  return o;
}

class TrainerTest : public testing::Test {
 protected:
  Trainer trainer(const std::string& folder, const TrainOptions& options = small_options()) {
    return Trainer(options, training_, validation_, folder_.path() / folder, "brightness",
                   {{"command", "started in " + folder.substr(0, 1)}});
  }
  // Runs in `folder` to the end, in pieces that end after the given numbers of steps.
  void run(const std::string& folder, const TrainOptions& options,
           const std::vector<int64_t>& stops = {}) {
    Observer quiet;
    for (size_t i = 0; i <= stops.size(); ++i) {
      Trainer t = trainer(folder, options);
      if (i > 0) t.resume(t.state_path());
      const bool last = i == stops.size();
      const Outcome outcome = t.run(quiet, nullptr, last ? std::nullopt : std::optional(stops[i]));
      ASSERT_EQ(outcome, last ? Outcome::kFinished : Outcome::kStopped);
      if (!last) {
        ASSERT_EQ(t.state().epoch * kStepsPerEpoch + t.state().batch, stops[i]);
      }
    }
  }
  std::string content(const std::string& folder, const char* name) {
    return read_file(folder_.path() / folder / name);
  }
  std::string error_on_resume(const fs::path& state, const TrainOptions& options) {
    try {
      trainer("resumed", options).resume(state);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  test::TemporaryFolder folder_;
  Brightness training_{44, 1};  // the last 4 make no batch
  Brightness validation_{20, 2};
};

TEST_F(TrainerTest, ResumedRunsEndWithTheSameBits) {
  for (bool average : {true, false}) {
    TrainOptions options = small_options();
    options.model_ema = average;
    const std::string whole = average ? "a-whole" : "b-whole";
    run(whole, options);
    const auto expected = read_safetensors(folder_.path() / whole / "last.safetensors").tensors;
    int number = 0;
    for (const int workers : {0, 2}) {
      // In the middle, at the first and the last step of an epoch, at once after a resume.
      for (const std::vector<int64_t>& stops :
           {std::vector<int64_t>{7}, {1, 4, 5, 6, 12}, {0, 10, 10, 14}}) {
        const std::string pieces = (average ? "a-" : "b-") + std::to_string(number++);
        options.workers = workers;
        run(pieces, options, stops);
        for (const char* name : {"final.safetensors", "best.safetensors", "summary.csv"}) {
          EXPECT_TRUE(content(whole, name) == content(pieces, name)) << pieces << '/' << name;
        }
        const auto tensors = read_safetensors(folder_.path() / pieces / "last.safetensors").tensors;
        ASSERT_EQ(tensors.size(), expected.size());
        for (const auto& [name, tensor] : tensors) {
          const auto& other = expected.at(name).bytes;
          EXPECT_TRUE(
              std::equal(tensor.bytes.begin(), tensor.bytes.end(), other.begin(), other.end()))
              << name;
        }
      }
    }
  }
  // Another seed is another run: the comparison above can fail.
  TrainOptions other = small_options();
  other.seed = 43;
  run("a-other", other);
  EXPECT_FALSE(content("a-whole", "final.safetensors") == content("a-other", "final.safetensors"));
}

TEST_F(TrainerTest, LearnsAndExportsADescribedModel) {
  TrainOptions options = small_options();
  options.epochs = 8;
  Trainer t = trainer("run", options);
  Observer quiet;
  ASSERT_EQ(t.run(quiet), Outcome::kFinished);
  EXPECT_GT(t.state().best_top1, 90);
  EXPECT_EQ(t.state().history.size(), 8u);
  EXPECT_EQ(t.state().updates, 8 * kStepsPerEpoch);
  const Checkpoint best = load_checkpoint(folder_.path() / "run" / "best.safetensors");
  EXPECT_EQ(best.spec.name, "small.brightness");
  EXPECT_EQ(best.spec.classes, validation_.classes());
  EXPECT_EQ(best.spec.config.num_classes, 3);
  EXPECT_EQ(best.spec.origin.at("seed"), "42");
  EXPECT_EQ(best.spec.origin.at("command"), "started in r");
  EXPECT_THAT(best.spec.origin.at("epochs"), HasSubstr("of 8"));
  // The file holds what was validated.
  nn::AsMlp model(best.spec.config);
  nn::load_parameters(*model, best.tensors);
  const auto loader = evaluation_loader(validation_, best.spec.preprocessing, 7, 1);
  EXPECT_EQ(evaluate(model, loader)->top1, t.state().best_top1);
  EXPECT_THAT(content("run", "summary.csv"), testing::StartsWith("epoch,train_loss,eval_loss,"));
}

TEST_F(TrainerTest, TheCommandThatStartedTheRunIsKept) {
  run("1", small_options(), {3});
  fs::rename(folder_.path() / "1", folder_.path() / "2");
  Trainer t = trainer("2");  // "started in 2"
  t.resume(t.state_path());
  Observer quiet;
  t.run(quiet);
  EXPECT_EQ(load_checkpoint(folder_.path() / "2" / "final.safetensors").spec.origin.at("command"),
            "started in 1");
}

TEST_F(TrainerTest, StopsAfterTheStepInHandAndInTheMiddleOfValidation) {
  struct StopAt : Observer {
    std::atomic<bool> stop{false};
    int64_t step = -1, validation = -1;
    void on_step(const StepReport& r) override {
      if (r.epoch * r.batches + r.batch == step) stop = true;
    }
    void on_validation(int64_t images, int64_t) override {
      if (images == validation) stop = true;
    }
  };
  run("a", small_options());
  StopAt at_step;
  at_step.step = 6;
  Trainer first = trainer("ab");
  EXPECT_EQ(first.run(at_step, &at_step.stop), Outcome::kStopped);
  EXPECT_EQ(first.state().epoch, 1);
  EXPECT_EQ(first.state().batch, 2);
  StopAt in_validation;
  in_validation.validation = 16;
  Trainer second = trainer("ab");
  second.resume(second.state_path());
  EXPECT_EQ(second.run(in_validation, &in_validation.stop), Outcome::kStopped);
  EXPECT_EQ(second.state().batch, kStepsPerEpoch);  // all steps, no validation yet
  Trainer third = trainer("ab");
  third.resume(third.state_path());
  Observer quiet;
  EXPECT_EQ(third.run(quiet), Outcome::kFinished);
  EXPECT_TRUE(content("ab", "final.safetensors") == content("a", "final.safetensors"));
}

TEST_F(TrainerTest, AnotherRunCannotBeContinued) {
  run("a", small_options(), {2});
  const fs::path state = folder_.path() / "a" / "last.safetensors";
  TrainOptions options = small_options();
  options.epochs = 4;
  EXPECT_THAT(error_on_resume(state, options), HasSubstr("another epochs"));
  options = small_options();
  options.model_ema = false;
  EXPECT_THAT(error_on_resume(state, options), HasSubstr("another model-ema"));
  training_ = Brightness(45, 1);
  EXPECT_THAT(error_on_resume(state, small_options()), HasSubstr("44 training images"));
}

TEST_F(TrainerTest, ADamagedStateIsNamedWithWhatToDo) {
  run("a", small_options(), {2});
  const fs::path state = folder_.path() / "a" / "last.safetensors";
  const std::string whole = read_file(state), path = folder_.path() / "damaged.safetensors";
  const auto error_for = [&](const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    return error_on_resume(path, small_options());
  };
  const auto advice = AllOf(HasSubstr(path), HasSubstr("damaged"), HasSubstr("--output"));
  EXPECT_THAT(error_for(whole.substr(0, whole.size() / 2)), advice);
  EXPECT_THAT(error_for(whole.substr(0, 20)), advice);
  EXPECT_THAT(error_for(""), advice);
  EXPECT_THAT(error_for(std::string(1000, '\0')), advice);
  std::string hollow = whole;
  const size_t at = hollow.find("\\\"updates\\\"");
  ASSERT_NE(at, std::string::npos);
  hollow[at + 3] = 'x';
  EXPECT_THAT(error_for(hollow), advice);
  EXPECT_THAT(error_on_resume(folder_.path() / "none", small_options()), HasSubstr("none"));
  EXPECT_EQ(error_for(whole), "");
  // A model is no state of a run.
  run("b", small_options());
  EXPECT_THAT(error_on_resume(folder_.path() / "b" / "final.safetensors", small_options()),
              HasSubstr("last.safetensors"));
}

TEST_F(TrainerTest, LeftoversOfAKillAreRemovedOnResume) {
  run("a", small_options(), {2});
  const fs::path folder = folder_.path() / "a";
  std::ofstream(folder / "last.safetensors.tmp.123.0") << "half";
  std::ofstream(folder / "notes.txt.tmp.123.0") << "the user's";
  run("a", small_options(), {});  // a new run: not ours to clean
  EXPECT_TRUE(fs::exists(folder / "last.safetensors.tmp.123.0"));
  Trainer t = trainer("a");
  t.resume(t.state_path());
  EXPECT_FALSE(fs::exists(folder / "last.safetensors.tmp.123.0"));
  EXPECT_TRUE(fs::exists(folder / "notes.txt.tmp.123.0"));
}

TEST_F(TrainerTest, ADivergedRunEndsWithAnErrorAndItsStateCanBeRead) {
  TrainOptions options = small_options();
  options.lr = 1e30;
  options.clip_grad = 0;
  options.epochs = 8;
  options.warmup_epochs = 0;
  Trainer t = trainer("a", options);
  Observer quiet;
  try {
    t.run(quiet);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("diverged"));
  }
  EXPECT_EQ(t.state().skipped, Trainer::kMaxSkipped);
  // Epochs without one finite loss have none to report.
  const RunState state = read_state(t.state_path(), nullptr);
  ASSERT_FALSE(state.history.empty());
  EXPECT_TRUE(std::isnan(state.history.back().train_loss));
}

}  // namespace
}  // namespace asmlp::train
