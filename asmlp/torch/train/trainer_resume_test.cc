// A run that was stopped, killed or damaged goes on.
#include "tests/support/trainer_runs.h"

namespace asmlp::train::trainer_resume_test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

TEST_F(TrainerTest, ResumedRunsEndWithTheSameBits) {
  for (bool average : {true, false}) {
    TrainOptions options = small_options();
    options.optimizer.model_ema = average;
    if (average) options.classification.mixup.mixup = options.classification.mixup.cutmix = 0.8;
    const std::string whole = average ? "a-whole" : "b-whole";
    run(whole, options);
    const auto expected = read_safetensors(folder_.path() / whole / "last.safetensors").tensors;
    int number = 0;
    for (const int workers : {0, 2}) {
      // In the middle, at the first and the last step of an epoch, at once after a resume.
      for (const std::vector<int64_t>& stops :
           {std::vector<int64_t>{7}, {1, 4, 5, 6, 12}, {0, 10, 10, 14}}) {
        const std::string pieces = (average ? "a-" : "b-") + std::to_string(number++);
        options.run.workers = workers;
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
  other.run.seed = 43;
  run("a-other", other);
  EXPECT_FALSE(content("a-whole", "final.safetensors") == content("a-other", "final.safetensors"));
}

// The epochs of summary.csv, in its order.
std::vector<std::string> epochs_of(const std::string& summary) {
  std::vector<std::string> epochs;
  std::istringstream lines(summary);
  for (std::string line; std::getline(lines, line);)
    epochs.push_back(line.substr(0, line.find(',')));
  return epochs;
}

// Versions before 0.2 counted from 0 there; the state is the same.
TEST_F(TrainerTest, EpochsAreCountedFromOneInTheFolderOfAnEarlierVersionToo) {
  Observer quiet;
  {
    Trainer first = trainer("on");
    first.run(quiet, nullptr, 7);  // in the second epoch
  }
  const fs::path summary = folder_.path() / "on" / "summary.csv";
  EXPECT_THAT(epochs_of(read_file(summary)), testing::ElementsAre("epoch", "1"));
  std::ofstream(summary, std::ios::trunc) << "epoch,train_loss,lr\n0,1.5,0.001\n";
  Trainer t = trainer("on");
  t.resume(t.state_path());
  t.run(quiet);
  EXPECT_THAT(epochs_of(read_file(summary)), testing::ElementsAre("epoch", "1", "2", "3"));
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
  EXPECT_EQ(first.step_in_epoch(), 2);
  StopAt in_validation;
  in_validation.validation = 16;
  Trainer second = trainer("ab");
  second.resume(second.state_path());
  EXPECT_EQ(second.run(in_validation, &in_validation.stop), Outcome::kStopped);
  EXPECT_EQ(second.step_in_epoch(), kStepsPerEpoch);  // all steps, no validation yet
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
  options.schedule.epochs = 4;
  EXPECT_THAT(error_on_resume(state, options), HasSubstr("another epochs"));
  options = small_options();
  options.optimizer.model_ema = false;
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

TEST_F(TrainerTest, LeftoversOfAKillAreRemovedAtTheStart) {
  run("a", small_options(), {2});
  const fs::path folder = folder_.path() / "a";
  std::ofstream(folder / "last.safetensors.tmp.123.0") << "half";
  std::ofstream(folder / "notes.txt.tmp.123.0") << "the user's";
  trainer("a");
  EXPECT_FALSE(fs::exists(folder / "last.safetensors.tmp.123.0"));
  EXPECT_TRUE(fs::exists(folder / "notes.txt.tmp.123.0"));
}

TEST_F(TrainerTest, ARunGoesOnWithAnotherDivisionOfTheBatch) {
  TrainOptions options = small_options();
  options.model.drop_path = 0;
  run("whole", options);
  Observer quiet;
  trainer("divided", options).run(quiet, nullptr, 7);
  TrainOptions divided = options;
  divided.schedule.batch_size = 4;
  divided.schedule.accumulation_steps = 2;
  {
    const Warnings warnings;
    Trainer t = trainer("divided", divided);
    t.resume(t.state_path());
    EXPECT_THAT(warnings.text(), AllOf(HasSubstr("batch-size was 8 and is now 4"),
                                       HasSubstr("accumulation-steps was 1 and is now 2")));
    EXPECT_EQ(t.steps(), 7);
    EXPECT_EQ(t.run(quiet), Outcome::kFinished);
  }
  // Adam divides by the root of small second moments, so epsilons grow; but it is the same run.
  EXPECT_LT(state_distance(state_tensors("divided"), state_tensors("whole"), "model."), 0.02);

  // Another global batch: the images that are done count, down to a whole step of it.
  trainer("larger", options).run(quiet, nullptr, 8);  // epoch 1, 24 images
  TrainOptions larger = options;
  larger.schedule.batch_size = 10;
  Trainer t = trainer("larger", larger);
  t.resume(t.state_path());
  EXPECT_EQ(t.state().epoch, 1);
  EXPECT_EQ(t.step_in_epoch(), 2);
  EXPECT_EQ(t.steps_per_epoch(), 4);
  EXPECT_EQ(t.run(quiet), Outcome::kFinished);
}

TEST_F(TrainerTest, ResumesByItselfFromTheLastWholeState) {
  Observer quiet;
  run("whole", small_options());
  {
    Trainer t = trainer("a");
    EXPECT_FALSE(t.resume_automatically());
    t.run(quiet, nullptr, 6);
  }
  {
    Trainer t = trainer("a");
    EXPECT_TRUE(t.resume_automatically());
    EXPECT_EQ(t.steps(), 6);
    t.run(quiet, nullptr, 8);
  }
  // The state of step 8 is damaged: the one before it is of step 6.
  fs::resize_file(last("a"), fs::file_size(last("a")) / 2);
  {
    const Warnings warnings;
    Trainer t = trainer("a");
    EXPECT_TRUE(t.resume_automatically());
    EXPECT_EQ(t.steps(), 6);
    EXPECT_THAT(warnings.text(), AllOf(HasSubstr("damaged"), HasSubstr("previous.safetensors")));
    t.run(quiet, nullptr, 9);
  }
  // A kill between two renames, on a file system without links.
  fs::remove(folder_.path() / "a" / "last.safetensors");
  {
    Trainer t = trainer("a");
    EXPECT_TRUE(t.resume_automatically());
    EXPECT_EQ(t.steps(), 6);
    EXPECT_EQ(t.run(quiet), Outcome::kFinished);
  }
  EXPECT_EQ(state_distance(state_tensors("whole"), state_tensors("a"), ""), 0);
  // Nothing whole is left: an error, no fresh start over a run.
  for (const char* name : {"last.safetensors", "previous.safetensors"}) {
    fs::resize_file(folder_.path() / "a" / name, 100);
  }
  EXPECT_THAT(error_of([&] { trainer("a").resume_automatically(); }), HasSubstr("damaged"));
}

}  // namespace
}  // namespace asmlp::train::trainer_resume_test
