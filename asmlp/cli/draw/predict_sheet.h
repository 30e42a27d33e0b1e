// The contact sheet of `predict`: what the network saw of each picture, and what it says.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/report/draw/tiles.h"

namespace asmlp::cli {

class PredictSheet {
 public:
  // The sheet has the first so many pictures: more would be a wall that nobody reads.
  static constexpr int kMost = 120;

  // `path` ends in .png, else Error(kInvalidArgument).
  explicit PredictSheet(std::filesystem::path path);

  struct Answer {
    std::string label;
    float probability = 0;
  };

  // `seen`: the picture as the network saw it. `answers`: the likeliest first, of which three are
  // shown; at least one.
  void add(const Image& seen, const std::filesystem::path& file, const std::vector<Answer>& answers,
           bool unsure);

  // Writes the PNG file, if there is anything to show. Returns what to tell the user: where it is
  // and how many pictures it leaves out, or that there is none.
  std::string write() const;

 private:
  std::filesystem::path path_;
  std::vector<Tile> tiles_;
  int left_out_ = 0;
};

}  // namespace asmlp::cli
