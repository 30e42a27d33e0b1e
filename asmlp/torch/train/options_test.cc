#include "asmlp/torch/train/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <type_traits>

#include "asmlp/core/error.h"

namespace asmlp::train::options_test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

template <typename Function>
std::string error_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

void change(std::string& field) { field = field == "pixel" ? "const" : "another"; }
void change(bool& field) { field = !field; }
void change(std::array<double, 2>& field) { field = {0.25, 0.5}; }
void change(std::vector<int>& field) { field = {3, 7}; }
template <typename T>
requires std::is_arithmetic_v<T>
void change(T& field) { field = static_cast<T>(field / 2 + 3); }
template <typename T>
void change(std::optional<T>& field) {
  field = T{3};
}

constexpr TaskKind kTasks[] = {TaskKind::kClassify, TaskKind::kDetect, TaskKind::kSegment};

TrainOptions defaults_of(TaskKind kind) {
  TrainOptions options = default_options(kind);
  options.data = "somewhere";
  return options;
}

// The options with the one called `name` changed.
TrainOptions changed(TrainOptions options, const std::string& name) {
  visit_options(options, [&](const OptionInfo& info, auto& field) {
    if (info.name == name) change(field);
  });
  return options;
}

// One table serves the command line, recipes and checkpoints: no option may get lost on the way.
void every_option_survives(TaskKind kind) {
  const TrainOptions base = defaults_of(kind);
  std::set<std::string> others{"task"};
  visit_options(base, [&](const OptionInfo& info, const auto&) {
    if (!info.belongs_to(kind)) others.insert(info.name);
  });
  const std::set<std::string> free{
      "data",   "workers", "threads", "checkpoint-interval", "log-interval", "grad-checkpointing",
      "max-bad"};
  const std::set<std::string> warns{"batch-size", "accumulation-steps", "device", "amp"};
  for (const std::string& name : option_names()) {
    if (others.contains(name)) continue;
    const TrainOptions other = changed(base, name);
    const std::string json = to_json(other);
    EXPECT_NE(json, to_json(base)) << name;
    EXPECT_EQ(to_json(options_from_json(json, "test")), json) << name;
    std::vector<std::string> warnings;
    const std::string error = error_of([&] { warnings = check_resumable(base, other); });
    EXPECT_EQ(warnings.size(), warns.contains(name) ? 1u : 0u) << name;
    if (warns.contains(name)) {
      EXPECT_EQ(error, "");
      EXPECT_THAT(warnings.at(0), StartsWith(name + " was "));
    } else if (free.contains(name)) {
      EXPECT_EQ(error, "") << name;
    } else {
      EXPECT_THAT(error, StartsWith("cannot resume with another " + name + ":"));
    }
  }
  EXPECT_EQ(error_of([&] { check_resumable(base, base); }), "");
}

TEST(TrainOptions, EveryOptionSurvivesJsonAndIsComparedOnResume) {
  for (const TaskKind kind : kTasks) every_option_survives(kind);
}

TEST(TrainOptions, EveryTaskHasItsDefaultsAndItsOptionsOnly) {
  for (const TaskKind kind : kTasks) {
    const TrainOptions base = defaults_of(kind);
    EXPECT_EQ(base.kind(), kind);
    EXPECT_EQ(error_of([&] { validate(base); }), "");
    int own = 0, others = 0;
    visit_options(base, [&](const OptionInfo& info, const auto&) {
      const std::string name = info.name;
      if (info.belongs_to(kind)) {
        ++own;
        return;
      }
      ++others;
      // It is refused where it is set, and by name in a recipe.
      EXPECT_THAT(error_of([&] { validate(changed(base, name)); }),
                  StartsWith(name + " is no option of the task '" + base.task + "'"));
      const std::string json = R"({"task": ")" + base.task + R"(", ")" + name + R"(": 1})";
      EXPECT_THAT(error_of([&] { options_from_json(json, "r.yaml"); }), HasSubstr(name));
    });
    EXPECT_GE(own, 35);
    EXPECT_GE(others, 5);
  }
  // The published schedules of detection and segmentation.
  const TrainOptions detect = defaults_of(TaskKind::kDetect);
  EXPECT_EQ(detect.peak_lr(8), 1e-4);
  EXPECT_DOUBLE_EQ(detect.first_lr(8), 1e-7);
  const TrainOptions segment = defaults_of(TaskKind::kSegment);
  EXPECT_EQ(segment.peak_lr(8), 6e-5);
  EXPECT_DOUBLE_EQ(segment.first_lr(8), 6e-11);
  EXPECT_EQ(segment.last_lr(8), 0);
  EXPECT_EQ(segment.epochs * segment.steps_per_epoch, 160000);
  EXPECT_THAT(error_of([] { options_from_json(R"({"task": "paint"})", "r"); }),
              HasSubstr("classify, detect or segment"));
}

TEST(TrainOptions, KeysTakeDashesAndUnderscoresAndTypesAreChecked) {
  const TrainOptions o =
      options_from_json(R"({"batch_size": 7, "min-lr": 1e-4, "model": {"config": {}}})", "r.yaml");
  EXPECT_EQ(o.batch_size, 7);
  EXPECT_EQ(o.min_lr, 1e-4);
  EXPECT_THAT(o.model, StartsWith("{"));
  const auto error = [](const char* json) {
    return error_of([&] { options_from_json(json, "r.yaml"); });
  };
  EXPECT_THAT(error(R"({"batchsize": 7})"),
              testing::AllOf(HasSubstr("r.yaml"), HasSubstr("did you mean 'batch-size'")));
  for (const char* json : {R"({"epochs": 1.5})", R"({"epochs": "many"})", R"({"epochs": 1e12})",
                           R"({"epochs": 4294967297})", R"({"epochs": true})", R"({"seed": -1})",
                           R"({"scale": [0.1]})", R"({"scale": 0.1})", R"({"model-ema": "yes"})",
                           R"({"lr": [1]})", R"([1])", R"(x)"}) {
    EXPECT_THAT(error(json), HasSubstr("r.yaml")) << json;
  }
}

TEST(TrainOptions, TheScaledLearningRatesAreTheAuthors) {
  TrainOptions o;
  o.batch_size = 1024;
  EXPECT_DOUBLE_EQ(o.peak_lr(1), 1e-3);
  EXPECT_DOUBLE_EQ(o.first_lr(1), 1e-6);
  EXPECT_DOUBLE_EQ(o.last_lr(1), 1e-5);
  // By the images of a step, however they are divided.
  o.batch_size = 32;
  o.accumulation_steps = 4;
  EXPECT_DOUBLE_EQ(o.peak_lr(8), 1e-3);
  EXPECT_DOUBLE_EQ(o.first_lr(8), 1e-6);
  EXPECT_DOUBLE_EQ(o.last_lr(8), 1e-5);
  o.lr = 0.5;
  EXPECT_EQ(o.peak_lr(8), 0.5);
}

TEST(TrainOptions, ValuesOutOfRangeAreNamed) {
  TrainOptions good;
  good.data = "somewhere";
  EXPECT_EQ(error_of([&] { validate(good); }), "");
  EXPECT_THAT(error_of([&] { validate(TrainOptions{}); }), StartsWith("data"));
  const auto error = [&](auto edit) {
    TrainOptions o = good;
    edit(o);
    return error_of([&] { validate(o); });
  };
  EXPECT_THAT(error([](auto& o) { o.epochs = 0; }), StartsWith("epochs 0"));
  EXPECT_THAT(error([](auto& o) { o.seed = uint64_t{1} << 63; }), StartsWith("seed 9223"));
  EXPECT_THAT(error([](auto& o) { o.lr = -1; }), StartsWith("lr -1"));
  EXPECT_THAT(error([](auto& o) { o.warmup_epochs = 301; }), StartsWith("warmup-epochs 301"));
  EXPECT_THAT(error([](auto& o) { o.opt_betas = {0.9, 1}; }), StartsWith("opt-betas 1"));
  EXPECT_THAT(error([](auto& o) { o.scale = {0.5, 0.4}; }), StartsWith("scale"));
  EXPECT_THAT(error([](auto& o) { o.ratio = {0, 1}; }), StartsWith("ratio"));
  EXPECT_THAT(error([](auto& o) { o.hflip = NAN; }), StartsWith("hflip"));
  EXPECT_THAT(error([](auto& o) { o.remode = "noise"; }), StartsWith("remode noise"));
  EXPECT_THAT(error([](auto& o) { o.smoothing = 1; }), StartsWith("smoothing 1"));
  EXPECT_THAT(error([](auto& o) { o.crop_padding = -1; }), StartsWith("crop-padding -1"));
  EXPECT_THAT(error([](auto& o) { o.accumulation_steps = 0; }), StartsWith("accumulation-steps 0"));
  EXPECT_THAT(error([](auto& o) { o.amp = "fp8"; }), StartsWith("amp fp8"));
  EXPECT_THAT(error([](auto& o) { o.max_bad = -1; }), StartsWith("max-bad -1"));
  EXPECT_THAT(error([](auto& o) { o.val_interval = 0; }), StartsWith("val-interval 0"));
}

TEST(TrainOptions, TheModelTakesTheOptionsIntoAccount) {
  TrainOptions o;
  o.model = "asmlp_tiny_patch4_shift5_224";
  EXPECT_EQ(resolve_model(o, 10).spec.config.num_classes, 10);
  o.num_classes = 12;
  o.img_size = 64;
  o.drop_path = 0.25;
  const ModelSpec spec = resolve_model(o, 10).spec;
  EXPECT_EQ(spec.config.num_classes, 12);
  EXPECT_EQ(spec.preprocessing.size, 64);
  EXPECT_EQ(spec.config.drop_path, 0.25);
  EXPECT_TRUE(spec.classes.empty());
  o.model = "asmlp_tinny";
  EXPECT_THAT(error_of([&] { resolve_model(o, 10); }), HasSubstr("asmlp_tiny"));
}

}  // namespace
}  // namespace asmlp::train::options_test
