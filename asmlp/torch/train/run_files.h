// The files of a run, and in which order they are replaced so that none is ever lost.
#pragma once

#include <filesystem>

#include "asmlp/torch/train/state.h"

namespace asmlp::train {

// The folder of one run. Nothing is created before prepare(): of several processes, only one
// writes.
class RunFiles {
 public:
  explicit RunFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path last() const { return folder_ / "last.safetensors"; }
  std::filesystem::path previous() const { return folder_ / "previous.safetensors"; }

  // Creates the folder and removes leftovers: no other run may write there
  // (core/files/file_lock.h). Error(kIo) naming it.
  void prepare() const;

  // What a kill in the middle of a write has left behind, of all files of a run.
  void remove_leftovers() const;

  // The new state becomes last.safetensors once it is whole and flushed; the one before it becomes
  // previous.safetensors. At every moment last.safetensors is one of the two.
  // Links are followed; the new file has the old one's permissions. When a write fails (a full
  // disk), both states stay as they were.
  void write(const RunState& state, const TensorMap& tensors) const;

  void write_summary(const std::vector<EpochSummary>& history) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace asmlp::train
