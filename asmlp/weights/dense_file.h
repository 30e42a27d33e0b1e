// Detectors and segmentors as files: which network it is whose tensors they hold.
#pragma once

#include <optional>
#include <vector>

#include "asmlp/model/detector_config.h"
#include "asmlp/model/params.h"
#include "asmlp/model/segmentor_config.h"
#include "asmlp/weights/weight_file.h"

namespace asmlp {

// How to read a file of weights. One of our own says everything itself. The authors' (.pth) say
// nothing that counts: `spec` gives the architecture (left out, it must be one of the published
// ones, with any number of classes, which the tensors show), and `shift_size` the shift of these
// very weights, which neither they nor their published configs tell reliably.
template <typename Spec>
struct DenseLoadOptions {
  std::optional<Spec> spec;
  std::optional<ShiftSize> shift_size;
};

// The zoo's network whose tensors these are, with the number of classes that they show. By backbone
// and heads; whether every tensor fits, check_network finds out.
std::optional<DetectorSpec> recognized_detector(const TensorMap& tensors);
std::optional<SegmentorSpec> recognized_segmentor(const TensorMap& tensors);

// The spec of a file. Error(kInvalidArgument) when something must be said and is not;
// Error(kMismatch) when the file says another task or shift size than the caller, or is described
// and `spec` is given with another architecture.
DetectorSpec detector_of_file(const WeightFile& file,
                              const DenseLoadOptions<DetectorSpec>& options = {});
SegmentorSpec segmentor_of_file(const WeightFile& file,
                                const DenseLoadOptions<SegmentorSpec>& options = {});

// Error(kMismatch) unless `tensors`, which `what` names, are those of the network, with its batch
// norms or with all of them folded (fold_batch_norm.h), and, of int8 layers, with what goes with
// them (quantized.h). Of a segmentor, the auxiliary head may be missing; so may batch norms'
// counters of batches, which older versions of PyTorch do not save.
void check_network(const TensorMap& tensors, const DetectorConfig& config, const std::string& what);
void check_network(const TensorMap& tensors, const SegmentorConfig& config,
                   const std::string& what);

}  // namespace asmlp
