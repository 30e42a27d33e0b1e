#include "asmlp/dataset/coco/coco_image_index.h"

#include <algorithm>
#include <charconv>

namespace asmlp {
namespace {

std::string own_name(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);  // npos + 1 is 0
}

// How many names two paths have in common at their ends.
int common_names(const std::string& a, const std::string& b) {
  int names = 0;
  size_t i = 0;
  for (;; ++i) {
    const bool a_ends = i == a.size() || a[a.size() - 1 - i] == '/';
    const bool b_ends = i == b.size() || b[b.size() - 1 - i] == '/';
    if (a_ends && b_ends) ++names;
    if (i == a.size() || i == b.size() || a[a.size() - 1 - i] != b[b.size() - 1 - i]) break;
  }
  return names;
}

std::string without_escapes(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    int code = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, code, 16).ptr ==
            text.data() + i + 3 &&
        code > 0) {
      result += static_cast<char>(code);
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

std::string local_name(std::string_view file_name) {
  std::string name;
  if (const size_t scheme = file_name.find("://"); scheme != std::string_view::npos) {
    file_name.remove_prefix(scheme + 3);
    file_name = file_name.substr(0, file_name.find_first_of("?#"));
    name = without_escapes(file_name);
  } else {
    name = file_name;
  }
  std::ranges::replace(name, '\\', '/');
  const bool drive = name.size() > 2 && name[1] == ':' && name[2] == '/';
  if (drive) name.erase(0, 2);
  return name;
}

void PathEnds::add(const std::string& path, int value) {
  paths_.emplace(own_name(path), std::pair(path, value));
}

std::optional<int> PathEnds::find(const std::string& path) const {
  std::optional<int> found;
  int most = 0;
  const auto [begin, end] = paths_.equal_range(own_name(path));
  for (auto it = begin; it != end; ++it) {
    const int names = common_names(it->second.first, path);
    if (names > most) {
      most = names;
      found = it->second.second;
    } else if (names == most) {
      found.reset();
    }
  }
  return found;
}

}  // namespace asmlp
