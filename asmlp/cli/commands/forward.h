// asmlp forward: what the tasks share of it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "asmlp/cli/options/options.h"
#include "asmlp/core/tensor.h"
#include "asmlp/model/config.h"
#include "asmlp/model/task.h"

namespace asmlp::cli {

struct ForwardOptions {
  ModelOptions model;
  std::string input;
  std::string output;
  std::string backend;
  RunOptions run;
  OutputOptions messages;
};

// `input` of the file as floats, checked against what the network takes.
std::vector<float> read_input(const ForwardOptions& options, const Config& config, Shape* shape);

// Results of all batches under one name.
struct ForwardOutput {
  Shape shape;  // of one batch; the first extent is set at the end
  std::vector<float> values;
};

// Writes the outputs of so many images, and, with --json, says which.
void write_outputs(const ForwardOptions& options, std::map<std::string, ForwardOutput> outputs,
                   int64_t images, Precision precision, const std::string& isa);

// A detector's maps, or a segmentor's logits, on the native engine.
int forward_dense(const ForwardOptions& options, Task task);

}  // namespace asmlp::cli
