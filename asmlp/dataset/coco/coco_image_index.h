// Image files by the names that annotation files of any tool give them.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asmlp {

// A file name of an annotation file as a path of this machine: slashes for backslashes; without the
// drive, the scheme and the query of an address; "%20" is a blank there.
std::string local_name(std::string_view file_name);

// Names to be found by the end of their paths.
class PathEnds {
 public:
  // A path and what it stands for.
  void add(const std::string& path, int value);
  // The value of the path that has the most names at its end in common with `path`, at least the
  // file's own name; nothing when there is none, or several of them equally.
  std::optional<int> find(const std::string& path) const;

 private:
  std::multimap<std::string, std::pair<std::string, int>> paths_;  // by the file's own name
};

}  // namespace asmlp
