#include "asmlp/cli/options/image_options.h"

#include <fmt/format.h>

#include "asmlp/core/files/inside_path.h"
#include "asmlp/model/exif.h"

namespace asmlp::cli {

Exif ImageOptions::exif_or(Exif otherwise) const {
  for (const auto& [value, name] : names_of(otherwise)) {
    if (exif == name) return value;
  }
  return otherwise;
}

DecodeOptions ImageOptions::decoding(Exif otherwise, PixelStyle style) const {
  DecodeOptions options;
  options.exif = exif_or(otherwise);
  options.style = style;
  return max_pixels ? with_max_pixels(options, *max_pixels) : options;
}

void add_image_options(CLI::App& app, ImageOptions& options, const std::string& exif_default) {
  app.add_option("--exif", options.exif,
                 fmt::format("EXIF orientation: apply (turn pictures upright) or ignore (take the "
                             "stored pixels); default: {}",
                             exif_default))
      ->check(CLI::IsMember({"apply", "ignore"}))
      ->type_name("NAME")
      ->group("Pictures");
  app.add_option("--max-pixels", options.max_pixels,
                 "refuse larger pictures, which may be decompression bombs (default 89478485)")
      ->check(CLI::Range(int64_t{1}, int64_t{10'000'000'000}))
      ->type_name("N")
      ->group("Pictures");
}

void add_outside_option(CLI::App& app, const std::string& group) {
  app.add_flag_callback(
         "--allow-outside", allow_outside_paths,
         "read pictures outside of the data's folder where its annotations name them "
         "(../x.jpg, /x.jpg)")
      ->group(group);
}

}  // namespace asmlp::cli
