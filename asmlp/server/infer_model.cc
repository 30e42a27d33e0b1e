#include "asmlp/server/infer_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "asmlp/core/error.h"
#include "asmlp/engine/heads/detector.h"
#include "asmlp/metrics/topk.h"

namespace asmlp::server {
namespace {

struct TensorInfo {
  const char* name;
  const char* datatype;
  std::vector<int64_t> shape;
};

std::vector<TensorInfo> inputs_of(const ServedModel& model) {
  std::vector<TensorInfo> inputs{{"image", "BYTES", {-1}}};
  if (model.task() == Task::kClassify) {
    inputs.push_back({"input", "FP32", {-1, model.model().info().in_channels, -1, -1}});
  }
  return inputs;
}

std::vector<TensorInfo> outputs_of(const ServedModel& model) {
  const int64_t classes = model.model().info().num_classes;
  switch (model.task()) {
    case Task::kClassify:
      return {{"logits", "FP32", {-1, classes}}, {"probabilities", "FP32", {-1, classes}}};
    case Task::kSegment:
      return {{"label_map", "BYTES", {-1}}, {"pixels", "INT64", {-1, classes}}};
    case Task::kDetect:
      break;
  }
  std::vector<TensorInfo> outputs{{"num_detections", "INT32", {-1}},
                                  {"boxes", "FP32", {-1, 4}},
                                  {"scores", "FP32", {-1}},
                                  {"labels", "INT32", {-1}}};
  if (has_masks(model.model().detector()->config().kind))
    outputs.push_back({"masks", "BYTES", {-1}});
  return outputs;
}

Json list_of(const std::vector<TensorInfo>& tensors) {
  Json list = Json::array();
  for (const TensorInfo& tensor : tensors) {
    list.push_back({{"name", tensor.name}, {"datatype", tensor.datatype}, {"shape", tensor.shape}});
  }
  return list;
}

Results run_inputs(ServedModel& model, InferRequest& request, Clock::time_point deadline) {
  require(request.inputs.size() == 1, ErrorCode::kInvalidArgument,
          "{} inputs; give one of those in the metadata of {}", request.inputs.size(),
          model.name());
  InputTensor& input = request.inputs.front();
  if (input.name == "image" && input.datatype == "BYTES") {
    require(!input.bytes.empty(), ErrorCode::kInvalidArgument, "input image holds no picture");
    std::vector<Picture> pictures;
    for (std::string& bytes : input.bytes) {
      const auto owner = std::make_shared<const std::string>(std::move(bytes));
      pictures.push_back({owner, *owner});
    }
    return model.run(pictures, deadline);
  }
  require(input.name == "input" && input.datatype == "FP32" && model.task() == Task::kClassify,
          ErrorCode::kInvalidArgument, "{} has no input {} of {}; see its metadata", model.name(),
          input.name, input.datatype);
  const std::vector<int64_t>& shape = input.shape;
  require(shape.size() == 4 && !input.floats.empty(), ErrorCode::kInvalidArgument,
          "input: the shape is [{}]; must be [images, channels, height, width], none of them 0",
          fmt::join(shape, ", "));
  for (const int64_t side : shape) {
    require(side <= 16384, ErrorCode::kTooLarge, "input: the shape is [{}]; sides go up to 16384",
            fmt::join(shape, ", "));
  }
  return model.run(
      TensorView{input.floats.data(), static_cast<int>(shape[0]), static_cast<int>(shape[1]),
                 static_cast<int>(shape[2]), static_cast<int>(shape[3])},
      deadline);
}

OutputTensor classifier_output(const ServedModel& model, const Results& done,
                               const WantedOutput& wanted) {
  const auto images = static_cast<int64_t>(done.images.size());
  const std::vector<std::string>& names = model.model().info().classes;
  std::vector<float> values;
  std::vector<std::string> classes;
  for (const Work& image : done.images) {
    const std::vector<float> row = wanted.name == "logits" ? image.logits : softmax(image.logits);
    if (wanted.classification == 0) {
      values.insert(values.end(), row.begin(), row.end());
      continue;
    }
    for (const int index : top_k(row, wanted.classification)) {
      const auto at = static_cast<size_t>(index);
      classes.push_back(fmt::format("{}:{}:{}", row[at], index, names[at]));
    }
  }
  if (wanted.classification == 0) {
    const auto count = static_cast<int64_t>(names.size());
    return {wanted.name, {images, count}, std::move(values)};
  }
  const auto count = static_cast<int64_t>(classes.size()) / images;
  return {wanted.name, {images, count}, std::move(classes)};
}

OutputTensor detector_output(const Results& done, const WantedOutput& wanted) {
  std::vector<int32_t> counts, labels;
  std::vector<float> boxes, scores;
  std::vector<std::string> masks;
  for (const Work& image : done.images) {
    counts.push_back(static_cast<int32_t>(image.detections.size()));
    for (const Detection& d : image.detections) {
      boxes.insert(boxes.end(), {d.x1, d.y1, d.x2, d.y2});
      scores.push_back(d.score);
      labels.push_back(d.label);
      if (wanted.name == "masks") masks.push_back(mask_text(d.mask));
    }
  }
  const auto found = static_cast<int64_t>(scores.size());
  if (wanted.name == "num_detections") {
    return {wanted.name, {static_cast<int64_t>(counts.size())}, std::move(counts)};
  }
  if (wanted.name == "boxes") return {wanted.name, {found, 4}, std::move(boxes)};
  if (wanted.name == "scores") return {wanted.name, {found}, std::move(scores)};
  if (wanted.name == "labels") return {wanted.name, {found}, std::move(labels)};
  return {wanted.name, {found}, std::move(masks)};
}

OutputTensor segmentor_output(const ServedModel& model, const Results& done,
                              const WantedOutput& wanted) {
  const auto images = static_cast<int64_t>(done.images.size());
  if (wanted.name == "label_map") {
    std::vector<std::string> maps;
    for (const Work& image : done.images) maps.push_back(label_png(model.model(), image));
    OutputTensor output{wanted.name, {images}, std::move(maps)};
    output.text = false;
    return output;
  }
  const auto classes = static_cast<size_t>(model.model().info().num_classes);
  std::vector<int64_t> pixels(done.images.size() * classes);
  for (size_t i = 0; i < done.images.size(); ++i) {
    for (const uint8_t label : done.images[i].labels) ++pixels.at(i * classes + label);
  }
  return {wanted.name, {images, static_cast<int64_t>(classes)}, std::move(pixels)};
}

}  // namespace

Json model_metadata(const ServedModel& model) {
  return {{"name", model.name()},
          {"versions", {kModelVersion}},
          {"platform", fmt::format("asmlp_{}", to_string(model.task()))},
          {"inputs", list_of(inputs_of(model))},
          {"outputs", list_of(outputs_of(model))}};
}

std::vector<OutputTensor> infer(ServedModel& model, InferRequest request,
                                Clock::time_point deadline, Results& done) {
  const std::vector<TensorInfo> known = outputs_of(model);
  if (request.outputs.empty()) {
    for (const TensorInfo& output : known) {
      request.outputs.push_back({output.name, request.binary, 0});
    }
  }
  for (const WantedOutput& wanted : request.outputs) {
    require(std::ranges::any_of(known, [&](const auto& k) { return k.name == wanted.name; }),
            ErrorCode::kInvalidArgument, "{} has no output {}; see its metadata", model.name(),
            wanted.name);
    require(wanted.classification == 0 || model.task() == Task::kClassify,
            ErrorCode::kInvalidArgument, "output {}: \"classification\" is for classifiers",
            wanted.name);
  }
  done = run_inputs(model, request, deadline);
  done.check();
  std::vector<OutputTensor> outputs;
  for (const WantedOutput& wanted : request.outputs) {
    outputs.push_back(model.task() == Task::kClassify ? classifier_output(model, done, wanted)
                      : model.task() == Task::kDetect ? detector_output(done, wanted)
                                                      : segmentor_output(model, done, wanted));
    outputs.back().binary = wanted.binary;
  }
  return outputs;
}

}  // namespace asmlp::server
