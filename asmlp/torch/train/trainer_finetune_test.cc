// Runs that freeze, stop early, go on for longer, and weigh classes.
#include "asmlp/torch/train/class_weights.h"
#include "asmlp/weights/quantized.h"
#include "tests/support/quantized.h"
#include "tests/support/trainer_runs.h"

namespace asmlp::train::trainer_finetune_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Every combination of optimizer and options goes on to the same bits after stops.
TEST_F(TrainerTest, FineTuningRunsResumeToTheSameBits) {
  int number = 0;
  for (const Opt opt : {Opt::kAdamW, Opt::kSgd, Opt::kMuon}) {
    TrainOptions options = small_options();
    options.optimizer.opt = opt;
    options.optimizer.nesterov = opt == Opt::kSgd;
    options.optimizer.freeze = 1;
    options.optimizer.layer_decay = 0.7;
    options.class_weights = {ClassWeights::Kind::kList, {1, 2, 0.5}};
    options.run.patience = 1;
    const std::string whole = "whole" + std::to_string(number), parts = "w" + whole;
    ++number;
    run(whole, options);
    run(parts, options, {1, 5, 7});
    for (const char* name : {"final.safetensors", "best.safetensors", "summary.csv"}) {
      EXPECT_TRUE(content(whole, name) == content(parts, name)) << parts << '/' << name;
    }
    const TensorMap state = state_tensors(whole);
    const std::string kind = opt == Opt::kSgd ? "optimizer.momentum." : "optimizer.m.";
    EXPECT_TRUE(state.contains(kind + "head.weight"));
    EXPECT_FALSE(state.contains(kind + "patch_embed.proj.weight"));
  }
}

// As a model and as weights, for a classifier.
TEST_F(TrainerTest, StartsFromTheNumbersThatInt8WeightsStandFor) {
  run("a", small_options());
  Checkpoint checkpoint = load_checkpoint(folder_.path() / "a" / "final.safetensors");
  checkpoint.tensors = test::quantized(checkpoint.tensors);
  const auto file = folder_.path() / "int8.safetensors";
  save_checkpoint(file, checkpoint);
  const TensorMap expected = dequantized(checkpoint.tensors);
  TrainOptions options = small_options();
  options.model.initial_checkpoint = file.string();
  Trainer t = trainer("b", options);
  EXPECT_THAT(t.load_initial_weights(), testing::Contains(HasSubstr("int8")));
  Observer quiet;
  t.run(quiet, nullptr, 0);
  const TensorMap state = state_tensors("b");
  for (const auto& [name, tensor] : expected) {
    EXPECT_EQ(to_f32(state.at("model." + name)), to_f32(tensor)) << name;
  }
  options.model.choice = file.string();
  options.model.initial_checkpoint.clear();
  take_weight_file(options.model);
  EXPECT_EQ(options.model.initial_checkpoint, file.string());
  EXPECT_EQ(trainer("c", options).load_initial_weights().size(), 1u);
}

TEST_F(TrainerTest, FrozenStagesStayAsTheyAreToTheBit) {
  TrainOptions options = small_options();
  options.optimizer.freeze = 1;
  options.run.grad_checkpointing = true;
  Observer quiet;
  trainer("start", options).run(quiet, nullptr, 0);
  run("a", options);
  const TensorMap before = state_tensors("start"), after = state_tensors("a");
  int frozen = 0, trained = 0;
  for (const auto& [name, tensor] : before) {
    const bool model = name.starts_with("model.") || name.starts_with("ema.");
    if (!model) continue;
    const std::string own = name.substr(name.find('.') + 1);
    const bool same = to_f32(tensor) == to_f32(after.at(name));
    if (own.starts_with("patch_embed.") || own.starts_with("layers.0.")) {
      EXPECT_TRUE(same) << name;
      ++frozen;
    } else if (!own.ends_with("bias")) {
      EXPECT_FALSE(same) << name;
      ++trained;
    }
  }
  EXPECT_GT(frozen, 20);
  EXPECT_GT(trained, 10);
  // And the bits of the others do not depend on checkpointing.
  options.run.grad_checkpointing = false;
  run("a2", options);
  EXPECT_TRUE(content("a", "final.safetensors") == content("a2", "final.safetensors"));
  options.optimizer.freeze = 3;
  EXPECT_THAT(error_of([&] { trainer("c", options); }), HasSubstr("2 stages"));
}

// With a rate of (nearly) 0 nothing gets better after the first validation.
TEST_F(TrainerTest, PatienceEndsARunThatGetsNoBetter) {
  TrainOptions options = small_options();
  options.schedule.epochs = 9;
  options.schedule.lr = 1e-12;
  options.schedule.warmup_lr = options.schedule.min_lr = 0;
  options.run.patience = 3;
  Observer quiet;
  {
    Trainer t = trainer("a", options);
    EXPECT_EQ(t.run(quiet), Outcome::kFinished);
    EXPECT_TRUE(t.stopped_early());
    EXPECT_EQ(t.state().epoch, 4);
    EXPECT_EQ(t.state().best_epoch, 0);
    EXPECT_TRUE(fs::exists(folder_.path() / "a" / "final.safetensors"));
  }
  // The count is part of the state.
  run("a2", options, {11});
  EXPECT_TRUE(content("a", "final.safetensors") == content("a2", "final.safetensors"));
  Trainer same = trainer("a", options);
  same.resume(same.state_path());
  EXPECT_TRUE(same.finished());
  // More patience goes on.
  options.run.patience = 5;
  Trainer more = trainer("a", options);
  more.resume(more.state_path());
  EXPECT_FALSE(more.finished());
  EXPECT_EQ(more.run(quiet), Outcome::kFinished);
  EXPECT_EQ(more.state().epoch, 6);
  // Validations count, not epochs.
  options.run.patience = 2;
  options.run.val_interval = 2;
  Trainer seldom = trainer("c", options);
  seldom.run(quiet);
  EXPECT_EQ(seldom.state().epoch, 6);
}

// A run that is extended in the middle is the run that was planned so long, but for what came
// before.
TEST_F(TrainerTest, AFinishedRunIsExtendedOnPurposeOnly) {
  TrainOptions options = small_options();
  options.schedule.epochs = 2;
  run("a", options);
  TrainOptions longer = options;
  longer.schedule.epochs = 4;
  EXPECT_THAT(error_of([&] { trainer("a", longer).resume(last("a")); }),
              HasSubstr("another epochs"));
  EXPECT_THAT(error_of([&] { trainer("a", options).resume(last("a"), Continuation::kLonger); }),
              HasSubstr("more than 2"));
  Observer quiet;
  {
    Trainer t = trainer("a", longer);
    t.resume(last("a"), Continuation::kLonger);
    EXPECT_EQ(t.run(quiet, nullptr, 13), Outcome::kStopped);
  }
  {
    Trainer t = trainer("a", longer);  // from now on it is a run of four epochs
    t.resume(last("a"));
    EXPECT_EQ(t.steps(), 13);
    EXPECT_EQ(t.run(quiet), Outcome::kFinished);
    EXPECT_EQ(t.state().history.size(), 4u);
  }
  // The rate is that of a run of four epochs.
  run("planned", longer);
  const auto rates = [&](const char* name) {
    std::vector<double> lr;
    for (const EpochSummary& epoch : read_state(last(name), nullptr).history)
      lr.push_back(epoch.lr);
    return lr;
  };
  const std::vector<double> extended = rates("a"), planned = rates("planned");
  EXPECT_EQ(std::vector(extended.begin() + 2, extended.end()),
            std::vector(planned.begin() + 2, planned.end()));
  EXPECT_LT(extended[1], extended[2]);
}

// A state of version 0.1 has none of the options and numbers that came later.
TEST_F(TrainerTest, AStateWithoutTheLaterOptionsGoesOn) {
  run("whole", small_options());
  Observer quiet;
  trainer("whole2", small_options()).run(quiet, nullptr, 7);
  TensorFile file = read_safetensors(last("whole2"));
  auto state = nlohmann::json::parse(file.metadata.at("asmlp_train"));
  for (const char* option : {"opt", "momentum", "nesterov", "freeze", "layer-decay", "patience",
                             "nproc", "lr-base", "lr-base-size"}) {
    EXPECT_EQ(state["options"].erase(option), 1u) << option;
  }
  state["options"].erase("class-weights");
  state["options"]["decay-milestones"] = nlohmann::json::array();
  EXPECT_EQ(state["numbers"].erase("validations_since_best"), 1u);
  EXPECT_EQ(state.erase("checked"), 1u);
  file.metadata["asmlp_train"] = state.dump();
  fs::create_directories(folder_.path() / "wold");
  write_safetensors(last("wold"), file.tensors, file.metadata);
  Trainer t = trainer("wold");
  t.resume(last("wold"));
  t.run(quiet);
  EXPECT_TRUE(content("whole", "final.safetensors") == content("wold", "final.safetensors"));
}

// The loss is a sum over images, whatever the micro-batch: weights change nothing of that.
TEST_F(TrainerTest, ClassWeightsWeighTheImages) {
  TrainOptions large = small_options();
  large.model.drop_path = 0;
  large.optimizer.clip_grad = 0;
  large.schedule.epochs = 1;
  large.class_weights = {ClassWeights::Kind::kList, {1, 3, 0}};
  TrainOptions small = large;
  small.schedule.batch_size = 2;
  small.schedule.accumulation_steps = 4;
  TrainOptions plain = large;
  plain.class_weights = {};
  TrainOptions ones = large;
  ones.class_weights.list = {1, 1, 1};
  Observer quiet;
  for (const auto& [name, options] :
       {std::pair{"large", large}, {"small", small}, {"plain", plain}, {"ones", ones}}) {
    trainer(name, options).run(quiet, nullptr, 1);
  }
  const auto distance = [&](const char* a, const char* b) {
    return state_distance(state_tensors(a), state_tensors(b), "optimizer.m.");
  };
  EXPECT_LT(distance("small", "large"), 1e-5);  // some epsilons, as without weights
  EXPECT_LT(distance("ones", "plain"), 1e-5);
  EXPECT_GT(distance("plain", "large"), 1e-2);
  large.class_weights.list = {1, 3};
  EXPECT_THAT(error_of([&] { trainer("wrong", large); }),
              AllOf(HasSubstr("2 numbers"), HasSubstr("dark, grey, bright")));
}

// Rows of the head by the names of the classes; a file with fewer of them starts a head anew.
TEST_F(TrainerTest, TheHeadFollowsTheNamesOfTheClasses) {
  run("a", small_options());
  const fs::path file = folder_.path() / "a" / "final.safetensors";
  Checkpoint other = load_checkpoint(file);
  other.spec.classes = {"bright", "dark", "grey"};
  save_checkpoint(folder_.path() / "order.safetensors", other);
  other.spec.classes = {"bright", "dark", "night"};
  save_checkpoint(folder_.path() / "others.safetensors", other);
  const std::vector<float> rows = to_f32(load_checkpoint(file).tensors.at("head.weight"));
  const size_t width = rows.size() / 3;
  const auto head_from = [&](const fs::path& path, std::string& notes) {
    TrainOptions options = small_options();
    options.model.choice = path.string();
    options.model.initial_checkpoint.clear();
    for (const std::string& note : take_weight_file(options.model)) notes += note + "\n";
    EXPECT_EQ(options.model.initial_checkpoint, path.string());
    EXPECT_TRUE(options.model.choice.name.empty());
    Observer quiet;
    Trainer t = trainer("from", options);
    for (const std::string& note : t.load_initial_weights()) notes += note + "\n";
    EXPECT_EQ(t.facts().model, "small.brightness");
    t.run(quiet, nullptr, 0);
    return to_f32(state_tensors("from").at("model.head.weight"));
  };
  std::string notes;
  EXPECT_EQ(head_from(file, notes), rows);
  EXPECT_THAT(notes, HasSubstr("small.brightness of 3 classes (dark, grey, bright)"));
  // dark, grey, bright of a file whose rows are bright, dark, grey.
  std::vector<float> expected(rows.begin() + long(width), rows.end());
  expected.insert(expected.end(), rows.begin(), rows.begin() + long(width));
  EXPECT_EQ(head_from(folder_.path() / "order.safetensors", notes), expected);
  EXPECT_THAT(notes, HasSubstr("another order"));
  EXPECT_NE(head_from(folder_.path() / "others.safetensors", notes), rows);
  EXPECT_THAT(notes, HasSubstr("2 of the 3 classes, not 'grey'"));
  TrainOptions missing = small_options();
  missing.model.choice = "none.safetensors";
  EXPECT_THAT(error_of([&] { take_weight_file(missing.model); }),
              HasSubstr("none.safetensors: no such file"));
}

}  // namespace
}  // namespace asmlp::train::trainer_finetune_test
