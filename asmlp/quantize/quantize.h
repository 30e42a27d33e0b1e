// Post-training quantization: from a model in fp32 to one whose layers compute in int8.
//
// The inputs' ranges come from images that the model looks at (calibration.h), the weights' from
// the weights. Other images show what the int8 layers do to the outputs. Where that is more than is
// wanted, each layer is tried alone, and those that do the most stay in fp32.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/model/quantization_info.h"
#include "asmlp/quantize/classifier_subject.h"
#include "asmlp/weights/checkpoint.h"

namespace asmlp {

struct QuantizeOptions {
  // Range of a layer's input: this percentage of its values (percentile_range); nothing: the range
  // with the least squared error (least_squares_range).
  std::optional<double> percentile;
  bool equalize = true;              // see quantized_weights.h
  std::vector<std::string> exclude;  // layers that stay in fp32: names or globs (*, ?, [a-z])
  double max_error = 0.05;           // of the outputs (OutputDifference::error)
  int threads = 0;                   // as ThreadPool has it; the result does not depend on it
};

// Why a layer stays in fp32.
struct Fp32Layer {
  std::string name;
  // The outputs' error with this layer alone in int8 (and, of a pair that reads one map, the
  // other); nothing where it is excluded by wish.
  std::optional<double> error;
};

// Told of what is being done and how much of it: `step` is a word or two, `total` images in it.
struct QuantizeProgress {
  std::function<void(const std::string& step, int64_t total)> begin;
  ImageCounter advance;
  std::function<void()> end;
};

// A model with int8 layers.
struct Quantized {
  TensorMap tensors;
  QuantizationInfo info;  // for the model's description
  std::vector<Fp32Layer> fp32_layers;
  int layers = 0;                  // int8 ones
  OutputDifference all;            // with every layer that may be in int8
  OutputDifference final;          // as it is
  std::vector<OutputPart> before;  // the outputs of the held-out images, in fp32
  std::vector<OutputPart> after;   // and with the int8 layers
};

// The images to measure on, of `images`: every fourth, from the fourth on; of fewer than four, all.
std::vector<int64_t> held_out_images(int64_t images);
// The others, to calibrate on; of fewer than four, all.
std::vector<int64_t> calibration_images(int64_t images);

// Quantizes a model with its images 0..images - 1 (at least one). `source` is the name to remember
// of its file. Errors: kUnsupported for a model that has int8 layers; kInvalidArgument for an
// exclusion that no layer matches, suggesting the nearest name; kBadFormat for a model whose
// numbers are not finite.
Quantized quantize(const QuantizationSubject& subject, int64_t images, const std::string& source,
                   const QuantizeOptions& options = {}, const QuantizeProgress& progress = {});

// A classifier's checkpoint without measuring anything: every layer in int8, calibrated on a few
// inputs by the fill rule (weights/fill.h). For benchmarks of models without weights: what it
// computes is meaningless.
Checkpoint quantized_for_benchmark(const Checkpoint& checkpoint);

}  // namespace asmlp
