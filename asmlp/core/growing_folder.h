// A folder of many files that appears when all of them are there.
#pragma once

#include <filesystem>
#include <string>

namespace asmlp {

// Files are written into a temporary folder, which takes the name of the output at finish(); unless
// that is called, all of them are removed. What dead processes left of earlier writings of the same
// output is removed first.
class GrowingFolder {
 public:
  enum class Output {
    kNew,         // must not exist yet
    kNewOrEmpty,  // or is an empty folder, which stays and takes the files in
    kShared       // may hold other files: finish() moves the new ones in beside them, each whole
  };

  // Makes the folders above; Error(kInvalidArgument) for an output that exists or is not empty,
  // Error(kIo) with the reason.
  GrowingFolder(const std::filesystem::path& output, Output kind, const std::string& name = "");
  ~GrowingFolder();
  GrowingFolder(const GrowingFolder&) = delete;
  GrowingFolder& operator=(const GrowingFolder&) = delete;

  // Where to write.
  const std::filesystem::path& path() const { return path_; }

  // All to the disk at once, not file by file; then the names, those of a shared folder in their
  // order. Error(kIo).
  void finish();

 private:
  std::filesystem::path output_, path_;
  bool inside_ = false;  // the temporary folder is in the output
  int lock_ = -1;
};

// Writes a file that lies in a growing folder: neither flushed nor renamed. Error(kIo) with the
// reason.
void write_growing_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace asmlp
