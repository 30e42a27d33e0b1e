#include "asmlp/cli/commands/quantize.h"
#include "asmlp/core/error.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {

Json quantize_json(const QuantizeCommand& options, const std::string& model,
                   const std::filesystem::path& file, const Quantized& result) {
  const QuantizationInfo& info = result.info;
  Json json = {{"model", model},
               {"file", file.string()},
               {"output", options.out},
               {"data", options.data},
               {"images", info.images},
               {"held_out", info.held_out},
               {"method", info.method},
               {"equalized", info.equalized},
               {"int8_layers", result.layers},
               {"fp32_layers", Json::array()},
               {"max_error", options.quantize.max_error},
               {"error_of_all", result.all.error},
               {"error", result.final.error},
               {"agreement", result.final.agreement},
               {"input_bytes", std::filesystem::file_size(file)},
               {"output_bytes", std::filesystem::file_size(options.out)}};
  for (const Fp32Layer& layer : result.fp32_layers) {
    json["fp32_layers"].push_back({{"name", layer.name},
                                   {"excluded", !layer.error},
                                   {"error", layer.error ? Json(*layer.error) : Json()}});
  }
  return json;
}

std::string quantize_text(const QuantizeCommand& options, const Json& json, const Quantized& result,
                          const std::string& agreement) {
  const auto number = [&](const char* key) { return json[key].get<double>(); };
  Table table({{}, {}});
  table.add_row(
      {"model", fmt::format("{} ({}), {}", json["model"].get<std::string>(),
                            json["file"].get<std::string>(), format_bytes(number("input_bytes")))});
  table.add_row(
      {"written", fmt::format("{}, {}", options.out, format_bytes(number("output_bytes")))});
  table.add_row({"images", fmt::format("{} to calibrate on, {} to measure on",
                                       json["images"].get<int>(), json["held_out"].get<int>())});
  table.add_row(
      {"layers", fmt::format("{} in int8, {} in fp32; inputs' ranges by {}", result.layers,
                             result.fp32_layers.size(), json["method"].get<std::string>())});
  std::string outputs = fmt::format("off by {:.2f} %", 100 * result.final.error);
  if (!agreement.empty()) {
    outputs += fmt::format(", first class as in fp32 for {:.2f} % of {}",
                           100 * result.final.agreement, agreement);
  }
  if (result.all.error != result.final.error) {
    outputs += fmt::format(" (off by {:.2f} % with every layer in int8)", 100 * result.all.error);
  }
  table.add_row({"outputs", outputs});
  if (json.contains("top1")) {
    table.add_row(
        {"top-1", fmt::format("{:.2f} % in fp32, {:.2f} % with int8, of the {} images "
                              "measured on",
                              json["top1"]["fp32"].get<double>(),
                              json["top1"]["int8"].get<double>(), json["held_out"].get<int>())});
  }
  table.add_row({"time", format_duration(number("seconds"))});
  if (result.fp32_layers.empty()) return table.str();
  Table left_out({{"layer in fp32"}, {"outputs off by, alone in int8", Align::kRight}});
  for (const Fp32Layer& layer : result.fp32_layers) {
    left_out.add_row(
        {layer.name, layer.error ? fmt::format("{:.2f} %", 100 * *layer.error) : "excluded"});
  }
  return table.str() + '\n' + left_out.str();
}

void require_layers(const Quantized& result, const std::filesystem::path& file, double max_error) {
  require(result.layers > 0, ErrorCode::kUnsupported,
          "{}: no layer is left to be in int8 with outputs off by at most {:g} (--max-error); the "
          "file would be in fp32, so none is written",
          file.string(), max_error);
}

}  // namespace asmlp::cli
