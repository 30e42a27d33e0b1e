#include "asmlp/cli_torch/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "asmlp/core/error.h"
#include "tests/support.h"

namespace asmlp::cli {
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

TEST(Recipe, TheOneInTheRepositoryIsValid) {
  const auto folder =
      std::filesystem::path(ASMLP_TEST_DATA).parent_path().parent_path() / "recipes";
  int recipes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const train::TrainOptions options = load_recipe(entry.path());
    EXPECT_NO_THROW(train::validate(options)) << entry.path();
    EXPECT_NO_THROW(train::resolve_model(options, 0)) << entry.path();
    ++recipes;
  }
  EXPECT_GE(recipes, 1);
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
}  // namespace asmlp::cli
