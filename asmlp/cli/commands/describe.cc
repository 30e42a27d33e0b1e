#include "asmlp/cli/commands/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "asmlp/report/table.h"
#include "asmlp/core/tensor.h"
#include "asmlp/model/description/model_name.h"
#include "asmlp/model/params.h"

namespace asmlp::cli {
namespace {

std::string shift_text(const ShiftSize& shift) {
  return shift.h == shift.w ? fmt::format("{}", shift.h)
                            : fmt::format("{} vertical, {} horizontal", shift.h, shift.w);
}

std::string shown_name(const ModelSpec& spec) {
  return model_name({Architecture{spec, AsMlpFamily{}}});
}

std::string classes_text(const ModelSpec& spec) {
  if (spec.config.num_classes == 0) return "none (a backbone)";
  if (spec.classes.empty()) return fmt::format("{} (no names)", spec.config.num_classes);
  std::string text = fmt::format("{}: {}", spec.classes.size(), fmt::join(spec.classes, ", "));
  return truncated(text, 160);
}

}  // namespace

std::string describe_model(const ModelSpec& spec, const std::filesystem::path& file) {
  const Config& config = spec.config;
  const Preprocessing& pre = spec.preprocessing;
  const int64_t parameters = parameter_count(config);
  const int64_t macs = multiply_adds(config, pre.size, pre.size);
  Table table({{}, {}});
  const auto row = [&](const std::string& key, const std::string& value) {
    table.add_row({key, value});
  };
  row("model", shown_name(spec));
  if (!file.empty()) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(file, error);
    row("file", file.string() + (error ? "" : " (" + format_bytes(double(bytes)) + ")"));
  }
  row("parameters", fmt::format("{} ({:.2f} M)", group_digits(parameters), parameters * 1e-6));
  row("multiply-adds", fmt::format("{} ({}) at {} x {}", group_digits(macs),
                                   macs >= 100'000'000 ? fmt::format("{:.2f} G", macs * 1e-9)
                                                       : fmt::format("{:.2f} M", macs * 1e-6),
                                   pre.size, pre.size));
  row("stages", fmt::format("embed_dim {}, depths [{}], mlp_ratio {:g}", config.embed_dim,
                            fmt::join(config.depths, ", "), config.mlp_ratio));
  row("patch", fmt::format("{0} x {0} pixels, {1} input channel{2}{3}", config.patch_size,
                           config.in_chans, config.in_chans == 1 ? "" : "s",
                           config.patch_norm ? "" : ", no norm after the embedding"));
  row("shift",
      fmt::format("size {}, dilation {}, padding {}, {}", shift_text(config.shift_size),
                  config.dilation, to_string(config.padding), to_string(config.connection)));
  row("preprocessing", fmt::format("{} px, crop_pct {:g}, {}, mean [{:g}], std [{:g}]", pre.size,
                                   pre.crop_pct, to_string(pre.interpolation),
                                   fmt::join(pre.mean, ", "), fmt::join(pre.std, ", ")));
  row("classes", classes_text(spec));
  for (const auto& [key, value] : spec.origin) row("origin." + key, value);
  return table.str();
}

Json model_to_json(const ModelSpec& spec, const std::filesystem::path& file) {
  Json json = Json::parse(to_json(spec));
  json["name"] = shown_name(spec);
  if (!file.empty()) json["file"] = file.string();
  json["parameters"] = parameter_count(spec.config);
  json["img_size"] = spec.preprocessing.size;
  json["multiply_adds"] =
      multiply_adds(spec.config, spec.preprocessing.size, spec.preprocessing.size);
  return json;
}

std::string parameter_text(const ModelSpec& spec) {
  Table table({{"parameter"}, {"shape"}, {"elements", Align::kRight}});
  for (const Param& param : parameter_table(spec.config)) {
    table.add_row({param.name, to_string(param.shape), group_digits(element_count(param.shape))});
  }
  table.add_row({"total", "", group_digits(parameter_count(spec.config))});
  return table.str();
}

}  // namespace asmlp::cli
