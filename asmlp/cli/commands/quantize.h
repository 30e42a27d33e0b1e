// asmlp quantize: what the tasks share of it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/cli/options/image_options.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/options/task_option.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/quantize/quantize.h"

namespace asmlp::cli {

struct QuantizeCommand {
  std::string model;
  TaskOption task;
  std::string shift_size;
  std::vector<std::string> data;
  std::string split;
  std::string out;
  std::optional<int64_t> images;  // nothing: 512, of detectors and segmentors 64
  QuantizeOptions quantize;
  ImageOptions image;
  OutputOptions output;
};

// Progress bars for the steps of `quantize`.
class StepBars {
 public:
  QuantizeProgress callbacks() {
    return {[this](const std::string& step, int64_t total) {
              done_ = 0;
              bar_.emplace(step, total, "images");
            },
            [this](int images) { bar_->update(done_ += images); },
            [this] {
              bar_->finish();
              bar_.reset();
            }};
  }

 private:
  std::optional<Progress> bar_;
  int64_t done_ = 0;
};

// The results as JSON, without what a task adds: "model", "file", "output", "data", "images", ...
Json quantize_json(const QuantizeCommand& options, const std::string& model,
                   const std::filesystem::path& file, const Quantized& result);
// The same for people. `agreement` says what the outputs' first classes are of, or is "".
std::string quantize_text(const QuantizeCommand& options, const Json& json, const Quantized& result,
                          const std::string& agreement);

// Error(kUnsupported) when no layer is in int8.
void require_layers(const Quantized& result, const std::filesystem::path& file, double max_error);

// A detector or segmentor.
int quantize_dense(const QuantizeCommand& options, Task task);

}  // namespace asmlp::cli
