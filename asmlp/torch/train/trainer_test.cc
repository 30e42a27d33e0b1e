#include "asmlp/torch/train/trainer.h"

#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/train/sources.h"
#include "asmlp/torch/train/tasks/classify_task.h"
#include "asmlp/torch/train/tasks/evaluate.h"
#include "tests/support/trainer_runs.h"

namespace asmlp::train::trainer_test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

TEST_F(TrainerTest, LearnsAndExportsADescribedModel) {
  TrainOptions options = small_options();
  options.schedule.epochs = 8;
  Trainer t = trainer("run", options);
  Observer quiet;
  ASSERT_EQ(t.run(quiet), Outcome::kFinished);
  EXPECT_GT(t.state().best, 90);
  EXPECT_EQ(t.state().history.size(), 8u);
  EXPECT_EQ(t.state().updates, 8 * kStepsPerEpoch);
  const Checkpoint best = load_checkpoint(folder_.path() / "run" / "best.safetensors");
  EXPECT_EQ(best.spec.name, "small.brightness");
  EXPECT_EQ(best.spec.classes, validation_.classes());
  EXPECT_EQ(best.spec.config.num_classes, 3);
  EXPECT_EQ(best.spec.origin.at("seed"), "42");
  EXPECT_EQ(best.spec.origin.at("command"), "started in r");
  EXPECT_THAT(best.spec.origin.at("epochs"), HasSubstr("of 8"));
  // The file holds what was validated.
  nn::AsMlp model(best.spec.config);
  nn::load_parameters(*model, best.tensors);
  const auto split = data::make_data_source(validation_);
  const auto source = evaluation_source(*split, best.spec.preprocessing, 7, 1, *world_);
  const std::optional<Evaluation> evaluation = evaluate(*model, *source, *world_);
  EXPECT_EQ(evaluation->top1, t.state().best);
  EXPECT_EQ(evaluation->images, validation_.size());
  EXPECT_THAT(content("run", "summary.csv"), testing::StartsWith("epoch,train_loss,eval_loss,"));
}

// It was called ".brightness".
TEST_F(TrainerTest, AModelWithoutANameGetsOneFromItsSizes) {
  TrainOptions options = small_options();
  options.model.choice = R"({"in_chans": 1, "embed_dim": 6, "depths": [1, 1], "patch_size": 2,
                      "img_size": 8})";
  EXPECT_EQ(trainer("nameless", options).facts().model, "asmlp_e6_d1-1_p2_s5.brightness");
}

TEST_F(TrainerTest, ADivergedRunEndsWithAnErrorAndAGoodStateStays) {
  // 1e30 spoils the losses after its first step, 1e39 the weights themselves; the good steps before
  // are a warmup at 0.
  for (const double lr : {1e30, 1e39}) {
    TrainOptions options = small_options();
    options.schedule.warmup_lr = 0;
    options.schedule.warmup_epochs = 1;
    options.schedule.lr = lr;
    options.optimizer.clip_grad = 0;
    options.schedule.epochs = 8;
    options.run.checkpoint_interval = 1;
    const std::string name = fmt::format("lr{:g}", lr);
    Trainer t = trainer(name, options);
    Observer quiet;
    const Warnings warnings;
    EXPECT_THAT(
        error_of([&] { t.run(quiet); }),
        AllOf(HasSubstr("diverged"), HasSubstr(t.state_path().string()), HasSubstr("smaller lr")));
    EXPECT_EQ(t.state().skipped, Trainer::kMaxSkipped);
    EXPECT_THAT(warnings.text(), HasSubstr("not replaced by this state"));
    TensorMap tensors;
    const RunState state = read_state(t.state_path(), &tensors);
    EXPECT_EQ(state.skipped, 0);
    EXPECT_GE(state.updates, 1);
    for (const auto& [key, tensor] : tensors) {
      for (const float value : to_f32(tensor)) ASSERT_TRUE(std::isfinite(value)) << key;
    }
    // The run cannot end well with weights like these.
    EXPECT_FALSE(fs::exists(folder_.path() / name / "final.safetensors"));
  }
}

// A step of 2 x 4 images has the gradient of the step of 8: the mean over all of them.
TEST_F(TrainerTest, AccumulationGivesTheGradientOfTheLargeBatch) {
  TrainOptions large = small_options();
  large.model.drop_path = 0;  // is drawn per micro-batch
  large.optimizer.clip_grad = 0;
  large.schedule.epochs = 1;
  TrainOptions small = large;
  small.schedule.batch_size = 2;
  small.schedule.accumulation_steps = 4;
  Observer quiet;
  for (const auto& [name, options] : {std::pair{"large", large}, std::pair{"small", small}}) {
    Trainer t = trainer(name, options);
    EXPECT_EQ(t.steps_per_epoch(), kStepsPerEpoch);
    EXPECT_EQ(t.global_batch(), 8);
    t.run(quiet, nullptr, 1);
    EXPECT_EQ(t.state().images, 8);
  }
  // m = (1 - beta1) g after one step. Sums of 8 instead of 2 + 2 + 2 + 2 terms: some epsilons.
  EXPECT_LT(state_distance(state_tensors("small"), state_tensors("large"), "optimizer.m."), 1e-5);
  TrainOptions other = large;
  other.schedule.batch_size = 4;  // half of the images: the comparison can fail
  trainer("half", other).run(quiet, nullptr, 1);
  EXPECT_GT(state_distance(state_tensors("half"), state_tensors("large"), "optimizer.m."), 1e-2);
}

TEST_F(TrainerTest, UnreadableSamplesAreCountedUpToALimit) {
  training_ = Brightness(44, 1, 22);  // two of them
  TrainOptions options = small_options();
  options.run.max_bad = 2;
  Observer quiet;
  {
    const Warnings warnings;
    Trainer t = trainer("a", options);
    EXPECT_EQ(t.run(quiet), Outcome::kFinished);
    EXPECT_GT(t.state().bad_samples, 0);
    EXPECT_EQ(t.state().updates, 3 * kStepsPerEpoch);  // the batches stay full
    EXPECT_THAT(warnings.text(), HasSubstr("is broken"));
  }
  options.run.max_bad = 0;
  EXPECT_THAT(error_of([&] { trainer("b", options).run(quiet); }),
              AllOf(HasSubstr("could not be read"), HasSubstr("--max-bad")));
  // In the validation they are left out.
  training_ = Brightness(44, 1);
  validation_ = Brightness(20, 2, 10);
  EXPECT_THAT(error_of([&] { trainer("c", options).run(quiet); }),
              HasSubstr("2 validation samples could not be read"));
  options.run.max_bad = 2;
  EXPECT_EQ(trainer("d", options).run(quiet), Outcome::kFinished);
}

TEST_F(TrainerTest, StartsFromTheWeightsOfAFile) {
  run("a", small_options());
  TrainOptions options = small_options();
  options.model.initial_checkpoint = (folder_.path() / "a" / "final.safetensors").string();
  options.classification.img_size = 12;  // as fine-tuning at a larger size
  Trainer t = trainer("b", options);
  EXPECT_TRUE(t.load_initial_weights().empty());
  Observer quiet;
  t.run(quiet, nullptr, 0);
  const Checkpoint from = load_checkpoint(options.model.initial_checkpoint);
  const TensorMap state = state_tensors("b");
  for (const char* part : {"model.", "ema."}) {
    for (const auto& [name, tensor] : from.tensors) {
      EXPECT_EQ(to_f32(state.at(part + name)), to_f32(tensor)) << part << name;
    }
  }
  // Another number of classes: all but the head.
  options.model.num_classes = 5;
  Trainer five = trainer("c", options);
  EXPECT_THAT(five.load_initial_weights(),
              testing::ElementsAre(AllOf(HasSubstr("head"), HasSubstr("5 classes"))));
  five.run(quiet, nullptr, 0);
  const TensorMap other = state_tensors("c");
  EXPECT_EQ(other.at("model.head.weight").shape, (Shape{5, 12}));
  EXPECT_EQ(to_f32(other.at("model.norm.weight")), to_f32(from.tensors.at("norm.weight")));
  // Another model.
  options.model.choice = R"({"config": {"in_chans": 1, "embed_dim": 8, "depths": [1, 1],
                      "patch_size": 2}, "preprocessing": {"size": 8, "mean": [0.3], "std": [0.3]}})";
  EXPECT_THAT(error_of([&] { trainer("d", options).load_initial_weights(); }),
              HasSubstr("final.safetensors"));
}

TEST_F(TrainerTest, TheFirstEpochsAreTrainedAtTheEarlySize) {
  TrainOptions options = small_options();
  options.schedule.epochs = 3;
  options.classification.early_size = 4;
  options.classification.early_epochs = 2;
  const auto task =
      classify_task(options, data::make_data_source(training_),
                    data::make_data_source(validation_), "brightness", *world_);
  const auto source = task->training_batches();
  for (const auto& [epoch, side] : {std::pair{0, 4}, std::pair{1, 4}, std::pair{2, 8}}) {
    EXPECT_EQ(source->start(epoch).next()->images.size(2), side) << epoch;
  }
  EXPECT_EQ(task->validation_batches()->start(0).next()->images.size(2), 8);
  // A run that is stopped in the small part and resumed is the same run.
  run("whole", options);
  Observer quiet;
  {
    Trainer t = trainer("parts", options);
    t.run(quiet, nullptr, 7);
  }
  Trainer t = trainer("parts", options);
  t.resume(t.state_path());
  ASSERT_EQ(t.run(quiet), Outcome::kFinished);
  EXPECT_EQ(state_distance(state_tensors("whole"), state_tensors("parts"), "model."), 0);

  options.classification.early_epochs = 0;
  EXPECT_THAT(error_of([&] { trainer("half", options); }), HasSubstr("early-epochs"));
}

TEST_F(TrainerTest, TrainsInBf16WithWeightsInFp32) {
  TrainOptions options = small_options();
  options.schedule.epochs = 8;
  options.run.amp = Amp::kBf16;
  Trainer t = trainer("bf16", options);
  Observer quiet;
  ASSERT_EQ(t.run(quiet), Outcome::kFinished);
  EXPECT_GT(t.state().best, 90);
  options.run.amp = Amp::kOff;
  run("fp32", options);
  const double distance = state_distance(state_tensors("bf16"), state_tensors("fp32"), "model.");
  EXPECT_GT(distance, 1e-4);
  options.run.amp = Amp::kFp16;
  EXPECT_THAT(error_of([&] { trainer("fp16", options); }),
              AllOf(HasSubstr("CUDA"), HasSubstr("bf16")));
}

TEST_F(TrainerTest, CheckpointingActivationsChangesNoBit) {
  TrainOptions options = small_options();
  run("kept", options);
  options.run.grad_checkpointing = true;
  run("again", options);
  EXPECT_EQ(state_distance(state_tensors("kept"), state_tensors("again"), ""), 0);
}

TEST_F(TrainerTest, TrainsBaselines) {
  TrainOptions options = small_options();
  options.schedule.epochs = 2;
  options.model.choice = R"({"name": "small_swin", "family": "swin",
      "config": {"in_chans": 1, "embed_dim": 8, "depths": [2], "num_heads": [2], "patch_size": 2,
                 "window_size": 2, "drop_path": 0.2},
      "preprocessing": {"size": 8, "crop_pct": 1, "mean": [0.31], "std": [0.27]}})";
  run("whole", options);
  run("pieces", options, {3});
  EXPECT_EQ(state_distance(state_tensors("whole"), state_tensors("pieces"), ""), 0);
  // The exported model says what it is, and is a start for another run.
  const fs::path file = folder_.path() / "whole" / "final.safetensors";
  const TensorFile exported = read_safetensors(file);
  const auto described = architecture_from_json(exported.metadata.at("asmlp"), "exported");
  EXPECT_FALSE(is_as_mlp(described));
  EXPECT_EQ(described.spec.name, "small_swin.brightness");
  EXPECT_EQ(described.spec.classes, validation_.classes());
  options.model.initial_checkpoint = file.string();
  Trainer t = trainer("again", options);
  EXPECT_TRUE(t.load_initial_weights().empty());
  Observer quiet;
  t.run(quiet, nullptr, 0);
  const TensorMap state = state_tensors("again");
  for (const auto& [name, tensor] : exported.tensors) {
    EXPECT_EQ(to_f32(state.at("model." + name)), to_f32(tensor)) << name;
  }
  // An AS-MLP's weights are not a Swin's.
  run("as_mlp", small_options());
  options.model.initial_checkpoint = (folder_.path() / "as_mlp" / "final.safetensors").string();
  EXPECT_THAT(error_of([&] { trainer("wrong", options).load_initial_weights(); }),
              HasSubstr("not the weights of 'small_swin"));
}

}  // namespace
}  // namespace asmlp::train::trainer_test
