// What the layers of a model read while it looks at images.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "asmlp/engine/observer.h"
#include "asmlp/quantize/histogram.h"
#include "asmlp/quantize/subject.h"

namespace asmlp {

// A block of what the weights that share an input read.
struct ObservedBlock {
  const float* a;
  int64_t lda, rows, first, columns;
  const float* row(int64_t r) const { return a + r * lda; }
};

// Sorts what the products of a model read by input.
class InputObserver : public ProductObserver {
 public:
  // `readers` of each input: of the model that runs next.
  void watch(const InputReaders& readers);
  void observe(const PackedMatrix& weight, const float* a, int64_t lda, int64_t rows, int64_t first,
               int64_t columns) noexcept override;

 protected:
  virtual void see(size_t input, const ObservedBlock& block) noexcept = 0;
  std::mutex& lock_of(size_t input) { return locks_[input]; }

 private:
  std::map<const PackedMatrix*, size_t> input_of_;
  std::unique_ptr<std::mutex[]> locks_;
};

// The least and the greatest value in each column of a layer's input. Both are finite.
struct ChannelRanges {
  std::vector<float> low, high;
  ValueRange all() const;  // of all columns, with 0
};

// Of every input of the subject, from the images of `indices` (at least one), computed in fp32 with
// `tensors`. Error(kBadFormat) when a layer reads a value that is not finite.
std::vector<ChannelRanges> observe_ranges(const QuantizationSubject& subject,
                                          const TensorMap& tensors,
                                          std::span<const int64_t> indices, int threads,
                                          const ImageCounter& progress = {});

// The histograms of the same inputs over `ranges`, one each.
std::vector<Histogram> observe_histograms(const QuantizationSubject& subject,
                                          const TensorMap& tensors,
                                          std::span<const int64_t> indices, int threads,
                                          std::span<const ValueRange> ranges,
                                          const ImageCounter& progress = {});

}  // namespace asmlp
