// What a study decides without training anything: its plan, its results, what it knows of a run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/model/baselines/architecture.h"
#include "asmlp/study/cost_chart.h"
#include "asmlp/study/family.h"
#include "asmlp/study/folder.h"
#include "asmlp/study/plan.h"
#include "asmlp/study/plot.h"
#include "asmlp/study/results.h"
#include "tests/support/support.h"

namespace asmlp::study::study_test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kStudy = R"(
name: mine
epochs: 3
seeds: [1, 2]
baseline: five
base:
  data: /data
  batch_size: 16
  model: {config: {embed_dim: 8, depths: [1, 1], shift_size: 5}}
variants:
  - {name: five, group: models}
  - {name: serial, group: models, set: {model.config.connection: serial, lr: 1e-3}, seeds: [1, 2, 3]}
  - group: shift
    grid: {model.config.shift_size: [1, 5, [5, 1]]}
)";

StudyPlan plan_of(const std::string& text) { return parse_study(text, "s.yaml", "."); }

std::string error_of(const std::string& text) {
  try {
    plan_of(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  return text.replace(place, from.size(), to);
}

TEST(StudyPlan, VariantsAndGridsBecomeConfigurationsEachOnce) {
  const StudyPlan plan = plan_of(kStudy);
  EXPECT_EQ(plan.name, "mine");
  EXPECT_EQ(plan.epochs, 3);
  std::vector<std::string> names;
  for (const StudyVariant& variant : plan.variants) names.push_back(variant.name);
  EXPECT_THAT(names,
              ElementsAre("five", "serial", "shift_size 1", "shift_size 5", "shift_size 5x1"));
  // The grid's 5 is the baseline's configuration: trained once, shown twice.
  EXPECT_EQ(plan.configs.size(), 4u);
  EXPECT_EQ(plan.variants[3].config, plan.variants[0].config);
  EXPECT_EQ(plan.baseline, size_t{0});
  const auto& serial = plan.configs[plan.variants[1].config].options;
  EXPECT_EQ(serial["batch-size"], 16);
  EXPECT_EQ(serial["lr"], 1e-3);
  EXPECT_EQ(serial["model"]["config"]["connection"], "serial");
  EXPECT_EQ(serial["model"]["config"]["embed_dim"], 8);
  EXPECT_EQ(plan.configs[plan.variants[4].config].options["model"]["config"]["shift_size"],
            nlohmann::json({5, 1}));
}

TEST(StudyPlan, RunsComeSeedBySeedInFoldersOfTheirOwn) {
  const StudyPlan plan = plan_of(kStudy);
  const std::vector<StudyRun> runs = plan.runs();
  ASSERT_EQ(runs.size(), 9u);
  std::set<std::string> folders;
  std::vector<uint64_t> seeds;
  for (const StudyRun& run : runs) {
    folders.insert(run.folder);
    seeds.push_back(run.seed);
    EXPECT_EQ(run.options["seed"], run.seed);
    EXPECT_EQ(run.options["epochs"], 3);
  }
  EXPECT_EQ(folders.size(), runs.size());
  EXPECT_TRUE(std::is_sorted(seeds.begin(), seeds.end()));
  EXPECT_THAT(runs[0].folder, testing::StartsWith("five_seed1_"));
}

TEST(StudyPlan, TheFolderChangesWithTheConfigurationAndOnlyWithIt) {
  const std::string first = plan_of(kStudy).runs()[0].folder;
  EXPECT_EQ(plan_of(replaced(kStudy, "batch_size: 16", "batch-size: 16")).runs()[0].folder, first);
  EXPECT_EQ(
      plan_of(replaced(kStudy, "batch_size: 16", "batch-size: 16\n  workers: 7")).runs()[0].folder,
      first);
  EXPECT_NE(plan_of(replaced(kStudy, "batch_size: 16", "batch-size: 17")).runs()[0].folder, first);
  EXPECT_NE(plan_of(replaced(kStudy, "epochs: 3", "epochs: 4")).runs()[0].folder, first);
  EXPECT_NE(plan_of(replaced(kStudy, "shift_size: 5}", "shift_size: 7}")).runs()[0].folder, first);
}

TEST(StudyPlan, MistakesAreNamedWithWhatWasMeant) {
  const auto with = [](const char* from, const char* to) {
    return error_of(replaced(kStudy, from, to));
  };
  EXPECT_THAT(with("seeds: [1, 2]", "seed: [1]"), HasSubstr("did you mean 'seeds'"));
  EXPECT_THAT(with("seeds: [1, 2]", "seeds: [1, 1]"), HasSubstr("1 is given twice"));
  EXPECT_THAT(with("seeds: [1, 2]", "seeds: []"), HasSubstr("seeds"));
  EXPECT_THAT(with("seeds: [1, 2]", "seeds: [-1]"),
              HasSubstr("seeds[0] must be an integer from 0, found -1"));
  EXPECT_THAT(with("epochs: 3", "epochs: 0"),
              HasSubstr("epochs is 0, must be between 1 and 1000000"));
  EXPECT_THAT(with("epochs: 3", "epochs: 2.5"), HasSubstr("epochs must be an integer"));
  EXPECT_THAT(with("epochs: 3\n", ""), HasSubstr("`epochs` is missing"));
  EXPECT_THAT(with("name: serial, group", "name: serial, gruop"),
              HasSubstr("did you mean 'group'"));
  EXPECT_THAT(with("name: serial", "name: five"), HasSubstr("'five' is given twice"));
  EXPECT_THAT(with("name: serial", "name: 'a|b'"), HasSubstr("'|'"));
  EXPECT_THAT(with("name: serial, ", ""), HasSubstr("variant 2 needs a `name`"));
  EXPECT_THAT(with("baseline: five", "baseline: fife"), HasSubstr("did you mean 'five'"));
  EXPECT_THAT(with("name: serial, ", "name: serial, claim: good, "), HasSubstr("better"));
  EXPECT_THAT(error_of("seeds: [1]\nepochs: 1\nbase: {}\nvariants: [{name: a, claim: worse}]"),
              HasSubstr("`baseline`"));
  EXPECT_THAT(with("lr: 1e-3", "epochs: 9"), HasSubstr("all runs have the `epochs`"));
  EXPECT_THAT(with("lr: 1e-3", "seed: 9"), HasSubstr("`seeds`"));
  EXPECT_THAT(with("data: /data", "threads: 2"), HasSubstr("--jobs"));
  EXPECT_THAT(with("data: /data", "data.x: 2\n  data: a"), HasSubstr("data is no map"));
  EXPECT_THAT(with("[1, 5, [5, 1]]", "5"), HasSubstr("list of values"));
  EXPECT_THAT(with("base:", "grid: {lr: [1]}\nbase:"), HasSubstr("`variants` or `grid`"));
  EXPECT_THAT(error_of("[]"), HasSubstr("must be an object"));
  EXPECT_THAT(error_of("seeds: [1]"), HasSubstr("`base` is missing"));
}

TEST(StudyPlan, AnotherDataSetReplacesThatOfTheBase) {
  const std::string own = replaced(kStudy, "lr: 1e-3", "data: mine");
  const StudyPlan plan = parse_study(own, "s.yaml", ".", "/elsewhere");
  EXPECT_EQ(plan.configs[0].options["data"], "/elsewhere");
  EXPECT_EQ(plan.configs[plan.variants[1].config].options["data"], "mine");
  EXPECT_EQ(plan_of(own).configs[0].options["data"], "/data");
}

TEST(StudyPlan, BaseMayBeARecipeAndItsModelAFileOrAName) {
  const test::TemporaryFolder folder;
  std::ofstream(folder.path() / "recipe.yaml")
      << "data: /data\nepochs: 7\nseed: 42\nthreads: 3\nlr: 0.1\nmodel: model.yaml\n";
  std::ofstream(folder.path() / "model.yaml") << "config: {embed_dim: 8, dilation: 1}\n";
  std::ofstream(folder.path() / "s.yaml")
      << "seeds: [1]\nbase: {recipe: recipe.yaml, lr: 0.2}\n"
         "variants:\n"
         "- {name: a}\n"
         "- {name: b, set: {model: asmlp_tiny_patch4_shift5_224, model.config.dilation: 2}}\n";
  const StudyPlan plan = load_study(folder.path() / "s.yaml");
  EXPECT_EQ(plan.name, "s");
  EXPECT_EQ(plan.epochs, 7);
  const auto& a = plan.configs[0].options;
  EXPECT_EQ(a["lr"], 0.2);
  EXPECT_FALSE(a.contains("seed") || a.contains("threads") || a.contains("epochs"));
  EXPECT_EQ(a["model"]["config"]["embed_dim"], 8);
  const auto& b = plan.configs[1].options;
  EXPECT_EQ(b["model"]["model"], "asmlp_tiny_patch4_shift5_224");
  EXPECT_EQ(b["model"]["config"]["dilation"], 2);
  // A changed model file is another configuration.
  const std::string before = plan.runs()[0].folder;
  std::ofstream(folder.path() / "model.yaml") << "config: {embed_dim: 16, dilation: 1}\n";
  EXPECT_NE(load_study(folder.path() / "s.yaml").runs()[0].folder, before);
}

// Finished runs whose top-1 depends on variant and seed; one has failed, one is missing.
std::optional<Json> made_up(const StudyPlan& plan, const StudyRun& run) {
  const std::string& name = plan.configs[run.config].name;
  if (name == "serial" && run.seed == 2) {
    return Json{{"outcome", "failed"}, {"error", "loss\nnot finite"}};
  }
  if (name == "serial" && run.seed == 3) return std::nullopt;
  const double at_first = name == "shift_size 1" ? 80.2 : 90.2;
  // One gets worse from seed to seed, where the others get better.
  const double step = name == "shift_size 5x1" ? -0.2 : 0.2;
  const double top1 = at_first + step * (double(run.seed) - 1);
  return Json{{"outcome", "finished"},
              {"commit", "abc"},
              {"at_once", 2},
              {"threads", 1},
              {"train",
               {{"last_top1", top1},
                {"best_top1", top1 + 1},
                {"parameters", 1234567},
                {"multiply_adds", 7654321},
                {"train_images_per_second", 100.0 * double(run.seed)}}}};
}

Json made_up_document() {
  const StudyPlan plan = plan_of(kStudy);
  return study_document(
      plan, [&](const StudyRun& run) { return made_up(plan, run); },
      [](const StudyConfig& config) -> std::optional<Json> {
        if (config.name != "five") return std::nullopt;
        return Json{{"ms", 1.25},   {"images_per_second", 1000.5}, {"batch", 32},
                    {"threads", 1}, {"precision", "fp32"},         {"isa", "avx2"}};
      });
}

TEST(StudyResults, TheBaselineStandsInEveryGroupAndGapsAreTold) {
  const Json document = made_up_document();
  EXPECT_EQ(document["runs"].dump(), R"({"planned":9,"finished":7,"failed":1,"missing":1})");
  const Json& models = document["groups"][0];
  EXPECT_EQ(models["name"], "models");
  EXPECT_TRUE(models["rows"][0]["baseline"]);
  EXPECT_DOUBLE_EQ(models["rows"][0]["mean"], 90.3);
  EXPECT_DOUBLE_EQ(models["rows"][0]["images_per_second"], 200);
  const Json& shift = document["groups"][1]["rows"];
  ASSERT_EQ(shift.size(), 3u);  // 1, 5 (the baseline), 5x1
  EXPECT_TRUE(shift[1]["baseline"]);
  EXPECT_EQ(shift[0]["verdict"], "worse");
  EXPECT_EQ(shift[0]["pairs"], 2);
  EXPECT_EQ(shift[2]["verdict"], "undecided");
  EXPECT_NEAR(shift[0]["difference"].get<double>(), -10, 1e-9);
  const std::string text = study_text(document, StudyMarkup::kMarkdown);
  EXPECT_THAT(text, HasSubstr("## shift"));
  EXPECT_THAT(text, HasSubstr("1,234,567"));
  EXPECT_THAT(text, HasSubstr("serial: not finished: seed 3"));
  EXPECT_THAT(text, HasSubstr("serial: seed 2 failed: loss not finite"));
  EXPECT_THAT(text, HasSubstr("90.20-90.40"));
  EXPECT_THAT(study_text(document, StudyMarkup::kPlain), Not(HasSubstr("|")));
}

TEST(StudyResults, CsvHasALinePerRowAndOneForTheTitles) {
  const std::string csv = study_csv(made_up_document());
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 6);
  const long commas = std::count(csv.begin(), csv.begin() + long(csv.find('\n')), ',');
  size_t begin = 0;
  for (size_t end; (end = csv.find('\n', begin)) != std::string::npos; begin = end + 1) {
    EXPECT_EQ(std::count(csv.begin() + long(begin), csv.begin() + long(end), ','), commas);
  }
}

TEST(StudyResults, AStudyWithoutARunHasATableAndNoPicture) {
  const test::TemporaryFolder folder;
  const Json document =
      study_document(plan_of(kStudy), [](const StudyRun&) { return std::optional<Json>(); });
  EXPECT_EQ(document["runs"]["missing"], 9);
  EXPECT_THAT(study_text(document, StudyMarkup::kPlain), HasSubstr("0/2"));
  write_study_top1(folder.path() / "a.png", document);
  write_study_cost(folder.path() / "b.svg", document);
  EXPECT_TRUE(fs::is_empty(folder.path()));
  write_study_top1(folder.path() / "a.png", made_up_document());
  write_study_cost(folder.path() / "b.svg", made_up_document());
  EXPECT_THAT(read_file(folder.path() / "a.png"), testing::StartsWith("\x89PNG"));
  EXPECT_EQ(read_file(folder.path() / "b.svg"), study_cost_svg(made_up_document()));
}

TEST(StudyResults, SpeedHasColumnsWhereItWasMeasured) {
  const Json document = made_up_document();
  EXPECT_DOUBLE_EQ(document["groups"][0]["rows"][0]["engine"]["ms"], 1.25);
  EXPECT_FALSE(document["groups"][0]["rows"][1].contains("engine"));
  const std::string text = study_text(document, StudyMarkup::kMarkdown);
  EXPECT_THAT(text, HasSubstr("| engine ms | engine images/s |"));
  EXPECT_THAT(text, HasSubstr("| 1.25 | 1000 |"));
  EXPECT_THAT(text, HasSubstr("batch 1 and batch 32, fp32, avx2, 1 thread)"));
  EXPECT_THAT(study_csv(document), HasSubstr(",1.25,1000.5,1\n"));
  const StudyPlan plan = plan_of(kStudy);
  const Json without =
      study_document(plan, [&](const StudyRun& run) { return made_up(plan, run); });
  EXPECT_THAT(study_text(without, StudyMarkup::kMarkdown), Not(HasSubstr("engine")));
}

TEST(StudyResults, ClaimsAreJudgedByTheVerdict) {
  EXPECT_STREQ(judge_claim(Claim::kBetter, "better"), "supported");
  EXPECT_STREQ(judge_claim(Claim::kBetter, "worse"), "not supported");
  EXPECT_STREQ(judge_claim(Claim::kWorse, "worse"), "supported");
  EXPECT_STREQ(judge_claim(Claim::kWorse, "undecided"), "undecided");
  const StudyPlan plan =
      plan_of(replaced(kStudy, "  - group: shift\n", "  - group: shift\n    claim: worse\n"));
  const Json document =
      study_document(plan, [&](const StudyRun& run) { return made_up(plan, run); });
  const Json& shift = document["groups"][1]["rows"];
  EXPECT_EQ(shift[0]["claim_is"], "supported");
  EXPECT_FALSE(shift[1].contains("claim"));  // the baseline itself
  EXPECT_EQ(shift[2]["claim_is"], "undecided");
  EXPECT_THAT(study_text(document, StudyMarkup::kPlain), HasSubstr("worse: supported"));
}

TEST(StudyCost, PanelsAreOfCostsThatDifferAndSizesAreJoined) {
  Json document = made_up_document();
  EXPECT_THAT(study_cost_svg(document), Not(HasSubstr("multiply-adds")));  // all have as many
  Json& rows = document["groups"][0]["rows"];
  EXPECT_THAT(study_cost_svg(document), Not(HasSubstr("fill=\"none\"")));
  rows[1]["parameters"] = 2000000;
  rows[1]["multiply_adds"] = 9000000;
  document["groups"].erase(1);
  const std::string svg = study_cost_svg(document);
  EXPECT_THAT(svg, HasSubstr("millions of parameters"));
  EXPECT_THAT(svg, HasSubstr("millions of multiply-adds"));
  EXPECT_THAT(svg, HasSubstr("training on LibTorch"));
  EXPECT_THAT(svg, Not(HasSubstr("native engine")));  // measured of one: no difference to show
  EXPECT_THAT(svg, HasSubstr("fill=\"none\""));       // the line of a family of two sizes
  rows[1]["name"] = "a<b";
  EXPECT_THAT(study_cost_svg(document), HasSubstr("a&lt;b"));
}

// Means near 100 % and their deviations gave an axis to 105.
TEST(StudyPlot, AccuraciesEndAtAHundred) {
  for (const auto& [mean, spread] :
       {std::pair{99.2, 1.5}, {100.0, 0.0}, {91.0, 9.5}, {99.97, 0.04}}) {
    Json document{{"groups", Json::array({Json::object({{"rows", Json::array()}})})}};
    document["groups"][0]["rows"].push_back({{"mean", mean},
                                             {"deviation", spread},
                                             {"min", mean - spread},
                                             {"max", std::min(100.0, mean + spread)}});
    const auto axis = top1_axis(document);
    ASSERT_TRUE(axis);
    EXPECT_EQ(axis->high, 100) << mean;
    EXPECT_DOUBLE_EQ(axis->ticks.back(), 100) << mean;
    EXPECT_LT(axis->low, mean);
  }
}

// The files in studies/ name networks that exist; the comparison at equal cost is at equal cost.
TEST(StudyFiles, NameKnownNetworksOfEqualCost) {
  int files = 0;
  for (const auto& file : fs::directory_iterator(test::source_folder() / "studies")) {
    const StudyPlan plan = load_study(file.path(), "/elsewhere");
    EXPECT_TRUE(plan.baseline.has_value()) << file.path();
    for (const StudyConfig& config : plan.configs) {
      EXPECT_NE(family_of(config.options), "") << file.path() << ": " << config.name;
      EXPECT_EQ(config.options["data"], "/elsewhere") << file.path();
    }
    ++files;
  }
  EXPECT_GE(files, 5);
  const StudyPlan mixers = load_study(test::source_folder() / "studies/imagenette_mixers.yaml");
  const auto cost = [&](size_t k) {
    const Architecture model =
        resolve_architecture(mixers.configs[mixers.variants[k].config].options["model"].dump());
    const int side = model.spec.preprocessing.size;
    return std::pair{double(parameter_count(model)), double(multiply_adds(model, side, side))};
  };
  const auto [parameters, products] = cost(0);
  for (size_t k = 1; k < mixers.variants.size(); ++k) {
    const std::string& name = mixers.variants[k].name;
    EXPECT_NEAR(cost(k).second / products, 1, 0.05) << name;
    if (name == "global") continue;  // its layers over all positions have too many weights
    EXPECT_NEAR(cost(k).first / parameters, 1, 0.05) << name;
  }
}

TEST(StudyFolder, AResultCountsForItsOwnOptionsOnly) {
  const test::TemporaryFolder temporary;
  const StudyFolder folder(temporary.path() / "out");
  StudyRun run = plan_of(kStudy).runs()[0];
  EXPECT_FALSE(folder.result(run));
  const auto fresh = folder.prepare(run, 3);
  EXPECT_THAT(fresh, Not(testing::Contains("--resume")));
  EXPECT_THAT(fresh, testing::IsSupersetOf({"train", "--threads", "3", "--json"}));
  std::ofstream(folder.run_folder(run) / "last.safetensors") << "state";
  EXPECT_THAT(folder.prepare(run, 1), testing::Contains("--resume"));
  folder.save_result(run, {{"outcome", "finished"}});
  ASSERT_TRUE(folder.result(run));
  EXPECT_EQ((*folder.result(run))["outcome"], "finished");
  // The same folder with other options (a hash that collides) is not mistaken for this run.
  StudyRun other = run;
  other.options["lr"] = 0.5;
  EXPECT_FALSE(folder.result(other));
  std::ofstream(folder.run_folder(run) / "result.json") << "{\"outcome\": \"fini";
  EXPECT_FALSE(folder.result(run));
}

TEST(StudyFolder, TimingsAreKeptPerConfigurationAndThreads) {
  const test::TemporaryFolder temporary;
  const StudyFolder folder(temporary.path());
  const StudyPlan plan = plan_of(kStudy);
  folder.save_timing(plan.configs[0], 1, {{"steps", 5}});
  folder.save_timing(plan.configs[1], 1, {{"steps", 6}});
  EXPECT_EQ((*folder.timing(plan.configs[0], 1))["steps"], 5);
  EXPECT_EQ((*folder.timing(plan.configs[1], 1))["steps"], 6);
  EXPECT_FALSE(folder.timing(plan.configs[0], 2));
  folder.save_speed(plan.configs[1], {{"ms", 2}});
  EXPECT_EQ((*folder.speed(plan.configs[1]))["ms"], 2);
  EXPECT_FALSE(folder.speed(plan.configs[0]));
}

}  // namespace
}  // namespace asmlp::study::study_test
