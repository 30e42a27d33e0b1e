// What the tests of the trainer share: a data set that is learned in a few steps, and runs in a
// temporary folder.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/torch/train/tasks/classify_task.h"
#include "asmlp/torch/train/trainer.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/support.h"

namespace asmlp::train {

namespace fs = std::filesystem;

// Noise whose brightness is the class: learned in a few steps. Of every `broken` images one cannot
// be read (0: none).
class Brightness : public Dataset {
 public:
  explicit Brightness(int64_t size, uint64_t seed, int64_t broken = 0)
      : size_(size), seed_(seed), broken_(broken) {}
  int64_t size() const override { return size_; }
  int target(int64_t index) const override { return static_cast<int>(index % 3); }
  const std::vector<std::string>& classes() const override { return classes_; }
  Sample get(int64_t index) const override {
    require(broken_ == 0 || index % broken_ != 1, ErrorCode::kBadFormat, "image {} is broken",
            index);
    Sample sample;
    sample.image = Image(8, 8, 1);
    sample.target = target(index);
    data::Random random(data::derive_seed(seed_, {uint64_t(index)}));
    for (uint8_t& pixel : sample.image.pixels) {
      pixel = static_cast<uint8_t>(80 * sample.target + random.below(90));
    }
    return sample;
  }

 private:
  int64_t size_;
  uint64_t seed_;
  int64_t broken_;
  std::vector<std::string> classes_{"dark", "grey", "bright"};
};

inline constexpr int64_t kStepsPerEpoch = 5;

inline TrainOptions small_options() {
  TrainOptions o;
  o.model.data = "brightness";
  o.model.choice =
      R"({"name": "small", "config": {"in_chans": 1, "embed_dim": 6, "depths": [1, 1],
          "patch_size": 2, "drop_path": 0.3},
          "preprocessing": {"size": 8, "crop_pct": 1, "mean": [0.31], "std": [0.27]}})";
  o.schedule.epochs = 3;
  o.schedule.batch_size = 8;
  o.run.threads = 1;
  o.run.workers = 0;
  o.schedule.lr = 0.01;
  o.schedule.warmup_epochs = 0.5;
  o.classification.augmentation.crop_padding = 1;
  o.classification.augmentation.rand_augment.reset();  // brightness is the class
  o.classification.augmentation.color_jitter = 0;
  o.classification.mixup.mixup = o.classification.mixup.cutmix = 0;
  o.optimizer.model_ema = true;
  o.optimizer.model_ema_decay = 0.8;
  return o;
}

// The warnings of the library while it lives.
class Warnings {
 public:
  Warnings() {
    set_log_callback([this](LogLevel level, const std::string& message) {
      if (level == LogLevel::kWarning) text_ += message + "\n";
    });
  }
  ~Warnings() { set_log_callback({}); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

template <typename Function>
std::string error_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class TrainerTest : public testing::Test {
 protected:
  Trainer trainer(const std::string& folder, const TrainOptions& options = small_options()) {
    return Trainer(options,
                   classify_task(options, data::make_data_source(training_),
                                 data::make_data_source(validation_), "brightness", *world_),
                   folder_.path() / folder, {{"command", "started in " + folder.substr(0, 1)}},
                   *world_);
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
        ASSERT_EQ(t.steps(), stops[i]);
      }
    }
  }
  std::string content(const std::string& folder, const char* name) {
    return read_file(folder_.path() / folder / name);
  }
  fs::path last(const std::string& folder) { return folder_.path() / folder / "last.safetensors"; }
  TensorMap state_tensors(const std::string& folder) {
    return read_safetensors(last(folder)).tensors;
  }
  std::string error_on_resume(const fs::path& state, const TrainOptions& options) {
    return error_of([&] { trainer("resumed", options).resume(state); });
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<dist::World> world_ = dist::single_world();
  Brightness training_{44, 1};  // the last 4 make no batch
  Brightness validation_{20, 2};
};

// Largest difference of two states' tensors with a prefix, relative to the largest value.
inline double state_distance(const TensorMap& a, const TensorMap& b, const std::string& prefix) {
  double worst = 0;
  int compared = 0;
  for (const auto& [name, tensor] : a) {
    if (!name.starts_with(prefix)) continue;
    ++compared;
    worst = std::max(worst, test::relative_error(to_f32(tensor), to_f32(b.at(name))));
  }
  return compared > 0 ? worst : INFINITY;
}

}  // namespace asmlp::train
