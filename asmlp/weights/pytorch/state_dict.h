// Where in a checkpoint the model's tensors are. Inside the weights layer only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "asmlp/weights/pytorch/pickle.h"

namespace asmlp {

struct StateDict {
  struct Entry {
    std::string name;
    PickleRef tensor = 0;  // a kTensor
  };
  std::vector<Entry> entries;
  std::vector<std::string> notes;  // one sentence for every choice that was made
  // Of a whole pickled model: the shift_size that its layers hold as an attribute.
  std::optional<int64_t> shift_size;
};

// Looks for the model under the names that training programs use, averaged weights (EMA) first:
// state_dict_ema, model_ema, ema_state_dict, ema_model, params_ema, ema, shadow; then state_dict,
// model_state_dict, model, net, network, params, module, weights; else the outermost dict; else the
// one dict under any key whose tensors are an AS-MLP's. These may be inside one another. A whole
// pickled torch.nn.Module is read by its _parameters, _buffers, and _modules, a TorchScript archive
// (`script`) by its attributes: no code is needed for either. Errors: kBadFormat when there is
// none, listing the keys there are; kUnsupported for a weight that is stored as something else than
// a plain tensor, naming it.
StateDict find_state_dict(const Pickle& pickle, bool script, const std::string& what);

}  // namespace asmlp
