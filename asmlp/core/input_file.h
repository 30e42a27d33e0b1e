// Opening what is read: the one way for files, pipes, and standard input.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace asmlp {

// What may stand at a path. A pipe or a socket is for what a user names (`<(...)`, /dev/stdin, a
// FIFO); inside the folders of data only regular files are read.
enum class Inputs { kAny, kRegular };

// A file that is open for reading. Opening never waits, whatever is there.
class InputFile {
 public:
  // Error(kNotFound) for nothing and for a link to nothing, Error(kIo) for folders, devices (but
  // /dev/null, which is empty), terminals, and what `inputs` does not take.
  explicit InputFile(const std::filesystem::path& path, Inputs inputs = Inputs::kAny);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  int descriptor() const { return fd_; }
  bool is_regular() const { return regular_; }
  size_t size() const { return size_; }  // 0 of a pipe

  // All that comes until the end. Waits for the writer of a pipe; a signal with a handler ends the
  // waiting: Error(kInterrupted). Error(kTooLarge) over `max_bytes`, Error(kIo).
  std::string read_all(size_t max_bytes) const;

 private:
  std::string what_;
  int fd_ = -1;
  bool regular_ = false;
  size_t size_ = 0;
};

// The whole content of a file or a pipe; InputFile's errors.
std::string read_file(const std::filesystem::path& path, size_t max_bytes = size_t{1} << 30,
                      Inputs inputs = Inputs::kAny);

// What comes from standard input until its end, from where it stands; as read_all. A terminal is
// Error(kIo).
std::string read_standard_input(size_t max_bytes);

// A file mapped read-only; the owner keeps the mapping alive.
struct MappedFile {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  bool mapped = false;  // false: bytes in memory, which came out of a pipe
};

// Maps a regular file; a pipe is read into memory (4 GiB are the most). InputFile's errors. Nothing
// in it: an empty span.
MappedFile map_file(const std::filesystem::path& path, Inputs inputs = Inputs::kAny);

// For programs: from now on what comes out of a pipe is kept in memory until the process ends, so
// that a second reading of the same path finds it again (the model whose kind is looked up first,
// and then loaded). The descriptor behind /dev/stdin and /dev/fd/N becomes that memory, also for a
// program that takes this one's place.
void keep_piped_inputs();

// The beginning of what comes out of the pipe at `path`, at most `bytes`, where pipes are kept
// (which waits for all of it); "" where there is no pipe. InputFile's errors.
std::string piped_beginning(const std::filesystem::path& path, size_t bytes);

// What stands at a path that is no regular file, in words for a count ("named pipe", "socket",
// "device", "link to a missing file", "loop of links"); "" for regular files, folders, and what
// cannot be looked at.
std::string special_kind(const std::filesystem::path& path);

// Why `path` cannot be read or written as a file: "a link to a.txt, which is missing" for a
// dangling link, else the text of the error number.
std::string path_error(const std::filesystem::path& path, int error);

// N for /dev/fd/N and /proc/self/fd/N, 0, 1, 2 for /dev/stdin, /dev/stdout, /dev/stderr; else -1.
int descriptor_of(const std::filesystem::path& path);

}  // namespace asmlp
