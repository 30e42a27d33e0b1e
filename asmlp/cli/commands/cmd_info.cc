// asmlp info: the zoo, one model's details, the processor.
#include <memory>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/commands/describe.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/program.h"
#include "asmlp/report/table.h"
#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/model/params.h"
#include "asmlp/model/zoo.h"

namespace asmlp::cli {
namespace {

struct Options {
  std::string model;
  std::string shift_size;
  std::string config;
  std::optional<int> img_size;
  bool list = false;
  bool cpu = false;
  bool params = false;
  OutputOptions output;
};

struct Described {
  ModelSpec spec;
  std::filesystem::path file;
  std::vector<std::string> notes;
};

// A zoo name, a weight file, or a config file.
Described find_model(const Options& options) {
  const std::filesystem::path path = options.model;
  const std::string extension = path.extension().string();
  Described found;
  if (extension == ".json" || extension == ".yaml" || extension == ".yml") {
    require(options.config.empty(), ErrorCode::kInvalidArgument,
            "{} is a config file, --config is for weight files", options.model);
    found.spec = load_spec(path);
    if (!options.shift_size.empty()) {
      found.spec.config.shift_size = parse_shift_size(options.shift_size);
    }
    found.file = path;
  } else {
    const std::vector<std::string> names = zoo_names();
    const std::string name = options.model.substr(0, options.model.find('.'));
    if (!std::filesystem::exists(path) &&
        std::find(names.begin(), names.end(), name) != names.end()) {
      require(options.config.empty(), ErrorCode::kInvalidArgument,
              "{} is a zoo name, --config is for weight files", options.model);
      found.spec = zoo_model(options.model);
      if (!options.shift_size.empty()) {
        found.spec.config.shift_size = parse_shift_size(options.shift_size);
      }
    } else {
      const bool bare_word = !path.has_parent_path() && !path.has_extension();
      if (bare_word && !std::filesystem::exists(path))
        zoo_model(options.model);  // names the nearest
      ModelOptions model;
      model.model = path.string();
      if (bare_word) model.model = (std::filesystem::path(".") / path).string();
      model.shift_size = options.shift_size;
      model.config = options.config;
      LoadedModel loaded = load_model(model);
      found = {std::move(loaded.checkpoint.spec), path, std::move(loaded.notes)};
    }
  }
  if (options.img_size) found.spec.preprocessing.size = *options.img_size;
  return found;
}

Json cpu_json() {
  Json isas = Json::array();
  for (Isa isa : available_isas()) isas.push_back(to_string(isa));
  return {{"name", cpu_name()},
          {"isas", isas},
          {"isa", to_string(default_isa())},
          {"cores", available_cores()}};
}

std::string cpu_text() {
  std::string isas;
  for (Isa isa : available_isas()) isas += (isas.empty() ? "" : ", ") + std::string(to_string(isa));
  Table table({{}, {}});
  table.add_row({"processor", cpu_name()});
  table.add_row({"cores usable", std::to_string(available_cores())});
  table.add_row({"instruction sets", isas});
  const char* forced = std::getenv("ASMLP_ISA");  // an empty one chooses nothing
  const bool by_variable = forced != nullptr && *forced != '\0';
  table.add_row(
      {"chosen", std::string(to_string(default_isa())) + (by_variable ? " (ASMLP_ISA)" : "")});
  return table.str();
}

Json zoo_json(std::optional<int> img_size) {
  Json list = Json::array();
  for (const std::string& name : zoo_names()) {
    const ModelSpec spec = zoo_model(name);
    const int size = img_size.value_or(spec.preprocessing.size);
    list.push_back({{"name", name},
                    {"img_size", size},
                    {"parameters", parameter_count(spec.config)},
                    {"multiply_adds", multiply_adds(spec.config, size, size)}});
  }
  return list;
}

std::string zoo_text(std::optional<int> img_size) {
  Table table({{"model"},
               {"size", Align::kRight},
               {"params (M)", Align::kRight},
               {"parameters", Align::kRight},
               {"MACs (G)", Align::kRight},
               {"multiply-adds", Align::kRight}});
  for (const std::string& name : zoo_names()) {
    const ModelSpec spec = zoo_model(name);
    const int size = img_size.value_or(spec.preprocessing.size);
    const int64_t parameters = parameter_count(spec.config);
    const int64_t macs = multiply_adds(spec.config, size, size);
    table.add_row({name, std::to_string(size), fmt::format("{:.1f}", parameters * 1e-6),
                   group_digits(parameters), fmt::format("{:.2f}", macs * 1e-9),
                   group_digits(macs)});
  }
  return table.str();
}

int run(const Options& options) {
  require(!options.params || !options.model.empty(), ErrorCode::kInvalidArgument,
          "--params needs a model: `asmlp info MODEL --params`");
  const bool list = options.list || (options.model.empty() && !options.cpu);
  Json json = Json::object();
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : "\n") + part; };
  if (list) {
    json["models"] = zoo_json(options.img_size);
    add(zoo_text(options.img_size));
  }
  if (!options.model.empty()) {
    const Described found = find_model(options);
    json["model"] = model_to_json(found.spec, found.file);
    json["model"]["notes"] = found.notes;
    add(describe_model(found.spec, found.file));
    for (const std::string& note : found.notes) text += "note: " + note + '\n';
    if (options.params) {
      for (const Param& param : parameter_table(found.spec.config)) {
        json["model"]["parameter_table"].push_back({{"name", param.name}, {"shape", param.shape}});
      }
      add(parameter_text(found.spec));
    }
  }
  if (options.cpu) {
    json["cpu"] = cpu_json();
    add(cpu_text());
  }
  options.output.json ? print_json(json) : print_out(text);
  return kExitOk;
}

}  // namespace

Command add_info(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* app =
      add_subcommand(program, "info", "Describe the model zoo, a model or the processor",
                     "Examples:\n"
                     "  asmlp info                                  the zoo\n"
                     "  asmlp info asmlp_tiny_patch4_shift5_224     one of its models\n"
                     "  asmlp info model.safetensors --params       a weight file\n"
                     "  asmlp info --cpu                            this machine");
  app->add_option("model", options->model,
                  "a zoo name, a weight file (.safetensors, .pth) or a config (.json, .yaml)")
      ->type_name("MODEL|FILE");
  app->add_flag("--list", options->list, "print the zoo (default without a model)");
  app->add_flag("--cpu", options->cpu,
                "print the processor, its instruction sets and usable cores");
  app->add_flag("--params", options->params, "print the model's parameter table");
  app->add_option("--img-size", options->img_size, "count multiply-adds at this size")
      ->check(CLI::Range(1, 16384))
      ->type_name("N");
  app->add_option("--config", options->config, "architecture of a weight file, as JSON or YAML")
      ->type_name("FILE");
  app->add_option("--shift-size", options->shift_size,
                  "shift positions of a file that does not say")
      ->type_name("N|H,W");
  add_output_options(*app, options->output);
  return {app, [options] { return run(*options); }};
}

}  // namespace asmlp::cli
