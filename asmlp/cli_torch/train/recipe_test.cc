#include "asmlp/cli_torch/train/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "asmlp/core/error.h"
#include "asmlp/torch/train/resume_options.h"
#include "tests/support/support.h"

namespace asmlp::cli::recipe_test {
namespace {

void expect_read_back(const train::TrainOptions& options) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "recipe.yaml";
  std::ofstream(path) << recipe_text(options);
  const train::TrainOptions read = load_recipe(path);
  // The order of the keys of `model` is not kept, and does not matter.
  const auto sorted = [](const train::TrainOptions& o) {
    return nlohmann::json(train::to_json(o));
  };
  EXPECT_EQ(sorted(read), sorted(options));
  EXPECT_NO_THROW(train::check_resumable(options, read));
}

TEST(Recipe, ReadsBackWhatItWrites) {
  train::TrainOptions options;
  options.model.data = "a folder: with \"quotes\", # and \\ and 'ticks'";
  expect_read_back(options);
  options.model.choice = R"({"name": "1e3", "config": {"depths": [1, 2], "shift_size": "5"}})";
  options.schedule.lr = 1.0 / 3;
  options.run.seed = INT64_MAX;
  options.classification.augmentation.crop_padding = 0;
  options.model.num_classes = 7;
  options.optimizer.model_ema = true;
  options.classification.augmentation.ratio = {0.1, 1e-300};
  expect_read_back(options);
}

std::filesystem::path recipes() { return test::source_folder() / "recipes"; }

TEST(Recipe, ThoseInTheRepositoryAreValid) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(recipes())) {
    const train::TrainOptions options = load_recipe(entry.path());
    EXPECT_NO_THROW(train::validate(options)) << entry.path();
    if (options.model.task == Task::kClassify) {
      EXPECT_NO_THROW(train::resolve_model(options, 0)) << entry.path();
    }
    ++count;
  }
  EXPECT_GE(count, 6);
}

// Whatever --epochs says, of a large data set and of a small one.
TEST(Recipe, EveryLengthHasASchedule) {
  for (const auto& entry : std::filesystem::directory_iterator(recipes())) {
    const train::TrainOptions recipe = load_recipe(entry.path());
    for (int epochs = 1; epochs <= 30; ++epochs) {
      train::TrainOptions o = recipe;
      o.schedule.epochs = epochs;
      train::refit_schedule(o.schedule, recipe.schedule.epochs);
      EXPECT_NO_THROW(train::validate(o)) << entry.path();
      for (const int64_t steps : {1, 20, 7330}) {
        // A recipe that gives steps of warmup gives them for the data that it names.
        if (recipe.schedule.warmup_steps && steps < 7330) continue;
        std::string note;
        const train::Schedule schedule =
            train::make_schedule(o.schedule, o.learning_rates(1), steps, &note);
        EXPECT_LE(schedule.warmup_steps, (epochs * steps + 9) / 10) << entry.path() << epochs;
        EXPECT_EQ(note, "") << entry.path();
        for (const int64_t milestone : schedule.milestones) {
          EXPECT_LE(milestone, schedule.total_steps);
        }
        for (const int64_t step : {int64_t{0}, schedule.total_steps - 1}) {
          EXPECT_TRUE(schedule.lr(step) >= 0 && schedule.lr(step) <= schedule.peak * 1.0001);
        }
      }
    }
  }
}

// A run from a model's file has them without the recipe.
TEST(Recipe, ThoseOfFineTuningAreTheDefaults) {
  for (const auto& [name, task] : {std::pair{"photos", Task::kClassify},
                                   {"boxes", Task::kDetect},
                                   {"segments", Task::kSegment}}) {
    const train::TrainOptions recipe =
        load_recipe(recipes() / fmt::format("finetune_{}.yaml", name));
    train::TrainOptions expected = train::default_options(task, train::Start::kFile);
    expected.model = recipe.model;
    // Only who asks for it gets other pixels than Pillow's.
    if (task == Task::kClassify) {
      expected.classification.augmentation.decode = data::CropDecoding::kFast;
    }
    EXPECT_EQ(train::to_json(recipe), train::to_json(expected)) << name;
  }
}

// The published ones are for 8 processes with 2 images each.
TEST(Recipe, TheDetectorsAndSegmentorsAreTheAuthors) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(recipes())) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("coco_") && !name.starts_with("ade20k_")) continue;
    ++count;
    const train::TrainOptions o = load_recipe(entry.path());
    const bool detects = o.model.task == Task::kDetect;
    EXPECT_DOUBLE_EQ(o.learning_rates(8).peak, detects ? 1e-4 : 6e-5);
    const int64_t steps = detects ? 7330 : 16000;
    const train::Schedule schedule = train::make_schedule(o.schedule, o.learning_rates(8), steps);
    EXPECT_EQ(schedule.warmup_steps, detects ? 500 : 1500);
    if (!detects) continue;
    const bool longer = name.find("_3x") != std::string::npos;
    EXPECT_EQ(schedule.milestones,
              (std::vector<int64_t>{(longer ? 27 : 8) * steps, (longer ? 33 : 11) * steps}));
  }
  EXPECT_GE(count, 13);
}

// The authors' values, by file: what differs, and that nothing else differs from the defaults.
TEST(Recipe, ImageNetsAreTheAuthors) {
  for (const auto& [name, drop_path] :
       {std::pair{"mobile", 0.2}, {"tiny", 0.2}, {"small", 0.3}, {"base", 0.5}}) {
    train::TrainOptions options = load_recipe(recipes() / fmt::format("imagenet_{}.yaml", name));
    EXPECT_EQ(options.model.choice.name, fmt::format("asmlp_{}_patch4_shift5_224", name));
    EXPECT_EQ(options.model.drop_path, drop_path);
    EXPECT_EQ(options.model.exif, Exif::kIgnore);  // the authors read the stored pixels
    train::TrainOptions expected;
    expected.schedule.warmup_epochs = 20;
    expected.model = options.model;
    expected.run.workers = options.run.workers;
    EXPECT_EQ(train::to_json(options), train::to_json(expected)) << name;
  }
  const train::TrainOptions defaults;
  EXPECT_EQ(defaults.schedule.epochs, 300);
  EXPECT_EQ(defaults.schedule.usual_warmup.epochs, 20);
  EXPECT_EQ(defaults.optimizer.weight_decay, 0.05);
  EXPECT_EQ(defaults.optimizer.clip_grad, 5);
  const data::MixupOptions& mixup = defaults.classification.mixup;
  EXPECT_EQ(mixup.smoothing, 0.1);
  EXPECT_EQ(mixup.mixup, 0.8);
  EXPECT_EQ(mixup.cutmix, 1);
  const data::Augmentation& a = defaults.classification.augmentation;
  EXPECT_EQ(data::to_text(a.rand_augment), "rand-m9-mstd0.5-inc1");
  EXPECT_EQ(a.color_jitter, 0.4);
  EXPECT_EQ(a.erase_probability, 0.25);
  EXPECT_EQ(a.interpolation, data::WarpInterpolation::kBicubic);
  EXPECT_EQ(a.erase_count, 1);

  const train::TrainOptions finer = load_recipe(recipes() / "imagenet_base_384.yaml");
  EXPECT_EQ(train::resolve_model(finer, 0).spec.preprocessing.size, 384);
  EXPECT_EQ(finer.schedule.epochs, 30);
  EXPECT_EQ(finer.schedule.lr, 1e-5);
  EXPECT_EQ(finer.schedule.lr, finer.schedule.min_lr);
  EXPECT_EQ(finer.schedule.warmup_epochs, 0);
  EXPECT_EQ(finer.optimizer.weight_decay, 1e-8);
  EXPECT_EQ(finer.model.drop_path, 0.1);
}

// Its numbers in the documents were measured without the transforms that came later.
TEST(Recipe, FashionNanoMovesAndMirrorsOnly) {
  const train::ClassifyOptions options =
      load_recipe(recipes() / "fashion_nano.yaml").classification;
  const data::Augmentation& a = options.augmentation;
  EXPECT_EQ(a.crop_padding, 2);
  EXPECT_FALSE(a.rand_augment);
  EXPECT_EQ(a.color_jitter, 0);
  EXPECT_EQ(options.mixup.mixup + options.mixup.cutmix, 0);
}

void read_command_line(std::vector<std::string> words, train::TrainOptions& options) {
  CLI::App app;
  nlohmann::json given = nlohmann::json::object();
  add_recipe_options(app, options, given);
  std::reverse(words.begin(), words.end());
  app.parse(words);
  train::read_options(given, "command line", options);
}

TEST(Recipe, TheCommandLineWinsOverIt) {
  train::TrainOptions options;
  options.schedule.epochs = 5;
  options.optimizer.model_ema = true;
  read_command_line({"--scale",    "0.5",
                     "0.75",       "--no-model-ema",
                     "--lr=0.1",   "-b",
                     "3",          "--aa",
                     "",           "-j",
                     "5",          "--decay-milestones",
                     "2",          "4",
                     "--sched",    "multistep",
                     "-m",         R"({"name": "x"})",
                     "--seed",     "9223372036854775807",
                     "data folder"},
                    options);
  EXPECT_EQ(options.schedule.epochs, 5);
  EXPECT_EQ(options.schedule.batch_size, 3);
  EXPECT_EQ(options.schedule.lr, 0.1);
  EXPECT_EQ(options.schedule.decay, train::Decay::kMultistep);
  EXPECT_EQ(options.schedule.milestones, (std::vector<double>{2, 4}));
  EXPECT_FALSE(options.optimizer.model_ema);
  EXPECT_EQ(options.classification.augmentation.scale, (std::array<double, 2>{0.5, 0.75}));
  EXPECT_FALSE(options.classification.augmentation.rand_augment);
  EXPECT_EQ(options.model.data, "data folder");
  EXPECT_EQ(options.model.choice.description["name"], "x");
  EXPECT_EQ(options.run.seed, uint64_t{INT64_MAX});
  // -j is the threads of the arithmetic, as in every command.
  EXPECT_EQ(options.run.threads, 5);
  EXPECT_EQ(options.run.workers, std::nullopt);
}

// "" and off are YAML's and timm's ways to say it, none is everybody's.
TEST(Recipe, NoRandAugmentIsSaidInSeveralWays) {
  for (const char* word : {"none", "off", ""}) {
    train::TrainOptions options;
    read_command_line({"--aa", word}, options);
    EXPECT_FALSE(options.classification.augmentation.rand_augment) << word;
  }
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "recipe.yaml";
  for (const char* line : {"aa: none", "aa: off", "aa: \"\"", "aa:", "aa: false"}) {
    std::ofstream(path) << "data: d\n" << line << '\n';
    EXPECT_FALSE(load_recipe(path).classification.augmentation.rand_augment) << line;
  }
}

TEST(Recipe, ClassWeightsAreNumbersOrAWord) {
  using Kind = train::ClassWeights::Kind;
  train::TrainOptions options;
  read_command_line({"--class-weights", "1,2,0.5"}, options);
  EXPECT_EQ(options.class_weights, (train::ClassWeights{Kind::kList, {1, 2, 0.5}}));
  expect_read_back(options);
  read_command_line({"--class-weights", "balanced", "--opt", "sgd", "--nesterov"}, options);
  EXPECT_EQ(options.class_weights.kind, Kind::kBalanced);
  EXPECT_EQ(options.optimizer.opt, train::Opt::kSgd);
  EXPECT_TRUE(options.optimizer.nesterov);
  expect_read_back(options);
}

TEST(Recipe, TheCommandLineHasTheOptionsOfAllTasks) {
  train::TrainOptions options = train::default_options(Task::kDetect);
  read_command_line({"--crop-size", "32", "48", "--hflip", "0.25", "--steps-per-epoch", "7"},
                    options);
  EXPECT_EQ(options.detection.crop_size, (std::array<int, 2>{32, 48}));
  EXPECT_EQ(options.detection.hflip, 0.25);
  EXPECT_EQ(options.dense.steps_per_epoch, 7);
  const auto error = [&](std::vector<std::string> words) {
    return test::error_of(ErrorCode::kInvalidArgument,
                          [&] { read_command_line(std::move(words), options); });
  };
  EXPECT_THAT(error({"--mixup", "1"}),
              testing::HasSubstr("mixup is no option of the task 'detect'"));
  // The task is the command's own option.
  EXPECT_THROW(read_command_line({"--task", "detect"}, options), CLI::ExtrasError);
  EXPECT_THAT(test::error_of(ErrorCode::kInvalidArgument,
                             [&] {
                               train::read_options({{"task", "segment"}}, "line", options);
                             }),
              testing::HasSubstr("the task is 'segment' here and 'detect'"));
  EXPECT_THROW(read_command_line({"--sched", "sine"}, options), CLI::ValidationError);
  EXPECT_THROW(read_command_line({"--crop-size", "32"}, options), CLI::ArgumentMismatch);
}

TEST(Recipe, HelpHasEveryOptionOnceWithItsDefault) {
  CLI::App app;
  nlohmann::json given;
  add_recipe_options(app, train::default_options(Task::kSegment), given);
  const std::string help = app.help();
  for (const std::string& name : train::option_names()) {
    if (name == "task") continue;
    EXPECT_THAT(help, testing::HasSubstr(name == "data" ? name : "--" + name));
  }
  for (const char* text : {"=upernet_asmlp_tiny", "=rand-m9-mstd0.5-inc1", "=0.75 1.333", "=6e-05",
                           "=adamw", "{cosine,multistep,poly}", "=400 500 600"}) {
    EXPECT_THAT(help, testing::HasSubstr(text));
  }
}

}  // namespace
}  // namespace asmlp::cli::recipe_test
