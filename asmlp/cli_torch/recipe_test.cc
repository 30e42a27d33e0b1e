#include "asmlp/cli_torch/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "asmlp/cli/options/raw_option.h"
#include "asmlp/core/error.h"
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
    return nlohmann::json::parse(train::to_json(o));
  };
  EXPECT_EQ(sorted(read), sorted(options));
  EXPECT_NO_THROW(train::check_resumable(options, read));
}

TEST(Recipe, ReadsBackWhatItWrites) {
  train::TrainOptions options;
  options.data = "a folder: with \"quotes\", # and \\ and 'ticks'";
  expect_read_back(options);
  options.model = R"({"name": "1e3", "config": {"depths": [1, 2], "shift_size": "5"}})";
  options.lr = 1.0 / 3;
  options.seed = INT64_MAX;
  options.crop_padding = 0;
  options.num_classes = 7;
  options.model_ema = true;
  options.ratio = {0.1, 1e-300};
  expect_read_back(options);
}

std::filesystem::path recipes() { return test::source_folder() / "recipes"; }

TEST(Recipe, ThoseInTheRepositoryAreValid) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(recipes())) {
    const train::TrainOptions options = load_recipe(entry.path());
    EXPECT_NO_THROW(train::validate(options)) << entry.path();
    if (options.kind() == train::TaskKind::kClassify) {
      EXPECT_NO_THROW(train::resolve_model(options, 0)) << entry.path();
    }
    ++count;
  }
  EXPECT_GE(count, 6);
}

// The authors' values, by file: what differs, and that nothing else differs from the defaults.
TEST(Recipe, ImageNetsAreTheAuthors) {
  for (const auto& [name, drop_path] :
       {std::pair{"mobile", 0.2}, {"tiny", 0.2}, {"small", 0.3}, {"base", 0.5}}) {
    train::TrainOptions options = load_recipe(recipes() / fmt::format("imagenet_{}.yaml", name));
    EXPECT_EQ(options.model, fmt::format("asmlp_{}_patch4_shift5_224", name));
    EXPECT_EQ(options.drop_path, drop_path);
    train::TrainOptions expected;
    expected.data = options.data;
    expected.model = options.model;
    expected.drop_path = options.drop_path;
    expected.workers = options.workers;
    EXPECT_EQ(train::to_json(options), train::to_json(expected)) << name;
  }
  const train::TrainOptions defaults;
  EXPECT_EQ(defaults.epochs, 300);
  EXPECT_EQ(defaults.warmup_epochs, 20);
  EXPECT_EQ(defaults.weight_decay, 0.05);
  EXPECT_EQ(defaults.clip_grad, 5);
  EXPECT_EQ(defaults.smoothing, 0.1);
  EXPECT_EQ(defaults.aa, "rand-m9-mstd0.5-inc1");
  EXPECT_EQ(defaults.color_jitter, 0.4);
  EXPECT_EQ(defaults.reprob, 0.25);
  EXPECT_EQ(defaults.mixup, 0.8);
  EXPECT_EQ(defaults.cutmix, 1);
  const data::Augmentation a = defaults.augmentation();
  EXPECT_TRUE(a.rand_augment && a.rand_augment->increasing);
  EXPECT_EQ(a.rand_augment->magnitude, 9);
  EXPECT_EQ(a.interpolation, Interpolation::kBicubic);
  EXPECT_EQ(a.erase_count, 1);

  const train::TrainOptions finer = load_recipe(recipes() / "imagenet_base_384.yaml");
  EXPECT_EQ(train::resolve_model(finer, 0).spec.preprocessing.size, 384);
  EXPECT_EQ(finer.epochs, 30);
  EXPECT_EQ(finer.lr, 1e-5);
  EXPECT_EQ(finer.lr, finer.min_lr);
  EXPECT_EQ(finer.warmup_epochs, 0);
  EXPECT_EQ(finer.weight_decay, 1e-8);
  EXPECT_EQ(finer.drop_path, 0.1);
}

// Its figures in the documents were measured without the transforms that came later.
TEST(Recipe, FashionNanoMovesAndMirrorsOnly) {
  const data::Augmentation a = load_recipe(recipes() / "fashion_nano.yaml").augmentation();
  EXPECT_EQ(a.crop_padding, 2);
  EXPECT_FALSE(a.rand_augment);
  EXPECT_EQ(a.color_jitter, 0);
  const train::TrainOptions options = load_recipe(recipes() / "fashion_nano.yaml");
  EXPECT_EQ(options.mixup + options.cutmix, 0);
}

TEST(Recipe, TheCommandLineWinsOverIt) {
  train::TrainOptions options;
  options.epochs = 5;
  options.model_ema = true;
  CLI::App app;
  add_recipe_options(app, options);
  std::vector<std::string> words{"--scale",  "0.5", "0.75", "--no-model-ema",
                                 "--lr=0.1", "-b",  "3",    "data folder"};
  std::reverse(words.begin(), words.end());
  app.parse(words);
  EXPECT_EQ(options.epochs, 5);
  EXPECT_EQ(options.batch_size, 3);
  EXPECT_EQ(options.lr, 0.1);
  EXPECT_FALSE(options.model_ema);
  EXPECT_EQ(options.scale, (std::array<double, 2>{0.5, 0.75}));
  EXPECT_EQ(options.data, "data folder");
  // Every option is there under its name.
  const std::string help = app.help();
  for (const std::string& name : train::option_names()) {
    EXPECT_THAT(help, testing::HasSubstr(name == "data" ? name : "--" + name));
  }
}

TEST(RawOption, IsFoundInBothSpellings) {
  const char* words[] = {"asmlp",    "train", "--config=a.yaml", "--resume", "--json",
                         "--output", "b"};
  EXPECT_EQ(raw_option(words, "--config"), "a.yaml");
  EXPECT_EQ(raw_option(words, "--output"), "b");
  EXPECT_EQ(raw_option(words, "--resume"), "");
  EXPECT_EQ(raw_option(words, "--out"), std::nullopt);
}

}  // namespace
}  // namespace asmlp::cli::recipe_test
