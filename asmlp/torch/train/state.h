// The state of a run on disk: last.safetensors, from which it continues to the same bits.
//
// Tensors: model.<parameter or buffer>, ema.<parameter or buffer> (when the average is on),
// optimizer.m.<parameter>, optimizer.v.<parameter> (SGD: optimizer.momentum.<parameter>) of the
// parameters that are not frozen. __metadata__.asmlp_train is one JSON object
// with the numbers below. There is no generator state: every random number of a run is derived from
// its place (data/random.h). The position is counted in images, so that the run can go on with
// another batch size or number of processes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/report/history.h"
#include "asmlp/torch/train/options.h"

namespace asmlp::train {

struct RunState {
  TrainOptions options;
  std::string model;    // TrainingTask::model_json
  std::string command;  // that started the run; "" when the file does not say
  int threads = 1;      // the arithmetic's, of a process
  int world = 1;        // processes
  int64_t train_images = 0;
  int epoch = 0;           // the epoch to continue
  int64_t images = 0;      // of it, over all processes: those whose step is done
  double loss_sum = 0;     // over the epoch's steps so far
  int64_t loss_count = 0;  // number of them (finite ones)
  int64_t updates = 0;     // of the optimizer
  int64_t skipped = 0;     // steps without update because the loss or gradient was not finite
  int64_t skipped_in_row = 0;
  int64_t bad_samples = 0;   // that could not be read, in all training epochs
  int64_t bad_in_epoch = 0;  // in this one
  double loss_scale = 1;     // of the GradScaler
  int loss_scale_age = 0;    // good steps since it changed
  double best = -1;          // of the eval metric (task.h)
  int best_epoch = -1;
  int validations_since_best = 0;  // in a row: what patience counts
  std::vector<EpochSummary> history;
  // Read from a file with a checksum: since 0.3.
  bool checked = false;
};

// Writes atomically.
void write_state(const std::filesystem::path& path, const RunState& state,
                 const TensorMap& tensors);

// The numbers of a state: everything but options, model, command and history.
std::string numbers_to_json(const RunState& state);
void numbers_from_json(const std::string& text, RunState& state);

// Reads what write_state wrote, all of whose bytes the checksum covers (weights/safetensors.h).
// Error(kNotFound / kBadFormat) naming the file, and what to do when it is damaged: which other
// state beside it is whole.
RunState read_state(const std::filesystem::path& path, TensorMap* tensors);

}  // namespace asmlp::train
