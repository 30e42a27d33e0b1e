// A file that grows while a run goes on: whole pieces or nothing.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace asmlp {

// Appends what add() collected at every flush(). A flush that fails (a full disk) leaves the file
// as it was and keeps the pieces, so that the next flush writes them: a file is never torn, and
// nothing is lost when there is room again.
class AppendFile {
 public:
  enum class Open { kCreate, kAppend };
  // kCreate: the file must not exist. kAppend: it may; a piece of an unfinished write at its end is
  // the caller's to remove first. Error(kIo) naming the file.
  AppendFile(std::filesystem::path path, Open open);
  ~AppendFile();  // drops what was not flushed
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void add(std::string_view piece) { pending_ += piece; }
  // Hands the pieces to the operating system. Error(kIo) naming the file.
  void flush();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int fd_;
  std::string pending_;
};

}  // namespace asmlp
