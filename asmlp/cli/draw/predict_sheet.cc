#include "asmlp/cli/draw/predict_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/image/encode.h"

namespace asmlp::cli {
namespace {

constexpr int kPanelSide = 160;
constexpr size_t kShownAnswers = 3;
constexpr Color kUnsureColor{176, 108, 0};

}  // namespace

PredictSheet::PredictSheet(std::filesystem::path path) : path_(std::move(path)) {
  require(path_.extension() == ".png", ErrorCode::kInvalidArgument,
          "--sheet {}: is written as PNG; its name must end in .png", path_.string());
}

void PredictSheet::add(const Image& seen, const std::filesystem::path& file,
                       const std::vector<Answer>& answers, bool unsure) {
  if (std::ssize(tiles_) == kMost) {
    ++left_out_;
    return;
  }
  Tile tile{.panels = {panel_of(seen, std::min(std::max(seen.width, seen.height), kPanelSide))}};
  bool first = true;
  for (const Answer& answer : std::span(answers).first(std::min(answers.size(), kShownAnswers))) {
    tile.lines.push_back({.text = answer.label,
                          .tail = fmt::format(" {:.1f} %", answer.probability * 100),
                          .color = first ? kLight.ink : kLight.muted,
                          .bold = first});
    first = false;
  }
  if (unsure) tile.lines.push_back({.text = "unsure", .color = kUnsureColor, .bold = true});
  tile.lines.push_back({.text = printable(file.filename().string()), .color = kLight.muted});
  tiles_.push_back(std::move(tile));
}

std::string PredictSheet::write() const {
  if (tiles_.empty()) return "no sheet: there is no picture to show";
  write_png(path_, draw_tiles(tiles_));
  const std::string where = "sheet " + printable(path_.string());
  if (left_out_ == 0) return where;
  return fmt::format("{} (the first {} pictures; {} more are left out)", where, kMost, left_out_);
}

}  // namespace asmlp::cli
