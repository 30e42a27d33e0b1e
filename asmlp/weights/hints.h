// What foreign files say about a model besides its shapes. Inside the weights layer only.
#pragma once

#include <map>
#include <set>
#include <string>

#include "asmlp/model/spec.h"

namespace asmlp {

struct Hints {
  ModelSpec spec;               // defaults where nothing was said
  std::set<std::string> given;  // config fields, "name" and "img_size" that were said
  std::string source;           // "its __metadata__", "its training config"
};

// From plain __metadata__ strings such as embed_dim = "16", depths = "[2, 1, 1, 1]",
// img_size = "(96, 64)"; other keys are ignored.
Hints hints_from_metadata(const std::map<std::string, std::string>& metadata,
                          const std::string& what);

// From the training configuration in a .pth file (PthFile::config_json): the authors' yacs tree
// (MODEL.NAME, MODEL.*.SHIFT_SIZE, MODEL.DROP_PATH_RATE, DATA.IMG_SIZE) or a flat set of options
// (model, shift_size, drop_path, img_size). Only what the shapes cannot tell is taken.
Hints hints_from_training_config(const std::string& config_json, const std::string& what);

}  // namespace asmlp
