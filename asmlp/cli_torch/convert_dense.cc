// asmlp convert of detectors and segmentors: mmdetection's and mmsegmentation's files to
// safetensors files that describe themselves.
#include <fmt/ranges.h>

#include "asmlp/cli/commands/convert.h"
#include "asmlp/report/table.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/cli_torch/dense_model.h"
#include "asmlp/torch/detect/model/detector_file.h"
#include "asmlp/torch/segment/segmentor_file.h"

namespace asmlp::cli {
namespace {

// The architecture that the user gives, if any.
const std::string& architecture(const ConvertOptions& options) {
  require(options.model.empty() || options.config.empty(), ErrorCode::kInvalidArgument,
          "--model and --config both give an architecture; give one of them");
  return options.config.empty() ? options.model : options.config;
}

template <typename Spec>
std::string describe(const Spec& spec, int64_t parameters, const std::string& file) {
  const Config& backbone = spec.config.backbone;
  Table table({{}, {}});
  table.add_row({"model", spec.name});
  table.add_row({"file", file});
  table.add_row({"parameters", fmt::format("{} ({:.2f} M)", group_digits(parameters),
                                           double(parameters) * 1e-6)});
  table.add_row({"backbone", fmt::format("embed_dim {}, depths [{}], shift size {}",
                                         backbone.embed_dim, fmt::join(backbone.depths, ", "),
                                         to_string(backbone.shift_size))});
  table.add_row({"classes", fmt::format("{}{}", spec.config.num_classes,
                                        spec.classes.empty() ? " (no names)" : "")});
  return table.str();
}

template <typename File>
Converted convert_with(const ConvertOptions& options, File file,
                       void (*save)(const std::filesystem::path&, const decltype(file.spec)&,
                                    const typename decltype(file.net)::ContainedType&)) {
  Converted made;
  auto& spec = file.spec;
  // Of a file that does not describe itself loading says where it is from.
  const auto source = spec.origin.find("source");
  const bool recognized = options.model.empty() && options.config.empty() &&
                          source != spec.origin.end() &&
                          source->second == std::filesystem::path(options.in).filename();
  if (recognized) {
    made.notes.push_back(fmt::format(
        "{} by its tensors; --model or --config gives another architecture", spec.name));
  }
  if (!options.name.empty()) spec.name = options.name;
  name_classes(spec, options.class_map, options.in);
  save(options.out, spec, *file.net);
  const int64_t parameters = nn::parameter_count(*file.net);
  made.text = describe(spec, parameters, options.out);
  made.json = Json::parse(to_json(spec));
  made.json["file"] = options.out;
  made.json["parameters"] = parameters;
  return made;
}

Converted convert_detector(const ConvertOptions& options) {
  return convert_with(options,
                      detect::load_detector(
                          options.in, dense_load_options(architecture(options), options.shift_size,
                                                         resolve_detector)),
                      detect::save_detector);
}

Converted convert_segmentor(const ConvertOptions& options) {
  return convert_with(options,
                      segment::load_segmentor(
                          options.in, dense_load_options(architecture(options), options.shift_size,
                                                         resolve_segmentor)),
                      segment::save_segmentor);
}

}  // namespace

Command add_convert_detector(CLI::App& program) {
  return add_convert_by(program, convert_detector);
}

Command add_convert_segmentor(CLI::App& program) {
  return add_convert_by(program, convert_segmentor);
}

}  // namespace asmlp::cli
