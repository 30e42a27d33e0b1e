// Files of a run that cannot be written for a while, or at all: played by folders in their places.
#include "asmlp/report/run_json.h"
#include "asmlp/torch/train/run_log.h"
#include "tests/support/trainer_runs.h"

namespace asmlp::train::trainer_disk_test {
namespace {

using testing::AllOf, testing::HasSubstr, testing::Not;

class TrainerDisk : public TrainerTest {};

// Calls back at every step.
class AtStep : public Observer {
 public:
  explicit AtStep(std::function<void(int64_t)> call) : call_(std::move(call)) {}
  void on_step(const StepReport&) override { call_(++steps_); }

 private:
  std::function<void(int64_t)> call_;
  int64_t steps_ = 0;
};

// No file can be renamed to the name of a folder with something in it.
void block(const fs::path& path) { fs::create_directories(path / "in the way"); }

TEST_F(TrainerDisk, WhatCannotBeWrittenIsTriedAgainAndTheRunIsTheSame) {
  run("whole", small_options());
  TrainOptions options = small_options();
  options.run.checkpoint_interval = 2;
  const fs::path folder = folder_.path() / "wa";
  const Warnings warnings;
  Trainer t = trainer("wa", options);
  const std::vector<std::string> names{"next.safetensors", "best.safetensors", "summary.csv"};
  for (const std::string& name : names) block(folder / name);
  AtStep observer([&](int64_t step) {
    if (step != kStepsPerEpoch + 3) return;
    EXPECT_FALSE(fs::exists(last("wa")));
    for (const std::string& name : names) fs::remove_all(folder / name);
  });
  EXPECT_EQ(t.run(observer), Outcome::kFinished);
  for (const std::string& name : names) {
    if (name == names[0]) continue;
    EXPECT_THAT(warnings.text(), HasSubstr(name + ": a folder, not a file; the training goes on"));
    EXPECT_THAT(warnings.text(), HasSubstr(name + ": written now"));
  }
  for (const char* name : {"summary.csv", "best.safetensors", "final.safetensors"}) {
    EXPECT_TRUE(content("whole", name) == content("wa", name)) << name;
  }
  EXPECT_EQ(state_distance(state_tensors("whole"), state_tensors("wa"), ""), 0);
}

TEST_F(TrainerDisk, WhatCannotBeWrittenAtTheEndIsAnErrorAndMadeUpFor) {
  run("whole", small_options());
  for (const std::string name : {"final.safetensors", "next.safetensors"}) {
    const std::string run = "b" + name;
    {
      Trainer t = trainer(run);
      Observer quiet;
      EXPECT_EQ(t.run(quiet, nullptr, kStepsPerEpoch + 1), Outcome::kStopped);
    }
    const fs::path obstacle = folder_.path() / run / name;
    {
      const Warnings warnings;
      Trainer t = trainer(run);
      t.resume(t.state_path());
      block(obstacle);
      Observer quiet;
      EXPECT_THAT(error_of([&] { t.run(quiet); }),
                  AllOf(HasSubstr("done, but not saved"), HasSubstr(name), HasSubstr("--resume")));
    }
    fs::remove_all(obstacle);
    Trainer t = trainer(run);
    t.resume(t.state_path());
    EXPECT_FALSE(t.finished()) << name;
    Observer quiet;
    EXPECT_EQ(t.run(quiet), Outcome::kFinished);
    for (const char* file : {"final.safetensors", "summary.csv"}) {
      EXPECT_EQ(content("whole", file).size(), content(run, file).size()) << file;
    }
    EXPECT_EQ(state_distance(state_tensors("whole"), state_tensors(run), ""), 0) << name;
  }
}

TEST_F(TrainerDisk, ALinkAndItsPermissionsStay) {
  const fs::path folder = folder_.path() / "c", far = folder_.path() / "far.safetensors";
  Observer quiet;
  trainer("c").run(quiet, nullptr, 2);
  fs::rename(last("c"), far);
  fs::permissions(far, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink(far, last("c"));
  Trainer t = trainer("c");
  t.resume(t.state_path());
  t.run(quiet, nullptr, 4);
  EXPECT_TRUE(fs::is_symlink(last("c")));
  EXPECT_EQ(fs::status(far).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(read_state(last("c"), nullptr).images, 4 * 8);
  EXPECT_EQ(read_state(folder / "previous.safetensors", nullptr).images, 2 * 8);
}

TEST_F(TrainerDisk, LeftoversOfAllFilesAreRemovedAtTheStart) {
  const fs::path folder = folder_.path() / "d";
  fs::create_directories(folder / "images");
  const auto touch = [&](const std::string& name) { std::ofstream(folder / name) << "x"; };
  for (const char* name : {"run.json.tmp.node-7.999999999.1", "images/samples.png.tmp.999999999.3",
                           "next.safetensors", "args.yaml.tmp.999999999.0"}) {
    touch(name);
  }
  const std::string others = "x.tmp.12.0";
  for (const std::string& name : {std::string("notes.tmp.txt"), others}) touch(name);
  trainer("d");
  std::vector<std::string> left;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) left.push_back(entry.path().filename());
  }
  EXPECT_THAT(left, testing::UnorderedElementsAre("notes.tmp.txt", others));
}

TEST(RunLogDisk, WritesLaterWhatItCouldNotWriteAtFirst) {
  const test::TemporaryFolder folder;
  for (const char* name : {"steps.csv", "run.json", "args.yaml"}) block(folder.path() / name);
  const Warnings warnings;
  RunFacts facts;
  facts.run = facts.start = nlohmann::ordered_json::object();
  facts.recipe = "epochs: 1\n";
  facts.log_interval = 1;
  {
    RunLog log(folder.path(), facts);
    StepReport step;
    step.batches = 4;
    step.epochs = 1;
    log.on_step(step);
    for (const char* name : {"steps.csv", "run.json", "args.yaml"}) {
      fs::remove_all(folder.path() / name);
    }
    step.batch = 1;
    log.on_step(step);
    log.fail("the disk is full");
  }
  EXPECT_EQ(read_steps(folder.path() / "steps.csv").size(), 2u);
  EXPECT_EQ(read_file(folder.path() / "args.yaml"), facts.recipe);
  const auto run = read_run_json(folder.path() / "run.json");
  EXPECT_EQ(run["outcome"], "failed");
  EXPECT_EQ(run["result"]["error"], "the disk is full");
  for (const char* name : {"steps.csv", "run.json", "args.yaml"}) {
    EXPECT_THAT(warnings.text(), HasSubstr(std::string(name) + ": not written"));
  }
}

}  // namespace
}  // namespace asmlp::train::trainer_disk_test
