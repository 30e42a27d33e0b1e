// From a pickled tensor description to a row-major tensor. Inside the weights layer only.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>

#include "asmlp/core/tensor.h"
#include "asmlp/weights/pytorch/pickle.h"

namespace asmlp {

// A persistent id: where a tensor's elements are stored.
struct StorageId {
  DType dtype = DType::kF32;
  bool untyped = false;  // counts bytes, the tensor says the type
  std::string_view key;
  uint64_t count = 0;  // elements of dtype
};

// Reads and checks a kStorage value. Errors: kBadFormat, kUnsupported.
StorageId read_storage_id(const Pickle& pickle, const PickleValue& storage,
                          const std::string& what);

// Makes tensors of one pickle, copying their elements; views that PyTorch shares are shared again.
class TensorBuilder {
 public:
  using Storages = std::function<std::span<const std::byte>(std::string_view key)>;

  // `storages` gives a storage's bytes by key or throws. All tensors together may take `max_bytes`:
  // a view with stride 0 is arbitrarily larger than its storage.
  TensorBuilder(const Pickle& pickle, Storages storages, uint64_t max_bytes, std::string what);

  // `ref` must be a kTensor; `name` is for messages. Errors: kBadFormat (no or out of bounds
  // elements), kTooLarge over max_bytes, kUnsupported.
  Tensor build(PickleRef ref, const std::string& name);

 private:
  uint64_t number(PickleRef ref, const std::string& name) const;
  Shape numbers(PickleRef ref, const std::string& name) const;

  const Pickle& pickle_;
  Storages storages_;
  uint64_t max_bytes_;
  uint64_t used_bytes_ = 0;
  std::string what_;
  std::unordered_map<PickleRef, Tensor> built_;
  std::unordered_map<std::string_view, std::span<const std::byte>> opened_;
};

}  // namespace asmlp
