// From what the user typed to a list of image files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/core/error.h"

namespace asmlp::cli {

struct FoundImages {
  struct Missing {
    std::string argument;
    ErrorCode code;
    std::string message;
  };
  std::vector<std::filesystem::path> files;
  std::vector<Missing> missing;  // arguments that led to no image
};

// In the order of the arguments: a file as it is (whatever its extension), a folder as the images
// at any depth below it in path order, anything else as a glob (*, ?, [a-z], {a,b}, ~) whose
// matches are treated likewise, in name order.
FoundImages find_images(const std::vector<std::string>& arguments);

}  // namespace asmlp::cli
