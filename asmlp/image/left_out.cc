#include "asmlp/image/left_out.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "asmlp/core/input_file.h"
#include "asmlp/image/decode.h"

namespace asmlp {

bool is_hidden(const std::filesystem::path& path) {
  return path.filename().string().starts_with('.');
}

bool LeftOut::takes(const std::filesystem::directory_entry& file) {
  const std::filesystem::path& path = file.path();
  if (is_hidden(path)) {
    count("hidden");
    return false;
  }
  if (const std::string kind = special_kind(path); !kind.empty()) {
    count(kind);
    return false;
  }
  if (!has_image_extension(path)) {
    std::string extension = path.extension().string();
    std::ranges::transform(extension, extension.begin(), [](unsigned char c) {
      return std::isprint(c) ? static_cast<char>(std::tolower(c)) : '?';
    });
    count(extension.empty() ? "without extension" : extension);
    return false;
  }
  std::error_code error;
  // A file that cannot be looked at is taken: reading it says why.
  if (file.file_size(error) != 0 || error) return true;
  count("empty");
  return false;
}

std::string LeftOut::text() const {
  std::vector<std::pair<std::string, int64_t>> kinds(kinds_.begin(), kinds_.end());
  std::ranges::stable_sort(kinds, [](const auto& a, const auto& b) { return a.second > b.second; });
  constexpr size_t kMostKinds = 12;
  std::string text;
  int64_t others = 0;
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (i >= kMostKinds) {
      others += kinds[i].second;
      continue;
    }
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", kinds[i].second, kinds[i].first);
  }
  if (others > 0) text += fmt::format(", {} others", others);
  return text;
}

std::string LeftOut::note(const std::filesystem::path& folder) const {
  if (kinds_.empty()) return {};
  std::string name = folder.string();
  if (!name.ends_with('/')) name += '/';
  return fmt::format("left out of {}: {}", name, text());
}

}  // namespace asmlp
