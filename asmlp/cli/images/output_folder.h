// Where a command puts one or more files per input.
#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace asmlp::cli {

// Names of outputs that do not collide when inputs of different folders have the same name.
class OutputFolder {
 public:
  // Makes the folder where it is missing; Error(kIo) naming `option` when that cannot be.
  OutputFolder(const std::string& option, const std::filesystem::path& folder);

  // The beginning of the names of what belongs to `input`: a/cat.jpg and then b/cat.png give
  // folder/cat and folder/cat-2.
  std::filesystem::path next(const std::filesystem::path& input);

 private:
  std::filesystem::path folder_;
  std::set<std::string> used_;
};

}  // namespace asmlp::cli
