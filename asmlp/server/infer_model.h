// A model in the words of the Open Inference Protocol: which tensors go in and come out.
#pragma once

#include <string>
#include <vector>

#include "asmlp/server/protocol/infer.h"
#include "asmlp/server/results_json.h"
#include "asmlp/server/served_model.h"

namespace asmlp::server {

// {"name", "versions", "platform", "inputs", "outputs"}. A request gives one of the inputs:
//   image  BYTES [-1]               encoded pictures
//   input  FP32  [-1, C, -1, -1]    of classifiers: normalized pixels
// and takes any of the outputs:
//   classifier  logits, probabilities  FP32 [-1, classes]
//   detector    num_detections INT32 [-1] per picture; of all detections one after the other boxes
//               FP32 [-1, 4] (x1, y1, x2, y2), scores FP32 [-1], labels INT32 [-1], masks BYTES
//               [-1] (COCO's compressed run lengths)
//   segmentor   label_map BYTES [-1] (PNG), pixels INT64 [-1, classes]
Json model_metadata(const ServedModel& model);

// Runs the request. `done` receives what the outputs are made of. Errors: those of
// ServedModel::run, kInvalidArgument for inputs and outputs that the model does not have or shapes
// that do not fit.
std::vector<OutputTensor> infer(ServedModel& model, InferRequest request,
                                Clock::time_point deadline, Results& done);

}  // namespace asmlp::server
