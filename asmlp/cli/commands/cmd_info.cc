// asmlp info: the zoo, one model's details, the processor.
#include <algorithm>
#include <memory>
#include <utility>

#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/commands/describe.h"
#include "asmlp/cli/options/class_names.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/kernels/kernels.h"
#include "asmlp/model/description/description.h"
#include "asmlp/model/description/description_json.h"
#include "asmlp/report/table.h"
#include "asmlp/schema/fields.h"
#include "asmlp/schema/text.h"
#include "asmlp/weights/model_file.h"

namespace asmlp::cli {
namespace {

struct InfoOptions {
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
  Description model;
  std::filesystem::path file;
  std::vector<std::string> notes;
  TensorMap tensors;  // of a weight file
};

// Shift positions of a model that is not from a file of weights.
void set_shift(Description& model, const ShiftSize& shift) {
  std::visit(
      [&](auto& own) {
        if constexpr (requires { own.spec; }) {
          own.spec.config.shift_size = shift;
        } else {
          own.config.backbone.shift_size = shift;
        }
      },
      model.model);
}

void set_image_size(Description& model, int side) {
  auto* architecture = std::get_if<Architecture>(&model.model);
  require(architecture != nullptr, ErrorCode::kInvalidArgument,
          "--img-size is for classifiers, this is a {}; leave it out", model_kind(model.task()));
  architecture->spec.preprocessing.size = side;
}

// The model of a recipe of `asmlp train`, which stands there as `model` among the options of the
// run; nothing for other files.
std::optional<Description> model_of_recipe(const std::string& file) {
  if (file.starts_with('{')) return std::nullopt;
  const nlohmann::json json = json_from_file(file);
  if (!json.is_object() || !json.contains("model")) return std::nullopt;
  const nlohmann::json& model = json["model"];
  std::optional<Task> task;
  if (json.contains("task") && json["task"].is_string() && json["task"] != "auto") {
    task = value_named<Task>(json["task"].get<std::string>(), (file + ": task").c_str());
  }
  if (model.is_object()) return read_description(model, file + ": model", task);
  const bool recipe = std::ranges::any_of(
      std::initializer_list<const char*>{"data", "epochs", "batch-size", "batch_size", "task"},
      [&](const char* key) { return json.contains(key); });
  if (!recipe || !model.is_string()) return std::nullopt;
  return resolve_description(model.get<std::string>(), task);
}

// A name of the zoo, a weight file, a config file, or a recipe.
Described find_model(const InfoOptions& options) {
  const std::filesystem::path path = options.model;
  std::error_code ignored;
  const bool bare_word = !path.has_parent_path() && !path.has_extension();
  const bool described = is_json_or_yaml(path) || options.model.starts_with('{');
  const bool named = !described && !std::filesystem::exists(path, ignored) &&
                     (bare_word || is_zoo_name(options.model));
  Described found;
  if (described || named) {
    require(options.config.empty(), ErrorCode::kInvalidArgument,
            "{} is {}, --config is for weight files", options.model,
            named ? "a zoo name" : "a config file");
    const auto trained = described ? model_of_recipe(options.model) : std::nullopt;
    found.model = trained ? *trained : resolve_description(options.model);
    if (!options.shift_size.empty()) set_shift(found.model, parse_shift_size(options.shift_size));
    if (described) found.file = path;
  } else {
    ModelFileOptions load;
    if (!options.config.empty()) load.description = resolve_description(options.config);
    if (!options.shift_size.empty()) load.shift_size = parse_shift_size(options.shift_size);
    load.non_finite = NonFinite::kNote;
    ModelFile file = load_model_file(path, load);
    name_classes(file.description, "", path, &file.notes);
    found = {std::move(file.description), path, std::move(file.notes), std::move(file.tensors)};
  }
  if (options.img_size) set_image_size(found.model, *options.img_size);
  validate(found.model);
  return found;
}

Json cpu_json() {
  Json isas = Json::array();
  for (Isa isa : available_isas()) isas.push_back(to_string(isa));
  Json precisions = Json::object();
  for (Precision precision : all_precisions()) {
    precisions[to_string(precision)] = kernel_set(default_isa(), precision).instruction;
  }
  return {{"name", cpu_name()},
          {"features", cpu_features()},
          {"isas", isas},
          {"isa", to_string(default_isa())},
          {"precisions", precisions},
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
  std::string precisions;
  for (Precision precision : all_precisions()) {
    precisions += fmt::format("{}{} ({})", precisions.empty() ? "" : ", ", to_string(precision),
                              kernel_set(default_isa(), precision).instruction);
  }
  table.add_row({"precisions", precisions});
  return table.str();
}

// The zoo: every task's models with the size that multiply-adds are counted for. --img-size is the
// classifiers'.
struct ZooRow {
  std::string name;
  Task task;
  MapSize size;
  int64_t parameters;
  int64_t multiply_adds;
};

std::vector<ZooRow> zoo_rows(std::optional<int> img_size) {
  std::vector<ZooRow> rows;
  for (const std::string& name : model_names()) {
    const Description model = named_description(name);
    MapSize size = counted_size(model);
    // Baselines whose weights fit one size only keep it.
    const auto* architecture = std::get_if<Architecture>(&model.model);
    if (img_size && architecture != nullptr && is_as_mlp(*architecture)) {
      size = {*img_size, *img_size};
    }
    rows.push_back(
        {name, model.task(), size, parameter_count(model), multiply_adds(model, size.h, size.w)});
  }
  return rows;
}

Json zoo_json(std::optional<int> img_size) {
  Json list = Json::array();
  for (const ZooRow& row : zoo_rows(img_size)) {
    Json size = row.size.h;
    if (row.task != Task::kClassify) size = {row.size.h, row.size.w};
    list.push_back({{"name", row.name},
                    {"task", to_string(row.task)},
                    {"img_size", std::move(size)},
                    {"parameters", row.parameters},
                    {"multiply_adds", row.multiply_adds}});
  }
  return list;
}

std::string zoo_text(std::optional<int> img_size) {
  Table table({{"model"},
               {"task"},
               {"size", Align::kRight},
               {"params (M)", Align::kRight},
               {"parameters", Align::kRight},
               {"MACs (G)", Align::kRight},
               {"multiply-adds", Align::kRight}});
  for (const ZooRow& row : zoo_rows(img_size)) {
    const bool square = row.size.h == row.size.w;
    table.add_row(
        {row.name, to_string(row.task),
         square ? std::to_string(row.size.h) : fmt::format("{} x {}", row.size.h, row.size.w),
         fmt::format("{:.1f}", double(row.parameters) * 1e-6), group_digits(row.parameters),
         fmt::format("{:.2f}", double(row.multiply_adds) * 1e-9), group_digits(row.multiply_adds)});
  }
  return table.str();
}

int run_info(InfoOptions options) {
  // An architecture by itself is a model without weights.
  if (options.model.empty()) options.model = std::exchange(options.config, {});
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
    json["model"] = model_to_json(found.model, found.file, found.tensors);
    json["model"]["notes"] = found.notes;
    add(describe_model(found.model, found.file, found.tensors));
    for (const std::string& note : found.notes)
      text += "note: " + printable(note, LineBreaks::kIndented) + '\n';
    if (options.params) {
      json["model"]["parameter_table"] = parameter_json(found.model);
      add(parameter_text(found.model));
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
  auto options = std::make_shared<InfoOptions>();
  CLI::App* app = add_subcommand(
      program, "info", "Describe the model zoo, a model or the processor",
      "Models of every task, trained files of every kind, the states of training runs.\n"
      "Examples:\n"
      "  asmlp info                                  the zoo\n"
      "  asmlp info asmlp_tiny_patch4_shift5_224     one of its models\n"
      "  asmlp info model.safetensors --params       a weight file\n"
      "  asmlp info --cpu                            this machine");
  app->add_option(
         "model", options->model,
         "a zoo name, a weight file (.safetensors, .pth), a config or a recipe (.json, .yaml)")
      ->type_name("MODEL|FILE");
  app->add_flag("--list", options->list, "print the zoo (default without a model)");
  app->add_flag("--cpu", options->cpu,
                "print the processor, its instruction sets and usable cores");
  app->add_flag("--params", options->params, "print the model's parameter table");
  app->add_option("--img-size", options->img_size, "count multiply-adds at this size")
      ->check(CLI::Range(1, 16384))
      ->type_name("N");
  app->add_option("--config", options->config,
                  "architecture of a weight file, as JSON or YAML; without MODEL it is "
                  "what is described")
      ->type_name("FILE");
  app->add_option("--shift-size", options->shift_size,
                  "shift positions of a file that does not say")
      ->type_name("N|H,W");
  add_output_options(*app, options->output);
  return {app, [options] { return run_info(*options); }};
}

}  // namespace asmlp::cli
