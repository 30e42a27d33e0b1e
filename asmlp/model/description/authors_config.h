// The authors' own config files (yacs): MODEL.TYPE, MODEL.AS_MLP.EMBED_DIM, DATA.IMG_SIZE, ...
// Inside this room only.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace asmlp {

// Whether the text is a config of that form: an object with MODEL.
bool is_authors_config(const nlohmann::json& json);

// The same as a description (description.h): of MODEL: NAME, NUM_CLASSES, DROP_PATH_RATE, and of
// the section with the sizes (AS_MLP, ASMLP, ... or MODEL itself): PATCH_SIZE, IN_CHANS, EMBED_DIM,
// DEPTHS, SHIFT_SIZE, MLP_RATIO, PATCH_NORM; of DATA: IMG_SIZE, INTERPOLATION; of TEST: CROP. What
// concerns training is passed over. Left out, a size is the authors' default, which is that of the
// published models (SHIFT_SIZE: 5, as all their files say). Error(kInvalidArgument) for a key that
// the form does not have, suggesting the nearest, and for another network.
nlohmann::json description_of_authors_config(const nlohmann::json& json, const std::string& what);

}  // namespace asmlp
