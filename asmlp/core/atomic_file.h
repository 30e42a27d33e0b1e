// Whole-file input and output in which nothing is ever lost.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>

namespace asmlp {

// Writes a file by way of `<path>.tmp.<pid>.<n>` in the same folder: `write` fills the stream, then
// the data is flushed to disk and renamed over `path`. If anything fails the temporary file is
// removed, a file already at `path` stays as it was, and Error(kIo) (or what `write` threw) leaves.
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(std::ostream&)>& write);

// The whole content of a regular file; Error(kNotFound / kIo) otherwise, Error(kTooLarge) over
// `max_bytes`.
std::string read_file(const std::filesystem::path& path, size_t max_bytes = size_t{1} << 30);

// A file mapped read-only; the owner keeps the mapping alive.
struct MappedFile {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};

// Maps a regular file; Error(kNotFound / kIo) names it. An empty file maps to an empty span.
MappedFile map_file(const std::filesystem::path& path);

}  // namespace asmlp
