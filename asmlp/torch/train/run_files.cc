#include "asmlp/torch/train/run_files.h"

#include "asmlp/core/error.h"

namespace asmlp::train {

namespace fs = std::filesystem;

void RunFiles::prepare() const {
  std::error_code error;
  fs::create_directories(folder_, error);
  require(!error, ErrorCode::kIo, "{}: cannot create the folder: {}", folder_.string(),
          error.message());
}

void RunFiles::remove_leftovers() const {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    const std::string name = entry.path().filename().string();
    for (const char* mine : {"next", "last", "previous", "best", "final"}) {
      const std::string file = std::string(mine) + ".safetensors";
      if (name.starts_with(file + ".tmp.") || name == "next.safetensors") {
        fs::remove(entry.path(), ignored);
      }
    }
  }
}

void RunFiles::write(const RunState& state, const TensorMap& tensors) const {
  const fs::path next = folder_ / "next.safetensors";
  write_state(next, state, tensors);
  // The old state gets its second name by a link, so that the first one never points nowhere. Where
  // the file system knows no links, it is renamed: for an instant there is no last.safetensors, but
  // both states.
  if (std::error_code error; fs::exists(last(), error)) {
    fs::path link = previous();
    link += ".tmp.link";
    fs::remove(link, error);
    fs::create_hard_link(last(), link, error);
    error ? fs::rename(last(), previous(), error) : fs::rename(link, previous(), error);
    require(!error, ErrorCode::kIo, "{}: cannot replace: {}", previous().string(), error.message());
  }
  std::error_code error;
  fs::rename(next, last(), error);
  require(!error, ErrorCode::kIo, "{}: cannot replace: {}", last().string(), error.message());
}

void RunFiles::write_summary(const std::vector<EpochSummary>& history) const {
  asmlp::write_summary(folder_ / "summary.csv", history);
}

}  // namespace asmlp::train
