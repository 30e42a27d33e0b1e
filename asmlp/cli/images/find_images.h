// From what the user typed to a list of image files, and their pixels.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"

namespace asmlp::cli {

struct FoundImages {
  struct Missing {
    std::string argument;
    ErrorCode code;
    std::string message;
  };
  std::vector<std::filesystem::path> files;
  std::vector<Missing> missing;    // arguments that led to no image
  std::vector<std::string> notes;  // what folders hold beside images, a sentence for each folder
};

// In the order of the arguments: "-" is standard input (once), "@FILE" stands for the files and
// folders that FILE names, one a line, relative to the current folder; a file is taken as it is
// (whatever its extension), a folder as the images at any depth below it in path order, anything
// else as a glob (*, ?, [a-z], {a,b}, ~) whose matches are treated likewise, in name order.
FoundImages find_images(const std::vector<std::string>& arguments);

// decode_image of what find_images found; "-" is read from standard input.
Image load_image(const std::filesystem::path& file, const DecodeOptions& options);

// What a file is called in results and output names: "stdin" for "-".
std::filesystem::path shown_name(const std::filesystem::path& file);

// The help of the positional argument of predict, detect and segment.
inline constexpr const char* kImagesHelp =
    "image files (JPEG, PNG, WebP, BMP, PPM, TIFF), folders, globs, - (standard input), @LIST (a "
    "file that names one a line)";

}  // namespace asmlp::cli
