// What a file is that holds no weights we can read, for messages. Inside the weights layer only.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "asmlp/core/tensor.h"

namespace asmlp {

// Throws Error(kBadFormat) that says what the file looks like (Git LFS pointer, web page, ONNX,
// HDF5, archive, picture, text, ...) and what to do.
[[noreturn]] void fail_foreign(std::span<const std::byte> bytes, const std::filesystem::path& path);

// "a Swin Transformer's" and so on when the names are those of another well-known network, else "".
std::string foreign_network(const TensorMap& tensors);

// "12 tensors: 'a', 'b', 'c', ...": what was found where something else was expected.
std::string found_tensors(const TensorMap& tensors);

}  // namespace asmlp
