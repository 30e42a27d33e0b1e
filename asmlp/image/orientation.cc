#include "asmlp/image/orientation.h"

#include <algorithm>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

// How a pixel (y, x) of the upright picture is found in the stored one: sides swapped first, then
// rows and columns counted from the other end.
struct Turn {
  bool swap, flip_rows, flip_columns;
};

Turn turn_of(int orientation) {
  require(orientation >= 1 && orientation <= 8, ErrorCode::kInvalidArgument,
          "orientation {}; EXIF has 1 to 8", orientation);
  constexpr Turn kTurns[]{{false, false, false}, {false, false, true}, {false, true, true},
                          {false, true, false},  {true, false, false}, {true, true, false},
                          {true, true, true},    {true, false, true}};
  return kTurns[orientation - 1];
}

template <int kChannels>
void copy_turned(const Image& stored, const Turn& turn, Image& out) {
  // Both pictures are walked in small squares, so that neither misses the cache at every pixel.
  constexpr int kSquare = 32;
  for (int top = 0; top < out.height; top += kSquare) {
    for (int left = 0; left < out.width; left += kSquare) {
      const int bottom = std::min(top + kSquare, out.height);
      const int right = std::min(left + kSquare, out.width);
      for (int y = top; y < bottom; ++y) {
        uint8_t* to = out.row(y) + left * kChannels;
        for (int x = left; x < right; ++x, to += kChannels) {
          int row = turn.swap ? x : y, column = turn.swap ? y : x;
          if (turn.flip_rows) row = stored.height - 1 - row;
          if (turn.flip_columns) column = stored.width - 1 - column;
          std::copy_n(stored.row(row) + column * kChannels, kChannels, to);
        }
      }
    }
  }
}

}  // namespace

Image upright(Image stored, int orientation) {
  const Turn turn = turn_of(orientation);
  if (orientation == 1) return stored;
  Image out(turn.swap ? stored.width : stored.height, turn.swap ? stored.height : stored.width,
            stored.channels);
  if (stored.channels == 1) {
    copy_turned<1>(stored, turn, out);
  } else {
    copy_turned<3>(stored, turn, out);
  }
  return out;
}

Window stored_window(const Window& window, int orientation, int height, int width) {
  const Turn turn = turn_of(orientation);
  Window stored = window;
  if (turn.swap) stored = {window.left, window.top, window.width, window.height};
  if (turn.flip_rows) stored.top = height - stored.top - stored.height;
  if (turn.flip_columns) stored.left = width - stored.left - stored.width;
  return stored;
}

Box upright_box(const Box& box, int orientation, int height, int width) {
  const Turn turn = turn_of(orientation);
  Box result = box;
  if (turn.flip_rows) result.top = height - box.top - box.height;
  if (turn.flip_columns) result.left = width - box.left - box.width;
  if (turn.swap) result = {result.left, result.top, result.width, result.height};
  return result;
}

}  // namespace asmlp
