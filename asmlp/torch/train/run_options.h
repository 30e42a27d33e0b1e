// How a run computes and what it writes when: the last group of its options (options.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "asmlp/dataset/cache/image_cache.h"
#include "asmlp/schema/option_info.h"
#include "asmlp/torch/train/device.h"

namespace asmlp::train {

struct RunOptions {
  uint64_t seed = 42;
  int nproc = 1;
  std::optional<int> workers;
  CacheMode cache = CacheMode::kOff;
  std::string cache_dir;
  int threads = 0;
  std::string device = "auto";  // resolve_device
  Amp amp = Amp::kOff;
  bool grad_checkpointing = false;
  std::optional<int64_t> max_bad;
  int val_interval = 1;
  int patience = 0;
  int checkpoint_interval = 0;
  int log_interval = 50;
  int report_images = 16;

  static void visit(auto& self, auto&& field) {
    constexpr auto kWarns = OnResume::kWarns, kFree = OnResume::kFree;
    field("seed", self.seed,
          OptionInfo{{}, "Decides initial weights, order, augmentation and drop path"});
    field("nproc", self.nproc,
          OptionInfo{{.low = 1, .high = 256},
                     "Processes on this machine that share the work; several machines: "
                     "docs/guide/distributed.md. A resumed run has its own again unless said "
                     "otherwise",
                     kFree});
    field("workers", self.workers,
          OptionInfo{{.low = 0, .high = 256},
                     "Threads that load and augment images (default: as many as this process has "
                     "cores, at most 8)",
                     kFree});
    field("cache", self.cache,
          OptionInfo{{},
                     "Keep decoded images: ram (as many as fit into the free memory), disk (in one "
                     "file, which processes and later runs share), or off; the batches are the "
                     "same. For sets that fit: docs/guide/data.md",
                     kFree});
    field(
        "cache-dir", self.cache_dir,
        OptionInfo{{}, "Folder of the file of --cache disk (default: cache/ in the run's)", kFree});
    field("threads", self.threads,
          OptionInfo{{.low = 0, .high = 256},
                     "Threads of the arithmetic; 0: all cores, or those of the run that is "
                     "resumed. Same number, same bits",
                     kFree,
                     'j'});
    field("device", self.device,
          OptionInfo{{},
                     "cpu, cuda (the process's own of the machine), cuda:N, or auto: cuda where "
                     "there is one",
                     kWarns});
    field("amp", self.amp,
          OptionInfo{
              {}, "Mixed precision: off, bf16, or fp16 with loss scaling (CUDA only)", kWarns});
    field("grad-checkpointing", self.grad_checkpointing,
          OptionInfo{{},
                     "Keep the inputs of the blocks only and compute a block again in the "
                     "backward pass: less memory, a third more time, the same bits",
                     kFree});
    field("max-bad", self.max_bad,
          OptionInfo{{.low = 0},
                     "Samples that cannot be read before the run stops, per epoch (default: 1 % "
                     "of the images)",
                     kFree});
    field("val-interval", self.val_interval,
          OptionInfo{{.low = 1}, "Validate every so many epochs, and after the last"});
    field("patience", self.patience,
          OptionInfo{{.low = 0},
                     "Stop after so many validations in a row without a better eval metric (top-1, "
                     "box AP, mIoU); 0: never",
                     kFree});
    field(
        "checkpoint-interval", self.checkpoint_interval,
        OptionInfo{
            {.low = 0}, "Also save last.safetensors every so many steps; 0: once a minute", kFree});
    field("log-interval", self.log_interval,
          OptionInfo{
              {.low = 1}, "Steps between progress lines when the output is no terminal", kFree});
    field("report-images", self.report_images,
          OptionInfo{{.low = 0, .high = 64},
                     "Training samples and predictions on the pictures of the report and of "
                     "TensorBoard; 0: no pictures",
                     kFree});
  }
};

}  // namespace asmlp::train
