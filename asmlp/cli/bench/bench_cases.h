// What `asmlp bench` shall measure: its options, the models they name, one case per table row.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "asmlp/cli/options/options.h"
#include "asmlp/weights/checkpoint.h"

namespace asmlp::cli {

struct BenchOptions {
  std::vector<std::string> models{"asmlp_tiny_patch4_shift5_224"};
  std::vector<int> batches{1};
  std::vector<std::string> precisions;  // empty: fp32, of a model with int8 layers int8
  std::vector<std::string> isas;        // empty: the default one
  std::vector<int> sizes;               // empty: the model's own
  std::vector<int> callers;             // of --latency; empty: default_callers()
  int threads = 0;
  int runs = 30;
  int warmup = 3;
  int starts = 5;            // fresh processes for the cold start and the memory; 0: leave them out
  std::string backend = {};  // "native", or "torch" for LibTorch's rows too
};

// A model's weights in a file that other processes can open.
struct BenchModel {
  std::string name;
  Checkpoint checkpoint;
  std::filesystem::path file;
  bool filled = false;             // weights by the rule of weights/fill.h
  std::vector<std::string> notes;  // what had to be assumed
  std::shared_ptr<void> owner;     // keeps the file of filled weights
};

// A weight file; or a zoo name or a config file (.json, .yaml), which get deterministic weights:
// speed does not depend on the values. Those are written to a file without a name, which goes away
// with the model or the process. Error(kUnsupported) for a model without head; load_model's errors.
BenchModel open_bench_model(const std::string& word);

// The same with int8 layers: deterministic weights get them here, calibrated on generated inputs;
// those of a file stay as they are.
BenchModel open_int8_bench_model(const std::string& word);

// One row of the table.
struct BenchCase {
  std::shared_ptr<const BenchModel> model;
  RunOptions run;
  int size = 0;  // side of the input in pixels
  int batch = 1;
};

// Every combination of the options, batch changing fastest.
std::vector<BenchCase> bench_cases(const BenchOptions& options);

// "asmlp_tiny_patch4_shift5_224, 224 x 224, batch 8, bf16, avx2": for messages.
std::string describe(const BenchCase& bench_case);

}  // namespace asmlp::cli
