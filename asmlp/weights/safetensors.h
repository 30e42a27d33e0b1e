// The safetensors container, read through a memory map and written atomically.
// Rules: https://github.com/huggingface/safetensors (README, "Format").
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "asmlp/core/input_file.h"
#include "asmlp/core/tensor.h"

namespace asmlp {

// The key under which the metadata of a file may have a checksum of the whole file:
// "xxh64:" and 16 digits (core/files/checksum.h), of all its bytes with zeros in the place of the
// digits.
inline constexpr const char* kChecksumKey = "asmlp_checksum";

struct TensorFile {
  TensorMap tensors;
  std::map<std::string, std::string> metadata;  // __metadata__
};

// Maps the file; the tensors point into the mapping and keep it alive. Validates everything the
// format demands: header size, strict JSON, dtype, shape overflow, offsets contiguous without holes
// or overlap, end of data = end of file, and the checksum of a file that has one (which takes a
// look at all its bytes). Errors: kNotFound, kIo, kBadFormat; kUnsupported for a dtype that DType
// cannot hold (F8 and the like), naming the tensor.
TensorFile read_safetensors(const std::filesystem::path& path);

// The same on bytes in memory that `owner` keeps alive; `what` names the source in messages.
TensorFile parse_safetensors(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                             const std::string& what);

// The same on what map_file gave.
TensorFile parse_safetensors(const MappedFile& mapped, const std::string& what);

// Writes atomically (temporary name, flush, rename), data 8-byte aligned, widest dtype first. With
// kAdd, the metadata get the checksum.
enum class FileChecksum { kNone, kAdd };
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata = {},
                       FileChecksum checksum = FileChecksum::kNone);

}  // namespace asmlp
