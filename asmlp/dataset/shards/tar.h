// Tar archives, read and written from the first byte to the last (libarchive behind it).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "asmlp/core/input_file.h"

struct archive;

namespace asmlp {

// The regular files of a tar archive (v7, POSIX ustar and pax, GNU), in their order. Folders, links
// and devices are passed over. Every damage is Error(kBadFormat) naming the archive: a wrong
// checksum, a size that is no number, an end before the last member's. A cut between two members
// looks like an end.
class TarReader {
 public:
  // Error(kNotFound / kIo) when the file cannot be opened.
  explicit TarReader(const std::filesystem::path& path);
  // An archive in memory, which must outlive the reader; `what` names it in errors.
  TarReader(std::span<const std::byte> bytes, std::string what);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  // The name of the next file; nothing after the last one.
  std::optional<std::string> next();

  // The content of the file that next() named; once per file. Passed over by next() when it is not
  // wanted. Error(kTooLarge) over `max_bytes`: the archive can be read on.
  std::string read(size_t max_bytes);

  const std::string& what() const { return what_; }

 private:
  void open_with(int status);
  [[noreturn]] void fail_damaged() const;

  struct Close {
    void operator()(archive* handle) const;
  };
  std::string what_;
  std::unique_ptr<InputFile> file_;
  int64_t bytes_ = 0;  // of the archive
  size_t size_ = 0;    // of the file that next() named
  std::unique_ptr<archive, Close> archive_;
};

// Writes a ustar archive whose bytes depend on the names and contents only (owner 0, time 0).
class TarWriter {
 public:
  explicit TarWriter(std::ostream& out);
  ~TarWriter();
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  // A name of at most 100 bytes of printable ASCII, else Error(kInvalidArgument).
  void add(const std::string& name, std::string_view content);
  // Writes the end of the archive. Error(kIo) when the stream has failed.
  void finish();

 private:
  struct Free {
    void operator()(archive* handle) const;
  };
  std::unique_ptr<archive, Free> archive_;
};

}  // namespace asmlp
