#include "asmlp/report/canvas.h"

#include <cairo.h>

#include <numbers>

#include "asmlp/core/error.h"
#include "asmlp/image/encode.h"
#include "asmlp/report/table.h"

namespace asmlp {
namespace {

struct DestroySurface {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
struct DestroyContext {
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};
using Surface = std::unique_ptr<cairo_surface_t, DestroySurface>;
using Context = std::unique_ptr<cairo_t, DestroyContext>;

Surface make_surface(int width, int height) {
  Surface surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height));
  const cairo_status_t status = cairo_surface_status(surface.get());
  require(status == CAIRO_STATUS_SUCCESS, ErrorCode::kTooLarge,
          "cannot make a picture of {} x {} pixels: {}", width, height,
          cairo_status_to_string(status));
  return surface;
}

void set_color(cairo_t* context, Color color) {
  cairo_set_source_rgb(context, color.r / 255.0, color.g / 255.0, color.b / 255.0);
}

void set_font(cairo_t* context, const Canvas::TextStyle& style) {
  cairo_select_font_face(context, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                         style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(context, style.size);
}

double advance(cairo_t* context, const std::string& text) {
  cairo_text_extents_t extents;
  cairo_text_extents(context, text.c_str(), &extents);
  return extents.x_advance;
}

// Cairo refuses text that is not UTF-8 (a file's name may be anything): such bytes become '?'.
std::string valid_utf8(const std::string& text) {
  std::string valid;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xC2 && lead < 0xE0 ? 2
                          : lead >= 0xE0 && lead < 0xF0 ? 3
                          : lead >= 0xF0 && lead < 0xF5 ? 4
                                                        : 0;
    bool complete = length > 0 && i + length <= text.size();
    for (size_t k = 1; complete && k < length; ++k) {
      complete = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
    }
    // Overlong forms, surrogates and code points above U+10FFFF.
    const auto second = complete && length > 1 ? static_cast<unsigned char>(text[i + 1]) : 0x80;
    complete = complete && !(lead == 0xE0 && second < 0xA0) && !(lead == 0xED && second >= 0xA0) &&
               !(lead == 0xF0 && second < 0x90) && !(lead == 0xF4 && second >= 0x90);
    valid += complete ? text.substr(i, length) : "?";
    i += complete ? length : 1;
  }
  return valid;
}

}  // namespace

struct Canvas::State {
  Surface surface;
  Context context;
};

Canvas::Canvas(int width, int height, Color background) : state_(std::make_unique<State>()) {
  require(width >= 1 && height >= 1, ErrorCode::kInvalidArgument,
          "cannot make a picture of {} x {} pixels", width, height);
  state_->surface = make_surface(width, height);
  state_->context.reset(cairo_create(state_->surface.get()));
  fill(0, 0, width, height, background);
}

Canvas::~Canvas() = default;
Canvas::Canvas(Canvas&&) noexcept = default;
Canvas& Canvas::operator=(Canvas&&) noexcept = default;

void Canvas::fill(double x, double y, double width, double height, Color color) {
  cairo_t* context = state_->context.get();
  set_color(context, color);
  cairo_rectangle(context, x, y, width, height);
  cairo_fill(context);
}

void Canvas::frame(double x, double y, double width, double height, double line, Color color) {
  cairo_t* context = state_->context.get();
  set_color(context, color);
  cairo_set_line_width(context, line);
  cairo_rectangle(context, x + line / 2, y + line / 2, width - line, height - line);
  cairo_stroke(context);
}

void Canvas::polyline(std::span<const std::pair<double, double>> points, double line, Color color) {
  cairo_t* context = state_->context.get();
  set_color(context, color);
  cairo_set_line_width(context, line);
  cairo_set_line_join(context, CAIRO_LINE_JOIN_ROUND);
  cairo_new_path(context);
  for (const auto& [x, y] : points) cairo_line_to(context, x, y);
  cairo_stroke(context);
  cairo_set_line_join(context, CAIRO_LINE_JOIN_MITER);  // of frames
}

double Canvas::text_width(const std::string& text, const TextStyle& style) const {
  set_font(state_->context.get(), style);
  return advance(state_->context.get(), valid_utf8(text));
}

void Canvas::text(double x, double y, const std::string& text, const TextStyle& style) {
  cairo_t* context = state_->context.get();
  set_font(context, style);
  const std::string whole = valid_utf8(text);
  std::string shown = whole;
  if (style.max_width > 0) {
    for (int columns = display_width(whole) - 1;
         columns > 0 && advance(context, shown) > style.max_width; --columns) {
      shown = truncated(whole, columns);
    }
  }
  const double width = advance(context, shown);
  const double shift = style.anchor == Anchor::kLeft     ? 0
                       : style.anchor == Anchor::kCenter ? -width / 2
                                                         : -width;
  set_color(context, style.color);
  cairo_save(context);
  cairo_translate(context, x, y);
  cairo_rotate(context, -style.angle * std::numbers::pi / 180);
  cairo_move_to(context, shift, 0);
  cairo_show_text(context, shown.c_str());
  cairo_restore(context);
}

void Canvas::image(const Image& image, double x, double y, double width, double height,
                   Scaling scaling) {
  if (image.width < 1 || image.height < 1) return;
  Surface source = make_surface(image.width, image.height);
  unsigned char* const pixels = cairo_image_surface_get_data(source.get());
  const int stride = cairo_image_surface_get_stride(source.get());
  cairo_surface_flush(source.get());
  for (int row = 0; row < image.height; ++row) {
    const uint8_t* from = image.row(row);
    auto* to = reinterpret_cast<uint32_t*>(pixels + static_cast<ptrdiff_t>(row) * stride);
    for (int column = 0; column < image.width; ++column, from += image.channels) {
      const bool gray = image.channels == 1;
      to[column] = uint32_t{from[0]} << 16 | uint32_t{from[gray ? 0 : 1]} << 8 | from[gray ? 0 : 2];
    }
  }
  cairo_surface_mark_dirty(source.get());
  cairo_t* context = state_->context.get();
  cairo_save(context);
  cairo_rectangle(context, x, y, width, height);
  cairo_clip(context);
  cairo_translate(context, x, y);
  cairo_scale(context, width / image.width, height / image.height);
  cairo_set_source_surface(context, source.get(), 0, 0);
  cairo_pattern_t* pattern = cairo_get_source(context);
  cairo_pattern_set_extend(pattern, CAIRO_EXTEND_PAD);
  cairo_pattern_set_filter(pattern,
                           scaling == Scaling::kNearest ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_BEST);
  cairo_paint(context);
  cairo_restore(context);
}

Image Canvas::pixels() const {
  cairo_surface_t* surface = state_->surface.get();
  cairo_surface_flush(surface);
  Image image(cairo_image_surface_get_height(surface), cairo_image_surface_get_width(surface), 3);
  const unsigned char* data = cairo_image_surface_get_data(surface);
  const ptrdiff_t stride = cairo_image_surface_get_stride(surface);
  for (int row = 0; row < image.height; ++row) {
    const auto* from = reinterpret_cast<const uint32_t*>(data + row * stride);
    uint8_t* to = image.row(row);
    for (int column = 0; column < image.width; ++column, to += 3) {
      to[0] = static_cast<uint8_t>(from[column] >> 16);
      to[1] = static_cast<uint8_t>(from[column] >> 8);
      to[2] = static_cast<uint8_t>(from[column]);
    }
  }
  return image;
}

void Canvas::save(const std::filesystem::path& path) const { write_png(path, pixels()); }

}  // namespace asmlp
