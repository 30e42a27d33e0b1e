#include "asmlp/cli/images/find_images.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "asmlp/core/atomic_file.h"
#include "asmlp/image/left_out.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStandardInput = "-";
constexpr size_t kMaxListBytes = size_t{256} << 20;

std::vector<std::string> expand_glob(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> names;
  if (::glob(pattern.c_str(), GLOB_BRACE | GLOB_TILDE, nullptr, &found) == 0) {
    names.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  return names;
}

// Something is at the path, be it a link to nothing: reading it says what.
bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

void add_folder(const fs::path& folder, const std::string& argument, FoundImages& result) {
  std::vector<fs::path> files;
  LeftOut left_out;
  std::error_code error;
  auto entry = fs::recursive_directory_iterator(
      folder, fs::directory_options::skip_permission_denied, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_directory(ignored)) {
      if (!is_hidden(entry->path())) continue;
      entry.disable_recursion_pending();
      left_out.count("hidden folder");
    } else if (left_out.takes(*entry)) {
      files.push_back(entry->path());
    }
  }
  const std::string others = left_out.text();
  if (error) {
    result.missing.push_back(
        {argument, ErrorCode::kIo,
         fmt::format("{}: cannot read the folder: {}", folder.string(), error.message())});
  } else if (files.empty()) {
    result.missing.push_back(
        {argument, ErrorCode::kNotFound,
         fmt::format("{}: no images ({}) in this folder{}", folder.string(), image_extensions(),
                     others.empty() ? "" : "; it holds " + others)});
  } else if (!others.empty()) {
    result.notes.push_back(left_out.note(folder));
  }
  std::sort(files.begin(), files.end());
  result.files.insert(result.files.end(), files.begin(), files.end());
}

void add_path(const std::string& name, const std::string& argument, FoundImages& result) {
  std::error_code ignored;
  if (fs::is_directory(name, ignored)) {
    add_folder(name, argument, result);
  } else {
    result.files.emplace_back(name);
  }
}

void add_list(const std::string& argument, FoundImages& result) {
  const std::string list = argument.substr(1);
  std::string text;
  try {
    text = read_file(list, kMaxListBytes);
  } catch (const Error& error) {
    result.missing.push_back({argument, error.code(), error.what()});
    return;
  }
  std::string_view rest = text;
  if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);  // the byte order mark of UTF-8
  for (int line = 1; !rest.empty(); ++line) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string name(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (name.ends_with('\r')) name.pop_back();
    if (name.empty()) continue;
    if (is_there(name)) {
      add_path(name, name, result);
    } else {
      result.missing.push_back(
          {name, ErrorCode::kNotFound,
           fmt::format("{}: no such file or folder (line {} of {})", name, line, list)});
    }
  }
}

}  // namespace

FoundImages find_images(const std::vector<std::string>& arguments) {
  FoundImages result;
  bool read = false;
  for (const std::string& argument : arguments) {
    if (argument == kStandardInput) {
      if (read) {
        result.missing.push_back({argument, ErrorCode::kInvalidArgument,
                                  "-: standard input holds one picture; name it once"});
      } else {
        result.files.emplace_back(argument);
      }
      read = true;
      continue;
    }
    const bool exists = is_there(argument);
    if (!exists && argument.starts_with('@')) {
      add_list(argument, result);
      continue;
    }
    const std::vector<std::string> names =
        exists ? std::vector<std::string>{argument} : expand_glob(argument);
    if (names.empty()) {
      result.missing.push_back({argument, ErrorCode::kNotFound,
                                fmt::format("{}: no such file, folder or match", argument)});
    }
    for (const std::string& name : names) add_path(name, argument, result);
  }
  return result;
}

Image load_image(const fs::path& file, const DecodeOptions& options) {
  if (file != kStandardInput) return decode_image(file, options);
  const std::string bytes = read_standard_input(options.max_file_bytes);
  return decode_image(std::as_bytes(std::span(bytes)), "standard input", options);
}

fs::path shown_name(const fs::path& file) { return file == kStandardInput ? "stdin" : file; }

}  // namespace asmlp::cli
