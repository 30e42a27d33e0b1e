#include "asmlp/cli/draw/fonts_ahead.h"

#include <system_error>

#include "asmlp/report/canvas.h"
#include "asmlp/report/palette.h"

namespace asmlp::cli {
namespace {

void load_fonts() {
  const Canvas canvas(8, 8, kLight.ink);
  for (const bool bold : {false, true}) {
    canvas.text_width("0", {.size = 13, .color = kLight.ink, .bold = bold});
  }
}

}  // namespace

FontsAhead::FontsAhead(bool wanted) {
  if (!wanted) return;
  try {
    loading_ = std::async(std::launch::async, load_fonts);
  } catch (const std::system_error&) {
    // No thread: they are loaded when they are needed.
  }
}

void FontsAhead::wait() {
  if (loading_.valid()) loading_.get();
}

}  // namespace asmlp::cli
