#include "asmlp/cli/images/find_images.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>

#include "asmlp/image/decode.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> expand_glob(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> names;
  if (::glob(pattern.c_str(), GLOB_BRACE | GLOB_TILDE, nullptr, &found) == 0) {
    names.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  return names;
}

void add_folder(const fs::path& folder, const std::string& argument, FoundImages& result) {
  std::vector<fs::path> files;
  std::error_code error;
  auto entry = fs::recursive_directory_iterator(
      folder, fs::directory_options::skip_permission_denied, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored) && has_image_extension(entry->path())) {
      files.push_back(entry->path());
    }
  }
  if (error) {
    result.missing.push_back(
        {argument, ErrorCode::kIo,
         fmt::format("{}: cannot read the folder: {}", folder.string(), error.message())});
  } else if (files.empty()) {
    result.missing.push_back(
        {argument, ErrorCode::kNotFound,
         fmt::format("{}: no images (.jpg, .jpeg, .png, .webp) in this folder", folder.string())});
  }
  std::sort(files.begin(), files.end());
  result.files.insert(result.files.end(), files.begin(), files.end());
}

}  // namespace

FoundImages find_images(const std::vector<std::string>& arguments) {
  FoundImages result;
  for (const std::string& argument : arguments) {
    std::error_code ignored;
    std::vector<std::string> names{argument};
    if (!fs::exists(argument, ignored)) names = expand_glob(argument);
    if (names.empty()) {
      result.missing.push_back({argument, ErrorCode::kNotFound,
                                fmt::format("{}: no such file, folder or match", argument)});
    }
    for (const std::string& name : names) {
      if (fs::is_directory(name, ignored)) {
        add_folder(name, argument, result);
      } else {
        result.files.emplace_back(name);
      }
    }
  }
  return result;
}

}  // namespace asmlp::cli
