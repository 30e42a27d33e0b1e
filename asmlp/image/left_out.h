// What a folder of images holds beside the images that are taken, counted by kind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace asmlp {

class LeftOut {
 public:
  // Whether a file of a folder is taken as an image: a visible name with an extension that
  // decode_image reads, a regular file, and not empty. If not, it is counted.
  bool takes(const std::filesystem::directory_entry& file);

  // Counts something else that is left out, like "hidden folder".
  void count(const std::string& kind) { ++kinds_[kind]; }

  // "3 .heic, 1 .txt, 2 empty"; empty when everything was taken.
  std::string text() const;

  // "left out of photos/: 3 .heic, 1 .txt", empty when everything was taken.
  std::string note(const std::filesystem::path& folder) const;

 private:
  std::map<std::string, int64_t> kinds_;
};

// Entries whose names begin with a dot belong to tools (.git, .ipynb_checkpoints, macOS's ._*), not
// to the data.
bool is_hidden(const std::filesystem::path& path);

}  // namespace asmlp
