#include "asmlp/model/description/authors_config.h"

#include <algorithm>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/schema/nearest.h"
#include "asmlp/schema/text.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

const std::vector<std::string> kTop{"BASE",
                                    "MODEL",
                                    "DATA",
                                    "TRAIN",
                                    "AUG",
                                    "TEST",
                                    "OUTPUT",
                                    "TAG",
                                    "SAVE_FREQ",
                                    "PRINT_FREQ",
                                    "SEED",
                                    "EVAL_MODE",
                                    "LOCAL_RANK",
                                    "AMP_OPT_LEVEL",
                                    "AMP_ENABLE",
                                    "THROUGHPUT_MODE",
                                    "ENABLE_AMP",
                                    "FUSED_WINDOW_PROCESS",
                                    "FUSED_LAYERNORM"};
const std::vector<std::string> kModel{"TYPE",           "NAME",           "PRETRAINED",
                                      "RESUME",         "NUM_CLASSES",    "DROP_RATE",
                                      "DROP_PATH_RATE", "LABEL_SMOOTHING"};
const std::vector<std::string> kSizes{
    "PATCH_SIZE", "IN_CHANS", "EMBED_DIM", "DEPTHS",   "SHIFT_SIZE", "MLP_RATIO",   "PATCH_NORM",
    "AS_BIAS",    "APE",      "QKV_BIAS",  "QK_SCALE", "NUM_HEADS",  "WINDOW_SIZE", "DROP_RATE"};
const std::vector<std::string> kData{"BATCH_SIZE",    "DATA_PATH",       "DATASET",    "IMG_SIZE",
                                     "INTERPOLATION", "ZIP_MODE",        "CACHE_MODE", "PIN_MEMORY",
                                     "NUM_WORKERS",   "MASK_PATCH_SIZE", "MASK_RATIO"};

void check_known(const Json& json, const std::vector<std::string>& known, const std::string& what) {
  for (const auto& [key, value] : json.items()) {
    require(std::ranges::find(known, key) != known.end(), ErrorCode::kInvalidArgument,
            "{}: unknown key '{}'{}", what, excerpt(key), did_you_mean(excerpt(key), known));
  }
}

// "AS-MLP", "as_mlp" and "asmlp" are the same word.
std::string letters(const std::string& text) {
  std::string out;
  for (const unsigned char c : text) {
    if (c < 0x80 && std::isalnum(c)) out += static_cast<char>(std::tolower(c));
  }
  return out;
}

void copy(const Json& from, const char* key, Json& to, const char* field) {
  if (from.contains(key) && !from[key].is_null()) to[field] = from[key];
}

}  // namespace

bool is_authors_config(const Json& json) {
  return json.is_object() && json.contains("MODEL") && json["MODEL"].is_object();
}

Json description_of_authors_config(const Json& json, const std::string& what) {
  check_known(json, kTop, what);
  const Json& model = json["MODEL"];
  Json sizes = Json::object();
  std::vector<std::string> known = kModel;
  known.insert(known.end(), kSizes.begin(), kSizes.end());
  std::string section;
  for (const auto& [key, value] : model.items()) {
    if (!value.is_object()) continue;
    require(section.empty(), ErrorCode::kInvalidArgument,
            "{}: MODEL has two sections, '{}' and '{}'; keep that of the model", what,
            excerpt(section), excerpt(key));
    require(letters(key) == "asmlp", ErrorCode::kUnsupported,
            "{}: MODEL.{} describes another network; an AS-MLP's section is AS_MLP", what,
            excerpt(key));
    section = key;
    check_known(value, kSizes, what + ": MODEL." + key);
    sizes = value;
    known.push_back(key);
  }
  check_known(model, known, what + ": MODEL");
  if (model.contains("TYPE") && model["TYPE"].is_string()) {
    const std::string type = model["TYPE"].get<std::string>();
    require(letters(type) == "asmlp", ErrorCode::kUnsupported,
            "{}: MODEL.TYPE is '{}'; an AS-MLP's is asmlp", what, excerpt(type));
  }
  Json config = Json::object();
  for (const Json* part : {&model, static_cast<const Json*>(&sizes)}) {
    copy(*part, "PATCH_SIZE", config, "patch_size");
    copy(*part, "IN_CHANS", config, "in_chans");
    copy(*part, "EMBED_DIM", config, "embed_dim");
    copy(*part, "DEPTHS", config, "depths");
    copy(*part, "SHIFT_SIZE", config, "shift_size");
    copy(*part, "MLP_RATIO", config, "mlp_ratio");
    copy(*part, "PATCH_NORM", config, "patch_norm");
  }
  copy(model, "NUM_CLASSES", config, "num_classes");
  copy(model, "DROP_PATH_RATE", config, "drop_path");

  Json preprocessing = Json::object();
  if (json.contains("DATA") && json["DATA"].is_object()) {
    const Json& data = json["DATA"];
    check_known(data, kData, what + ": DATA");
    copy(data, "IMG_SIZE", preprocessing, "size");
    copy(data, "INTERPOLATION", preprocessing, "interpolation");
  }
  if (json.contains("TEST") && json["TEST"].is_object()) {
    const Json& test = json["TEST"];
    check_known(test, {"CROP", "SEQUENTIAL", "SHUFFLE"}, what + ": TEST");
    // Without the crop, the picture is resized to the network's input.
    if (test.contains("CROP") && test["CROP"] == false) preprocessing["crop_pct"] = 1.0;
  }
  Json out{{"config", std::move(config)}, {"preprocessing", std::move(preprocessing)}};
  copy(model, "NAME", out, "name");
  return out;
}

}  // namespace asmlp
