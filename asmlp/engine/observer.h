// Who wants to see what the products of an engine read (Engine::observe).
#pragma once

#include <cstdint>

namespace asmlp {

class PackedMatrix;

class ProductObserver {
 public:
  virtual ~ProductObserver() = default;

  // A block of the rows that are multiplied with `weight`: rows x columns fp32, lda floats apart;
  // column 0 belongs to row `first` of the weight. Called by several threads at once. Over a run,
  // every element of a product's input is seen exactly once, in blocks that may depend on the
  // number of threads.
  virtual void observe(const PackedMatrix& weight, const float* a, int64_t lda, int64_t rows,
                       int64_t first, int64_t columns) noexcept = 0;
};

}  // namespace asmlp
