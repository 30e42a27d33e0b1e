// From images to the network's input: fetched and preprocessed by several threads. The one pipeline
// of the library and the command.
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/image/image.h"
#include "asmlp/model/spec.h"

namespace asmlp {

// One batch of images of one model; reused from batch to batch, so memory stays bounded.
class InputBatch {
 public:
  // An image that could not be had.
  struct Failure {
    int item = 0;
    ErrorCode code = ErrorCode::kIo;
    std::string message;
    std::exception_ptr cause;
  };

  // preprocessing.mean.size() is the number of channels, 1 or 3. `threads` as ThreadPool has it;
  // they are started when a batch first has more than one image.
  InputBatch(const Preprocessing& preprocessing, int threads);

  // Gets the images 0..count-1 by calling `fetch` on several threads at once, preprocesses them and
  // packs those that are there together in their order. Whatever `fetch` throws becomes a Failure.
  void load(int count, const std::function<Image(int item)>& fetch);

  // Of the last load: the images in slots 0..size()-1, and the others.
  int size() const { return static_cast<int>(items_.size()); }
  int item(int slot) const { return items_[static_cast<size_t>(slot)]; }
  const Image& image(int slot) const;    // the 8-bit image that the network sees
  std::span<const float> input() const;  // size() x channels x side x side, normalized
  const std::vector<Failure>& failures() const { return failures_; }

 private:
  Preprocessing preprocessing_;
  int threads_;
  std::optional<ThreadPool> pool_;
  size_t image_size_;  // floats of one image
  std::vector<float> input_;
  std::vector<Image> images_;
  std::vector<int> items_;
  std::vector<Failure> failures_;
};

}  // namespace asmlp
