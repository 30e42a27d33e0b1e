#include "asmlp/dataset/folder.h"

#include <algorithm>

#include "asmlp/image/left_out.h"

namespace asmlp {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::vector<fs::path> visible_entries(const fs::path& folder, std::error_code& error) {
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!is_hidden(it->path())) entries.push_back(it->path());
  }
  std::ranges::sort(entries, {}, [](const fs::path& path) { return path.native(); });
  return entries;
}

}  // namespace asmlp
