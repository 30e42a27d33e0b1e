// The epochs of a run: what summary.csv holds.
#pragma once

#include <filesystem>
#include <vector>

#include "asmlp/metrics/eval_metric.h"

namespace asmlp {

// One finished epoch: a line of summary.csv.
struct EpochSummary {
  int epoch = 0;                            // position in the run, from 0
  double train_loss = 0;                    // mean over the epoch's steps
  double lr = 0;                            // of the epoch's last step
  EvalMetrics metrics;                      // of the validation; empty without one
  int number() const { return epoch + 1; }  // as files and people count
  bool validated() const { return !metrics.empty(); }
};

// The metrics of a history by name: those of its first validation, or none.
EvalMetrics columns_of(const std::vector<EpochSummary>& history);

// timm's summary.csv: a heading, then a line per finished epoch, counted from 1; cells are empty
// for epochs without validation. Written atomically; Error(kIo).
void write_summary(const std::filesystem::path& path, const std::vector<EpochSummary>& history);

}  // namespace asmlp
