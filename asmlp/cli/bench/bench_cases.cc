#include "asmlp/cli/bench/bench_cases.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "asmlp/core/error.h"
#include "asmlp/model/zoo.h"
#include "asmlp/quantize/quantize.h"
#include "asmlp/weights/fill.h"
#include "asmlp/weights/quantized.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

// Tells the processes that open the file what they have: a key of ModelSpec::origin.
constexpr const char* kFilledKey = "weights";
constexpr const char* kFilledText = "deterministic values (asmlp bench)";

// A checkpoint in a file that has no name any more: it cannot be left behind, and this process and
// its children open it as /proc/PID/fd/N.
class NamelessFile {
 public:
  explicit NamelessFile(const Checkpoint& checkpoint) {
    std::string pattern = (fs::temp_directory_path() / "asmlp-bench-XXXXXX").string();
    require(::mkdtemp(pattern.data()) != nullptr, ErrorCode::kIo, "{}: cannot make a folder: {}",
            pattern, std::strerror(errno));
    const fs::path folder = pattern;
    std::error_code ignored;
    try {
      save_checkpoint(folder / "model.safetensors", checkpoint);
    } catch (...) {
      fs::remove_all(folder, ignored);
      throw;
    }
    file_ = ::open((folder / "model.safetensors").c_str(), O_RDONLY | O_CLOEXEC);
    const int error = errno;
    fs::remove_all(folder, ignored);
    require(file_ >= 0, ErrorCode::kIo, "{}: cannot open the weights just written: {}", pattern,
            std::strerror(error));
  }
  ~NamelessFile() { ::close(file_); }
  NamelessFile(const NamelessFile&) = delete;
  NamelessFile& operator=(const NamelessFile&) = delete;
  fs::path path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), file_); }

 private:
  int file_ = -1;
};

// The architecture that a zoo name or a config file stands for.
std::optional<ModelSpec> architecture(const std::string& word) {
  const std::string extension = fs::path(word).extension().string();
  if (extension == ".json" || extension == ".yaml" || extension == ".yml") {
    ModelSpec spec = load_spec(word);
    spec.name = fs::path(word).stem().string();  // a variant of a zoo model has the zoo's name
    return spec;
  }
  const std::vector<std::string> names = zoo_names();
  if (fs::exists(word) || std::ranges::count(names, word.substr(0, word.find('.'))) == 0) {
    return std::nullopt;
  }
  return zoo_model(word);
}

using MakeFilled = std::function<Checkpoint(ModelSpec)>;

BenchModel open_model(const std::string& word, const MakeFilled& fill) {
  BenchModel model;
  ModelOptions named;
  LoadedModel loaded;
  if (std::optional<ModelSpec> spec = architecture(word)) {
    spec->origin[kFilledKey] = kFilledText;
    auto file = std::make_shared<NamelessFile>(fill(*std::move(spec)));
    named.model = file->path().string();
    loaded = load_model(named);
    model.owner = file;
  } else {
    named.model = word;
    loaded = load_model(named);
  }
  model.file = loaded.file;
  model.notes = std::move(loaded.notes);
  model.checkpoint = std::move(loaded.checkpoint);
  const ModelSpec& spec = model.checkpoint.spec;
  model.name = spec.name.empty() ? fs::path(word).stem().string() : spec.name;
  const auto origin = spec.origin.find(kFilledKey);
  model.filled = origin != spec.origin.end() && origin->second == kFilledText;
  require(spec.config.num_classes > 0, ErrorCode::kUnsupported,
          "{}: a backbone without head gives no logits to verify; use a classification model",
          word);
  return model;
}

Checkpoint filled(ModelSpec spec) {
  TensorMap tensors = fill_parameters(spec.config);
  return {std::move(spec), std::move(tensors)};
}

}  // namespace

BenchModel open_bench_model(const std::string& word) { return open_model(word, filled); }

BenchModel open_int8_bench_model(const std::string& word) {
  return open_model(
      word, [](ModelSpec spec) { return quantized_for_benchmark(filled(std::move(spec))); });
}

std::vector<BenchCase> bench_cases(const BenchOptions& options) {
  std::vector<std::string> isas = options.isas;
  if (isas.empty()) isas.emplace_back();
  std::vector<BenchCase> cases;
  for (const std::string& word : options.models) {
    const auto model = std::make_shared<const BenchModel>(open_bench_model(word));
    const bool quantized = is_quantized(model->checkpoint.tensors);
    std::vector<std::string> precisions = options.precisions;
    if (precisions.empty()) precisions.emplace_back(quantized ? "int8" : "fp32");
    std::shared_ptr<const BenchModel> int8 = quantized || !model->filled ? model : nullptr;
    std::vector<int> sizes = options.sizes;
    if (sizes.empty()) sizes.push_back(model->checkpoint.spec.preprocessing.size);
    for (const std::string& isa : isas) {
      for (const std::string& precision : precisions) {
        const RunOptions run{.threads = options.threads, .isa = isa, .precision = precision};
        const bool wants_int8 = precision == to_string(Precision::kInt8);
        if (wants_int8 && !int8) {
          int8 = std::make_shared<const BenchModel>(open_int8_bench_model(word));
        }
        const auto& used = wants_int8 ? int8 : model;
        for (int size : sizes) {
          for (int batch : options.batches) cases.push_back({used, run, size, batch});
        }
      }
    }
  }
  return cases;
}

std::string describe(const BenchCase& c) {
  return fmt::format("{}, {} x {}, batch {}, {}{}", c.model->name, c.size, c.size, c.batch,
                     c.run.precision, c.run.isa.empty() ? "" : ", " + c.run.isa);
}

}  // namespace asmlp::cli
