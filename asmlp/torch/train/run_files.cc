#include "asmlp/torch/train/run_files.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "asmlp/core/error.h"

namespace asmlp::train {

namespace fs = std::filesystem;

void RunFiles::prepare() const {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (fs::is_directory(folder_)) error.clear();  // by a link
  require(!error, ErrorCode::kIo, "{}: cannot create the folder: {}", folder_.string(),
          error.message());
  remove_leftovers();
}

namespace {

// Of a file of a run: "<file>.tmp.<host>.<process>.<number>" (core/atomic_file.h; 0.1 wrote no
// host), and what write() makes. The run's lock is held, so nobody is writing them.
bool is_leftover(const std::string& name, bool of_images) {
  const size_t at = name.rfind(".tmp.");
  if (at == std::string::npos) return name == "next.safetensors";
  const std::string file = name.substr(0, at), rest = name.substr(at + 5);
  const size_t last = rest.rfind('.');
  const size_t before = last == std::string::npos || last == 0 ? 0 : rest.rfind('.', last - 1) + 1;
  const bool numbers = last != std::string::npos && last > before && last + 1 < rest.size() &&
                       rest.find_first_not_of("0123456789.", before) == std::string::npos;
  if (!numbers && rest != "link") return false;
  if (of_images) return file.ends_with(".png");
  constexpr std::string_view kFiles[] = {
      "next.safetensors", "last.safetensors",  "previous.safetensors",
      "best.safetensors", "final.safetensors", "summary.csv",
      "steps.csv",        "args.yaml",         "run.json",
      "report.html",      "curves.svg",        ".lock"};
  return std::ranges::find(kFiles, file) != std::end(kFiles);
}

// Where a file is, behind links.
fs::path behind_links(const fs::path& path) {
  std::error_code error;
  const fs::path target = fs::is_symlink(path, error) ? fs::weakly_canonical(path, error) : path;
  return error ? path : target;
}

}  // namespace

void RunFiles::remove_leftovers() const {
  std::error_code ignored;
  for (const bool images : {false, true}) {
    const fs::path folder = images ? folder_ / "images" : folder_;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.is_regular_file(ignored) && is_leftover(entry.path().filename().string(), images)) {
        fs::remove(entry.path(), ignored);
      }
    }
  }
}

void RunFiles::write(const RunState& state, const TensorMap& tensors) const {
  const fs::path target = behind_links(last()), before = behind_links(previous());
  const fs::path next = target.parent_path() / "next.safetensors";
  write_state(next, state, tensors);
  // The old state gets its second name by a link, so that the first one never points nowhere. Where
  // the file system knows no links, it is renamed: for an instant there is no last.safetensors, but
  // both states.
  std::error_code error;
  if (const auto old = fs::status(target, error); fs::exists(old)) {
    fs::permissions(next, old.permissions(), error);
    fs::path link = before;
    link += ".tmp.link";
    fs::remove(link, error);
    fs::create_hard_link(target, link, error);
    if (error) {
      fs::rename(target, before, error);
    } else {
      fs::rename(link, before, error);
    }
    require(!error, ErrorCode::kIo, "{}: cannot replace: {}", before.string(), error.message());
  }
  error.clear();
  fs::rename(next, target, error);
  require(!error, ErrorCode::kIo, "{}: cannot replace: {}", target.string(), error.message());
}

void RunFiles::write_summary(const std::vector<EpochSummary>& history) const {
  asmlp::write_summary(folder_ / "summary.csv", history);
}

}  // namespace asmlp::train
