#include "asmlp/cli/images/output_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "asmlp/cli/images/find_images.h"
#include "asmlp/core/error.h"

namespace asmlp::cli {

namespace fs = std::filesystem;

OutputFolder::OutputFolder(const std::string& option, const fs::path& folder) : folder_(folder) {
  std::error_code error;
  fs::create_directories(folder_, error);
  require(!error && fs::is_directory(folder_), ErrorCode::kIo, "{} {}: cannot make this folder: {}",
          option, folder_.string(), error ? error.message() : "a file of that name exists");
  const int denied = ::access(folder_.c_str(), W_OK | X_OK) == 0 ? 0 : errno;
  require(denied == 0, ErrorCode::kIo, "{} {}: cannot write into this folder: {}", option,
          folder_.string(), std::strerror(denied));
}

fs::path OutputFolder::next(const fs::path& input) {
  const std::string stem = shown_name(input).stem().string();
  std::string name = stem;
  for (int n = 2; !used_.insert(name).second; ++n) name = fmt::format("{}-{}", stem, n);
  return folder_ / name;
}

}  // namespace asmlp::cli
