// Files that tests write.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace asmlp::test {

// `path` with these bytes, in folders that are made where they lack.
inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
}

}  // namespace asmlp::test
