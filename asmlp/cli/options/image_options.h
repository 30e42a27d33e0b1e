// How the commands read pictures: --exif and --max-pixels.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "asmlp/image/decode.h"

namespace asmlp::cli {

struct ImageOptions {
  std::string exif;  // "apply", "ignore", or "" (the command's default)
  std::optional<int64_t> max_pixels;

  // What --exif says, else `otherwise`.
  Exif exif_or(Exif otherwise) const;
  DecodeOptions decoding(Exif otherwise, PixelStyle style = PixelStyle::kPillow) const;
};

// `exif_default` completes the help: "default: ...".
void add_image_options(CLI::App& app, ImageOptions& options, const std::string& exif_default);

// --allow-outside: allow_outside_paths (core/files/inside_path.h), for the commands that read
// annotations with names of files.
void add_outside_option(CLI::App& app, const std::string& group);

}  // namespace asmlp::cli
