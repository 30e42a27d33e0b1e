// Shards that tests make.
#pragma once

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/dataset/shards/tar.h"

namespace asmlp::test {

// Members of a tar file in order: name, content.
using Members = std::vector<std::pair<std::string, std::string>>;

inline std::string tar_of(const Members& members) {
  std::ostringstream out;
  TarWriter tar(out);
  for (const auto& [name, content] : members) tar.add(name, content);
  tar.finish();
  return out.str();
}

}  // namespace asmlp::test
