// Runs a fuzz target without libFuzzer: over every seed file and a fixed number of mutations of
// each. The mutations are the same in every run; the program says how many inputs it tried.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutations = 300;               // of a small seed
constexpr size_t kBytesPerSeed = 60'000'000;  // large seeds get fewer

void run(const std::string& bytes) {
  // Exactly as large as the input, so that a sanitizer sees every byte read beyond it.
  const std::vector<uint8_t> exact(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

void mutate(std::string& bytes, std::mt19937& random) {
  const auto below = [&](size_t limit) { return random() % std::max<size_t>(limit, 1); };
  const size_t at = below(bytes.size());
  switch (below(6)) {
    case 0:
      bytes.resize(at);
      break;
    case 1:
      bytes.insert(at, 1, static_cast<char>(random()));
      break;
    case 2:
      bytes.erase(at, 1 + below(8));
      break;
    case 3:
      bytes.insert(at, bytes.substr(below(bytes.size()), below(64)));
      break;
    default:
      if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1u << below(8)));
  }
}

std::vector<std::filesystem::path> seed_files(int count, char** names) {
  std::vector<std::filesystem::path> files;
  for (int i = 0; i < count; ++i) {
    if (!std::filesystem::is_directory(names[i])) {
      files.emplace_back(names[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(names[i])) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  run("");
  int inputs = 1;
  const auto files = seed_files(argc - 1, argv + 1);
  for (const auto& path : files) {
    std::ifstream stream(path, std::ios::binary);
    const std::string seed(std::istreambuf_iterator<char>(stream), {});
    if (!stream) {
      std::fprintf(stderr, "%s: cannot read\n", path.c_str());
      return 1;
    }
    run(seed);
    std::mt19937 random(1);
    const auto affordable = static_cast<int>(kBytesPerSeed / (seed.size() + 1)) + 1;
    const int mutations = std::min(kMutations, affordable);
    for (int i = 0; i < mutations; ++i) {
      std::string bytes = seed;
      for (int change = 0; change <= i % 4; ++change) mutate(bytes, random);
      run(bytes);
    }
    inputs += 1 + mutations;
  }
  std::printf("%zu seeds, %d inputs, no crash\n", files.size(), inputs);
  return files.empty() ? 1 : 0;
}
