#include "asmlp/torch/train/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <type_traits>

#include "asmlp/core/error.h"
#include "asmlp/schema/fields.h"
#include "asmlp/torch/train/resume_options.h"

namespace asmlp::train::options_test {
namespace {

using Json = nlohmann::json;
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

// Another value, which the option's range has.
void change(std::string& field) { field = "another"; }
void change(bool& field) { field = !field; }
void change(ModelChoice& field) { field = R"({"name": "another"})"; }
void change(std::vector<int>& field) { field = {3, 7}; }
void change(ClassWeights& field) { field.kind = ClassWeights::Kind::kBalanced; }
void change(std::optional<data::RandAugment>& field) { field.reset(); }
void change(std::array<int, 2>& field) { field = {3, 7}; }
void change(std::array<double, 2>& field) { field = {0.25, 0.5}; }
template <NamedEnum T>
void change(T& field) {
  const auto names = names_of(T());
  field = names[0].first == field ? names[1].first : names[0].first;
}
template <Number T>
void change(T& field) {
  field = static_cast<T>(field / 2 + (std::is_integral_v<T> ? 3 : 0.15));
}
template <typename T>
void change(std::optional<T>& field) {
  field = T{3};
}
template <NamedEnum T>
void change(std::optional<T>& field) {
  field = names_of(T())[1].first;
}

template <typename T>
void set_number(T& field, double value) {
  if constexpr (Number<T>) field = static_cast<T>(value);
}
template <Number T>
void set_number(std::optional<T>& field, double value) {
  field = static_cast<T>(value);
}
template <Number T>
void set_number(std::optional<std::vector<T>>& field, double value) {
  field = {static_cast<T>(value)};
}
template <Number T>
void set_number(std::vector<T>& field, double value) {
  field = {static_cast<T>(value)};
}
template <Number T>
void set_number(std::array<T, 2>& field, double value) {
  field[1] = static_cast<T>(value);
}

constexpr Task kTasks[] = {Task::kClassify, Task::kDetect, Task::kSegment};

TrainOptions defaults_of(Task task) {
  TrainOptions options = default_options(task);
  options.model.data = "somewhere";
  return options;
}

// The options with the one called `name` edited.
TrainOptions edited(TrainOptions options, const std::string& name, auto edit) {
  TrainOptions::visit(options, [&](const char* option, auto& field, const OptionInfo& info) {
    if (option == name) edit(field, info);
  });
  return options;
}
TrainOptions changed(const TrainOptions& options, const std::string& name) {
  return edited(options, name, [](auto& field, const OptionInfo&) { change(field); });
}

// One table serves the command line, recipes and checkpoints: no option may get lost on the way.
void every_option_survives(Task task) {
  const TrainOptions base = defaults_of(task);
  const std::set<std::string> free{"data",
                                   "workers",
                                   "cache",
                                   "cache-dir",
                                   "threads",
                                   "checkpoint-interval",
                                   "log-interval",
                                   "grad-checkpointing",
                                   "max-bad",
                                   "max-pixels",
                                   "report-images",
                                   "nproc",
                                   "patience",
                                   "train-images",
                                   "train-annotations",
                                   "val-images",
                                   "val-annotations"};
  const std::set<std::string> warns{"batch-size", "accumulation-steps", "device", "amp", "decode"};
  for (const std::string& name : option_names(task)) {
    if (name == "task") continue;
    const TrainOptions other = changed(base, name);
    EXPECT_EQ(error_of([&] { validate(other); }), "") << name;
    const Json json = to_json(other);
    EXPECT_NE(json, Json(to_json(base))) << name;
    EXPECT_EQ(Json(to_json(options_from_json(json, "test"))), json) << name;
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
  for (const Task task : kTasks) every_option_survives(task);
  EXPECT_THAT(
      error_of([] { check_resumable(defaults_of(Task::kClassify), defaults_of(Task::kDetect)); }),
      StartsWith("cannot resume with another task"));
}

TEST(TrainOptions, WhatHasNoValueIsNotWritten) {
  EXPECT_FALSE(to_json(defaults_of(Task::kSegment)).contains("num-classes"));
}

// One kind of warmup takes the place of the other, and an optimizer brings its own rates.
TEST(TrainOptions, WhatIsNamedTakesThePlaceOfOthers) {
  TrainOptions o = defaults_of(Task::kDetect);
  read_options({{"warmup-steps", 7}}, "recipe", o);
  read_options({{"warmup_epochs", 0.5}}, "line", o);
  EXPECT_FALSE(o.schedule.warmup_steps);
  read_options({{"warmup-steps", 7}, {"lr", 1e-3}}, "line", o);
  EXPECT_FALSE(o.schedule.warmup_epochs);

  read_options({{"opt", "sgd"}}, "line", o);
  EXPECT_FALSE(o.schedule.lr);
  EXPECT_DOUBLE_EQ(o.learning_rates(8).peak, 0.02);  // of mmdetection
  EXPECT_EQ(o.optimizer.weight_decay, 1e-4);
  read_options({{"opt", "sgd"}, {"lr", 0.5}, {"weight-decay", 0}}, "line", o);
  EXPECT_EQ(o.schedule.lr, 0.5);
  EXPECT_EQ(o.optimizer.weight_decay, 0);
  read_options({{"opt", "adamw"}}, "line", o);
  EXPECT_EQ(Json(to_json(o))["weight-decay"],
            Json(to_json(defaults_of(Task::kDetect)))["weight-decay"]);
}

// The sizes of training images follow a model's preprocessing, unless they are given.
TEST(TrainOptions, TheSizesFitThePreprocessing) {
  TrainOptions o = defaults_of(Task::kDetect);
  Description model = named_description("mask_rcnn_asmlp_tiny");
  const Json published = to_json(o);
  fit_to_preprocessing(model, {}, o);
  EXPECT_EQ(Json(to_json(o)), published);
  auto& input = std::get<DetectorSpec>(model.model).preprocessing;
  input.short_side = 160;
  input.long_side = 200;
  o.detection.crop_size = {30, 40};
  fit_to_preprocessing(model, {"crop-short-sides"}, o);
  EXPECT_EQ(o.detection.short_sides.front(), 96);
  EXPECT_EQ(o.detection.short_sides.back(), 160);
  EXPECT_EQ(o.detection.long_side, 200);
  EXPECT_EQ(o.detection.crop_short_sides, (std::vector<int>{400, 500, 600}));
  EXPECT_EQ(o.detection.crop_size, (std::array<int, 2>{30, 40}));
  TrainOptions s = defaults_of(Task::kSegment);
  Description segmentor = named_description("upernet_asmlp_tiny");
  std::get<SegmentorSpec>(segmentor.model).preprocessing.short_side = 160;
  fit_to_preprocessing(segmentor, {}, s);
  EXPECT_EQ(s.segmentation.crop, 160);
}

TEST(TrainOptions, EveryTaskHasItsOptionsOnceEachAndNoOthers) {
  for (const Task task : kTasks) {
    const TrainOptions base = defaults_of(task);
    EXPECT_EQ(base.model.task, task);
    EXPECT_EQ(error_of([&] { validate(base); }), "");
    std::set<std::string> own;
    TrainOptions::visit(base, [&](const char* name, const auto&, const OptionInfo& info) {
      EXPECT_TRUE(own.insert(name).second) << name << " is visited twice";
      EXPECT_STRNE(info.help, "") << name;
      EXPECT_STRNE(info.heading, "") << name;
    });
    EXPECT_GE(own.size(), 35u);
    int others = 0;
    for (const std::string& name : option_names()) {
      if (own.contains(name)) continue;
      ++others;
      EXPECT_THAT(
          error_of([&] {
            options_from_json({{"task", name_of(task)}, {name, 1}}, "r.yaml");
          }),
          StartsWith(fmt::format("r.yaml: {} is no option of the task '{}'", name, name_of(task))));
    }
    EXPECT_GE(others, 5);
  }
  EXPECT_THAT(error_of([] {
                options_from_json({{"task", "paint"}}, "r");
              }),
              HasSubstr("'classify', 'detect', 'segment'"));
}

TEST(TrainOptions, DetectionAndSegmentationHaveThePublishedSchedules) {
  const TrainOptions detect = defaults_of(Task::kDetect);
  EXPECT_EQ(detect.learning_rates(8).peak, 1e-4);
  EXPECT_DOUBLE_EQ(detect.learning_rates(8).first, 1e-7);
  const TrainOptions segment = defaults_of(Task::kSegment);
  EXPECT_EQ(segment.learning_rates(8).peak, 6e-5);
  EXPECT_DOUBLE_EQ(segment.learning_rates(8).first, 6e-11);
  EXPECT_EQ(segment.learning_rates(8).last, 0);
  EXPECT_EQ(segment.schedule.epochs * segment.dense.steps_per_epoch, 160000);
}

TEST(Schedule, TheDetectorsAndTheSegmentors) {
  const auto schedule_of = [](Task task, int64_t steps_per_epoch) {
    const TrainOptions o = default_options(task);
    return make_schedule(o.schedule, o.learning_rates(8), steps_per_epoch);
  };
  const Schedule detect = schedule_of(Task::kDetect, 7330);
  EXPECT_NEAR(detect.lr(0), 1e-7, 1e-20);
  EXPECT_DOUBLE_EQ(detect.lr(250), 1e-4 * (1 - 0.5 * 0.999));
  EXPECT_DOUBLE_EQ(detect.lr(500), 1e-4);
  EXPECT_DOUBLE_EQ(detect.lr(8 * 7330 - 1), 1e-4);
  EXPECT_DOUBLE_EQ(detect.lr(8 * 7330), 1e-5);
  EXPECT_DOUBLE_EQ(detect.lr(11 * 7330 - 1), 1e-5);
  EXPECT_DOUBLE_EQ(detect.lr(11 * 7330), 1e-6);
  const Schedule segment = schedule_of(Task::kSegment, 16000);
  const auto base = [](double t) { return 6e-5 * (1 - t / 160000); };
  EXPECT_NEAR(segment.lr(0), 6e-11, 1e-18);
  EXPECT_DOUBLE_EQ(segment.lr(600), base(600) * (1 - (1 - 0.4) * (1 - 1e-6)));
  EXPECT_DOUBLE_EQ(segment.lr(1500), base(1500));
  EXPECT_DOUBLE_EQ(segment.lr(80000), 3e-5);
  EXPECT_EQ(segment.lr(160000), 0);
}

// Just outside of each bound, and no number.
TEST(TrainOptions, EveryOptionOutsideItsRangeIsNamedWithValueAndRange) {
  int bounds = 0;
  for (const Task task : kTasks) {
    for (const std::string& name : option_names(task)) {
      std::vector<double> outside;
      edited(defaults_of(task), name, [&](auto& field, const OptionInfo& info) {
        using Field = std::remove_cvref_t<decltype(field)>;
        constexpr bool kReal = std::is_same_v<Field, double> ||
                               std::is_same_v<Field, std::array<double, 2>> ||
                               std::is_same_v<Field, std::optional<double>>;
        const double step = kReal ? 0.5 : 1;
        if (std::isfinite(info.low)) outside.push_back(info.low - step);
        if (std::isfinite(info.high)) outside.push_back(info.high + step);
        if (std::isfinite(info.above)) outside.push_back(info.above);
        if (std::isfinite(info.below)) outside.push_back(info.below);
        if (kReal && !outside.empty()) outside.insert(outside.end(), {NAN, INFINITY});
      });
      for (const double value : outside) {
        ++bounds;
        const TrainOptions bad =
            edited(defaults_of(task), name,
                   [&](auto& field, const OptionInfo&) { set_number(field, value); });
        EXPECT_THAT(error_of([&] { validate(bad); }),
                    StartsWith(fmt::format("{} is {}, must be ", name, value)));
      }
    }
  }
  EXPECT_GE(bounds, 150);
}

// What version 0.1 wrote into the states of runs.
TEST(TrainOptions, ThoseOfEarlierVersionsAreRead) {
  const TrainOptions classify = options_from_json(
      Json::parse(R"({"data": "d", "task": "classify", "model": {"config": {"embed_dim": 6}},
        "epochs": 3, "batch-size": 8, "lr": 0.01, "sched": "cosine", "decay-milestones": [],
        "no-decay": "1d", "opt-betas": [0.9, 0.999], "smoothing": 0.1, "model-ema": true,
        "interpolation": "random", "aa": "rand-inc1-m9-mstd0.5", "remode": "const", "mixup": 0.8,
        "mixup-off-epoch": 2, "amp": "bf16", "max-bad": 3})"),
      "old");
  EXPECT_EQ(classify.model.choice.description["config"]["embed_dim"], 6);
  EXPECT_EQ(classify.classification.augmentation.interpolation, data::WarpInterpolation::kRandom);
  EXPECT_EQ(data::to_text(classify.classification.augmentation.rand_augment),
            "rand-m9-mstd0.5-inc1");
  EXPECT_EQ(classify.classification.augmentation.erase_mode, data::EraseMode::kConst);
  EXPECT_EQ(classify.classification.mixup.off_epoch, 2);
  EXPECT_EQ(classify.run.amp, Amp::kBf16);
  // The sides of the crop were written as floating point.
  const TrainOptions detect = options_from_json(
      Json::parse(R"({"task": "detect", "crop-size": [384.0, 600.0], "no-decay": "norm"})"), "old");
  EXPECT_EQ(detect.detection.crop_size, (std::array<int, 2>{384, 600}));
  EXPECT_EQ(check_resumable(detect, defaults_of(Task::kDetect)).size(), 0u);
}

TEST(TrainOptions, KeysTakeDashesAndUnderscoresAndTypesAreChecked) {
  const TrainOptions o = options_from_json(
      {{"batch_size", 7}, {"min-lr", 1e-4}, {"model", {{"config", "x"}}}}, "r.yaml");
  EXPECT_EQ(o.schedule.batch_size, 7);
  EXPECT_EQ(o.schedule.min_lr, 1e-4);
  EXPECT_TRUE(o.model.choice.description.is_object());
  const auto error = [](const char* json) {
    return error_of([&] { options_from_json(Json::parse(json), "r.yaml"); });
  };
  EXPECT_THAT(error(R"({"batchsize": 7})"),
              testing::AllOf(HasSubstr("r.yaml"), HasSubstr("did you mean 'batch-size'")));
  for (const char* json :
       {R"({"epochs": 1.5})", R"({"epochs": "many"})", R"({"epochs": 1e12})",
        R"({"epochs": 4294967297})", R"({"epochs": true})", R"({"seed": -1})",
        R"({"scale": [0.1]})", R"({"scale": 0.1})", R"({"model-ema": "yes"})", R"({"lr": [1]})",
        R"({"sched": "sine"})", R"({"model": 3})", R"({"lr": 1, "l-r": 2})",
        R"({"batch-size": 1, "batch_size": 1})", R"([1])"}) {
    EXPECT_THAT(error(json), HasSubstr("r.yaml")) << json;
  }
}

TEST(TrainOptions, TheScaledLearningRatesAreTheAuthors) {
  TrainOptions o;
  const auto expect_scaled = [&](int world) {
    EXPECT_DOUBLE_EQ(o.learning_rates(world).peak, 1e-3);
    EXPECT_DOUBLE_EQ(o.learning_rates(world).first, 1e-6);
    EXPECT_DOUBLE_EQ(o.learning_rates(world).last, 1e-5);
  };
  o.schedule.batch_size = 1024;
  expect_scaled(1);
  // By the images of a step, however they are divided.
  o.schedule.batch_size = 32;
  o.schedule.accumulation_steps = 4;
  expect_scaled(8);
  o.schedule.lr = 0.5;
  EXPECT_EQ(o.learning_rates(8).peak, 0.5);
}

TEST(TrainOptions, WhatDoesNotFitTogetherIsNamed) {
  EXPECT_THAT(error_of([&] { validate(TrainOptions{}); }), StartsWith("data"));
  const auto error = [&](auto edit, Task task = Task::kClassify) {
    TrainOptions o = defaults_of(task);
    edit(o);
    return error_of([&] { validate(o); });
  };
  EXPECT_THAT(error([](auto& o) { o.run.seed = uint64_t{1} << 63; }), StartsWith("seed is 9223"));
  EXPECT_THAT(error([](auto& o) {
                o.class_weights = {ClassWeights::Kind::kList, {1, -1}};
              }),
              StartsWith("class-weights has -1"));
  EXPECT_THAT(error([](auto& o) { o.optimizer.nesterov = true, o.optimizer.momentum = 0; }),
              StartsWith("nesterov"));
  EXPECT_THAT(error([](auto& o) {
                o.schedule.milestones = {{3, 2}};
              }),
              StartsWith("decay-milestones are 3 2"));
  EXPECT_THAT(error([](auto& o) {
                o.classification.augmentation.scale = {0.5, 0.4};
              }),
              StartsWith("scale is 0.5 0.4"));
  EXPECT_THAT(error([](auto& o) { o.detection.short_sides.clear(); }, Task::kDetect),
              StartsWith("short-sides"));
  EXPECT_THAT(error(
                  [](auto& o) {
                    o.segmentation.ratio_range = {2, 1};
                  },
                  Task::kSegment),
              StartsWith("ratio-range is 2 1"));
}

}  // namespace
}  // namespace asmlp::train::options_test
