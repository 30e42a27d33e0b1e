// Names for models that have none.
#pragma once

#include <string>

#include "asmlp/model/description/description.h"

namespace asmlp {

// The name of the description. Without one, that of the zoo's model which is the same network up to
// classes and drop path (of several, the one for the same image size), else one made of its sizes:
//   asmlp_e24_d1-2-1_p4_s5             embed_dim, depths, patch_size, shift_size ("5x3": h x w)
//   asmlp_e64_d2-2-2-2_p4_global_mlp   with another token mixer
//   swin_e96_d2-2-6-2_p4_w7            (w: window_size), mlp_mixer_e512_d8_p16,
//   res_mlp_e384_d12_p16 mask_rcnn_asmlp_e24_..., cascade_asmlp_..., faster_rcnn_asmlp_...,
//   cascade_rcnn_asmlp_..., upernet_asmlp_...
// It never holds a dot, behind which a weight tag begins.
std::string model_name(const Description& description);

}  // namespace asmlp
