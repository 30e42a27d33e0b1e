// Everything that a training run depends on, as one table: the command line, recipes (YAML), the
// JSON inside checkpoints and the check on resume all walk visit_options.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/torch/data/augment/transforms.h"
#include "asmlp/model/baselines/architecture.h"

namespace asmlp::train {

// What is trained. The names are those of the option "task".
enum class TaskKind : unsigned { kClassify = 1, kDetect = 2, kSegment = 4 };

// The defaults are the authors' recipe for classification (Lian et al., ICLR 2022; their
// config.py); default_options has those of the other tasks.
struct TrainOptions {
  std::string data;
  std::string task = "classify";
  // A zoo name, a .json/.yaml file (model/spec.h) or a JSON object in text.
  std::string model = "asmlp_tiny_patch4_shift5_224";
  std::optional<int> num_classes;
  std::optional<int> img_size;
  std::optional<double> drop_path;

  int epochs = 300;
  int64_t steps_per_epoch = 0;
  int batch_size = 128;
  int accumulation_steps = 1;
  int workers = 2;
  int threads = 0;
  std::string device = "auto";
  std::string amp = "off";
  bool grad_checkpointing = false;
  std::string initial_checkpoint;
  uint64_t seed = 42;

  std::optional<double> lr;
  double lr_base = 5e-4;
  int lr_base_size = 512;
  std::string sched = "cosine";
  std::vector<int> decay_milestones;
  double decay_rate = 0.1;
  double sched_power = 1;
  double warmup_epochs = 20;
  std::optional<int64_t> warmup_steps;
  std::optional<double> warmup_lr;
  std::optional<double> min_lr;
  double weight_decay = 0.05;
  std::string no_decay = "1d";
  double opt_eps = 1e-8;
  std::array<double, 2> opt_betas{0.9, 0.999};
  double clip_grad = 5.0;
  double smoothing = 0.1;
  bool model_ema = false;
  double model_ema_decay = 0.9998;

  std::optional<int> crop_padding;
  std::array<double, 2> scale{0.08, 1.0};
  std::array<double, 2> ratio{3.0 / 4.0, 4.0 / 3.0};
  std::string interpolation = "bicubic";
  double hflip = 0.5;
  std::string aa = "rand-m9-mstd0.5-inc1";
  double color_jitter = 0.4;
  double reprob = 0.25;
  std::string remode = "pixel";
  int recount = 1;
  double mixup = 0.8;
  double cutmix = 1.0;
  double mixup_prob = 1.0;
  double mixup_switch_prob = 0.5;
  int mixup_off_epoch = 0;

  std::vector<int> short_sides{480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800};
  int long_side = 1333;
  double crop_prob = 0.5;
  std::vector<int> crop_short_sides{400, 500, 600};
  std::array<double, 2> crop_size{384, 600};

  std::array<double, 2> ratio_range{0.5, 2.0};
  int crop = 512;
  double cat_max_ratio = 0.75;
  bool photometric = true;

  int val_interval = 1;
  int checkpoint_interval = 0;
  int log_interval = 50;
  std::optional<int64_t> max_bad;

  TaskKind kind() const;  // of `task`; Error(kInvalidArgument) for another name

  // The images of one update of the weights by `world` processes.
  int64_t global_batch(int world) const { return int64_t{batch_size} * accumulation_steps * world; }
  // The learning rates in use: given, or scaled by global_batch / lr_base_size from the authors'
  // 5e-4 (lr_base), 5e-7 and 5e-6. Detectors' and segmentors' are never scaled: given, or 1e-3 and
  // 1e-6 of the peak at first, 0 at last.
  double peak_lr(int world) const { return lr.value_or(scaled(lr_base, world)); }
  double first_lr(int world) const;
  double last_lr(int world) const;
  data::Augmentation augmentation() const;

 private:
  double scaled(double rate, int world) const {
    return rate * double(global_batch(world)) / lr_base_size;
  }
};

// Whether a value may differ between a checkpoint and the run that resumes it. kFixed values decide
// what is trained. kWarns values decide its last bits or how it is divided over machines: another
// value is accepted with a warning. kFree values leave the weights as they are.
enum class OnResume { kFixed, kWarns, kFree };

struct OptionInfo {
  const char* name;  // as on the command line, without dashes: "batch-size"
  char short_name;   // 'b', or 0
  OnResume on_resume;
  const char* group;  // heading in --help
  const char* help;
  // The tasks that have it, as a sum of TaskKind's values.
  unsigned tasks = 7;
  bool belongs_to(TaskKind kind) const { return (tasks & unsigned(kind)) != 0; }
};

// The authors' recipe of a task: for detection Mask R-CNN's and Cascade's 1x schedule (12 epochs),
// for segmentation UPerNet's 160,000 steps.
TrainOptions default_options(TaskKind kind);

// Calls visit(info, field) for every option, in the order of --help.
template <typename Options, typename Visitor>
void visit_options(Options& o, Visitor&& visit) {
  constexpr auto kFixed = OnResume::kFixed, kWarns = OnResume::kWarns, kFree = OnResume::kFree;
  constexpr auto kClassify = unsigned(TaskKind::kClassify), kDetect = unsigned(TaskKind::kDetect),
                 kSegment = unsigned(TaskKind::kSegment);
  visit(OptionInfo{"data", 0, kFree, "Data and model",
                   "Data set: a folder with MNIST-style IDX files, or ImageFolder (train/ and "
                   "validation/ or val/, one folder per class), or tar shards; COCO's layout "
                   "(detect); ADE20K's (segment)"},
        o.data);
  visit(OptionInfo{"task", 0, kFixed, "Data and model",
                   "classify, detect (boxes and masks) or segment; it decides the defaults of the "
                   "other options"},
        o.task);
  visit(OptionInfo{"model", 'm', kFixed, "Data and model",
                   "Zoo name (see `asmlp info`) or a .json/.yaml file with config and "
                   "preprocessing"},
        o.model);
  visit(OptionInfo{"num-classes", 0, kFixed, "Data and model",
                   "Outputs of the head (default: the data set's number of classes)"},
        o.num_classes);
  visit(OptionInfo{"img-size", 0, kFixed, "Data and model",
                   "Side of the input in pixels (default: the model's)", kClassify},
        o.img_size);
  visit(OptionInfo{"drop-path", 0, kFixed, "Data and model",
                   "Largest stochastic-depth rate (default: the model's)"},
        o.drop_path);
  visit(OptionInfo{"initial-checkpoint", 0, kFixed, "Data and model",
                   "Start from the weights in this file (.safetensors, or the authors' .pth); the "
                   "head is left out when the classes differ"},
        o.initial_checkpoint);
  visit(OptionInfo{"epochs", 0, kFixed, "Optimization", "Passes over the training images"},
        o.epochs);
  visit(OptionInfo{"batch-size", 'b', kWarns, "Optimization",
                   "Images per process and pass through the model"},
        o.batch_size);
  visit(OptionInfo{"accumulation-steps", 0, kWarns, "Optimization",
                   "Passes whose gradients make one step: the global batch is batch-size x "
                   "accumulation-steps x processes"},
        o.accumulation_steps);
  visit(OptionInfo{"lr", 0, kFixed, "Optimization",
                   "Peak learning rate (default: lr-base * global batch / lr-base-size)"},
        o.lr);
  visit(OptionInfo{"lr-base", 0, kFixed, "Optimization", "Peak learning rate at lr-base-size",
                   kClassify},
        o.lr_base);
  visit(
      OptionInfo{"lr-base-size", 0, kFixed, "Optimization", "Batch size lr-base is for", kClassify},
      o.lr_base_size);
  visit(
      OptionInfo{"steps-per-epoch", 0, kFixed, "Optimization",
                 "Steps of what counts as an epoch, for validation and for the milestones; 0: one "
                 "pass over the training images",
                 kDetect | kSegment},
      o.steps_per_epoch);
  visit(OptionInfo{"sched", 0, kFixed, "Optimization",
                   "Learning rate after the warmup: cosine, multistep or poly"},
        o.sched);
  visit(
      OptionInfo{"decay-milestones", 0, kFixed, "Optimization",
                 "multistep: epochs (from 0) at whose starts the rate is multiplied by decay-rate"},
      o.decay_milestones);
  visit(OptionInfo{"decay-rate", 0, kFixed, "Optimization", "multistep: factor of a milestone"},
        o.decay_rate);
  visit(OptionInfo{"sched-power", 0, kFixed, "Optimization", "poly: exponent"}, o.sched_power);
  visit(OptionInfo{"warmup-epochs", 0, kFixed, "Optimization",
                   "Epochs of linear warmup, per step; may be a fraction"},
        o.warmup_epochs);
  visit(OptionInfo{"warmup-steps", 0, kFixed, "Optimization",
                   "Steps of linear warmup, instead of warmup-epochs"},
        o.warmup_steps);
  visit(OptionInfo{"warmup-lr", 0, kFixed, "Optimization",
                   "Learning rate of the first step (default: 5e-7 * global batch / lr-base-size; "
                   "detect: lr / 1000; segment: lr / 1e6)"},
        o.warmup_lr);
  visit(OptionInfo{"min-lr", 0, kFixed, "Optimization",
                   "Learning rate at the end of cosine and poly (default: 5e-6 * global batch / "
                   "lr-base-size; 0 for detect and segment)"},
        o.min_lr);
  visit(OptionInfo{"weight-decay", 0, kFixed, "Optimization", "AdamW's decoupled decay"},
        o.weight_decay);
  visit(OptionInfo{"no-decay", 0, kFixed, "Optimization",
                   "Parameters without decay: 1d (biases and those of one dimension), or norm "
                   "(those with norm in their names)"},
        o.no_decay);
  visit(OptionInfo{"opt-eps", 0, kFixed, "Optimization", "AdamW's epsilon"}, o.opt_eps);
  visit(OptionInfo{"opt-betas", 0, kFixed, "Optimization", "AdamW's two betas"}, o.opt_betas);
  visit(OptionInfo{"clip-grad", 0, kFixed, "Optimization",
                   "Largest norm of the whole gradient; 0 does not clip"},
        o.clip_grad);
  visit(OptionInfo{"smoothing", 0, kFixed, "Optimization", "Label smoothing", kClassify},
        o.smoothing);
  visit(OptionInfo{"model-ema", 0, kFixed, "Optimization",
                   "Keep an exponential moving average of the weights; it is what is validated "
                   "and exported"},
        o.model_ema);
  visit(OptionInfo{"model-ema-decay", 0, kFixed, "Optimization", "Decay of the average per step"},
        o.model_ema_decay);
  visit(OptionInfo{"seed", 0, kFixed, "Optimization",
                   "Decides initial weights, order, augmentation and drop path"},
        o.seed);
  visit(OptionInfo{"crop-padding", 0, kFixed, "Augmentation",
                   "Zero-pad by this many pixels and crop at random, instead of the random "
                   "resized crop",
                   kClassify},
        o.crop_padding);
  visit(OptionInfo{"scale", 0, kFixed, "Augmentation", "Area of the random resized crop, low high",
                   kClassify},
        o.scale);
  visit(OptionInfo{"ratio", 0, kFixed, "Augmentation",
                   "Aspect ratio of the random resized crop, low high", kClassify},
        o.ratio);
  visit(OptionInfo{"interpolation", 0, kFixed, "Augmentation",
                   "Of the random resized crop and of RandAugment's warps: bicubic, bilinear, or "
                   "random (either, per image)",
                   kClassify},
        o.interpolation);
  visit(OptionInfo{"hflip", 0, kFixed, "Augmentation", "Probability of a horizontal flip"},
        o.hflip);
  visit(
      OptionInfo{"aa", 0, kFixed, "Augmentation",
                 "RandAugment as timm writes it, e.g. rand-m9-mstd0.5-inc1; '' is none", kClassify},
      o.aa);
  visit(OptionInfo{"color-jitter", 0, kFixed, "Augmentation",
                   "Strength of color jitter; applied where aa is '', as in timm", kClassify},
        o.color_jitter);
  visit(OptionInfo{"reprob", 0, kFixed, "Augmentation", "Probability of random erasing", kClassify},
        o.reprob);
  visit(OptionInfo{"remode", 0, kFixed, "Augmentation",
                   "Random erasing fills with the mean (const) or with noise (pixel)", kClassify},
        o.remode);
  visit(OptionInfo{"recount", 0, kFixed, "Augmentation", "Rectangles of one random erasing",
                   kClassify},
        o.recount);
  visit(OptionInfo{"mixup", 0, kFixed, "Augmentation",
                   "Alpha of mixup's Beta distribution; 0: no mixup", kClassify},
        o.mixup);
  visit(OptionInfo{"cutmix", 0, kFixed, "Augmentation",
                   "Alpha of CutMix's Beta distribution; 0: no CutMix", kClassify},
        o.cutmix);
  visit(OptionInfo{"mixup-prob", 0, kFixed, "Augmentation",
                   "Probability that a batch is mixed (mixup or CutMix)", kClassify},
        o.mixup_prob);
  visit(OptionInfo{"mixup-switch-prob", 0, kFixed, "Augmentation",
                   "Probability of CutMix where mixup and CutMix are both on", kClassify},
        o.mixup_switch_prob);
  visit(OptionInfo{"mixup-off-epoch", 0, kFixed, "Augmentation",
                   "Epoch (from 0) from which batches are no longer mixed; 0: never", kClassify},
        o.mixup_off_epoch);
  visit(OptionInfo{"short-sides", 0, kFixed, "Detection",
                   "Short sides of the training images in pixels, one drawn per image", kDetect},
        o.short_sides);
  visit(OptionInfo{"long-side", 0, kFixed, "Detection",
                   "Largest long side of the training images in pixels", kDetect},
        o.long_side);
  visit(OptionInfo{"crop-prob", 0, kFixed, "Detection",
                   "Probability that an image is cropped before it gets its size", kDetect},
        o.crop_prob);
  visit(OptionInfo{"crop-short-sides", 0, kFixed, "Detection",
                   "Short sides before the crop, one drawn per image", kDetect},
        o.crop_short_sides);
  visit(OptionInfo{"crop-size", 0, kFixed, "Detection",
                   "Sides of the crop in pixels, low high, as far as the image reaches", kDetect},
        o.crop_size);
  visit(OptionInfo{"ratio-range", 0, kFixed, "Segmentation",
                   "Scale of the training images, low high, times the model's test size", kSegment},
        o.ratio_range);
  visit(OptionInfo{"crop", 0, kFixed, "Segmentation", "Side of the training crops in pixels",
                   kSegment},
        o.crop);
  visit(OptionInfo{"cat-max-ratio", 0, kFixed, "Segmentation",
                   "Largest share of one class in a crop; ten crops are tried", kSegment},
        o.cat_max_ratio);
  visit(OptionInfo{"photometric", 0, kFixed, "Segmentation",
                   "Distort brightness, contrast, saturation and hue", kSegment},
        o.photometric);
  visit(OptionInfo{"workers", 'j', kFree, "Run", "Threads that load and augment images"},
        o.workers);
  visit(OptionInfo{"threads", 0, kFree, "Run",
                   "Threads of the arithmetic; 0: all cores, or those of the run that is resumed. "
                   "Same number, same bits"},
        o.threads);
  visit(OptionInfo{"device", 0, kWarns, "Run",
                   "cpu, cuda (the process's own of the machine), cuda:N, or auto: cuda where "
                   "there is one"},
        o.device);
  visit(OptionInfo{"amp", 0, kWarns, "Run",
                   "Mixed precision: off, bf16, or fp16 with loss scaling (CUDA only)"},
        o.amp);
  visit(OptionInfo{"grad-checkpointing", 0, kFree, "Run",
                   "Keep the inputs of the blocks only and compute a block again in the backward "
                   "pass: less memory, a third more time, the same bits"},
        o.grad_checkpointing);
  visit(OptionInfo{"max-bad", 0, kFree, "Run",
                   "Samples that cannot be read before the run stops, per epoch (default: 1 % of "
                   "the images)"},
        o.max_bad);
  visit(OptionInfo{"val-interval", 0, kFixed, "Run",
                   "Validate every so many epochs, and after the last"},
        o.val_interval);
  visit(OptionInfo{"checkpoint-interval", 0, kFree, "Run",
                   "Also save last.safetensors every so many steps; 0: once a minute"},
        o.checkpoint_interval);
  visit(OptionInfo{"log-interval", 0, kFree, "Run",
                   "Steps between progress lines when the output is no terminal"},
        o.log_interval);
}

// Names in the order of visit_options.
std::vector<std::string> option_names();

// One JSON object with every option of the task that has a value, `model` as an object when it is
// one.
std::string to_json(const TrainOptions& options);

// Takes the keys of a JSON object ('-' and '_' are the same) over the defaults of its "task".
// Unknown keys, values of the wrong type and options of another task are an Error(kInvalidArgument)
// that names `what` and the key.
TrainOptions options_from_json(const std::string& text, const std::string& what);

// Error(kInvalidArgument) naming the first option outside its range, or of another task and not at
// its default.
void validate(const TrainOptions& options);

// Error(kMismatch) naming the first kFixed option whose value differs, with both values. Returns a
// sentence for each kWarns option that differs.
std::vector<std::string> check_resumable(const TrainOptions& saved, const TrainOptions& now);

// The model to train: options.model with num_classes (the option, else `classes` when that is not
// 0), img_size and drop_path applied.
Architecture resolve_model(const TrainOptions& options, int classes);

}  // namespace asmlp::train
