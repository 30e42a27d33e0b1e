#include "asmlp/cli/options/runner.h"

#include "asmlp/engine/engine.h"

namespace asmlp::cli {
namespace {

class NativeRunner : public Runner {
 public:
  NativeRunner(const Checkpoint& checkpoint, const RunnerOptions& options)
      : engine_(PackedModel::create(checkpoint.spec, checkpoint.tensors,
                                    {.isa = parse_isa(options.run.isa, "--isa"),
                                     .precision = precision_of(options.run, checkpoint.tensors,
                                                               checkpoint.spec.name)}),
                {.height = options.height,
                 .width = options.width,
                 .max_batch = options.max_batch,
                 .threads = options.run.threads,
                 .features = options.features,
                 .profile = options.profile}) {}

  void run(std::span<const float> input, int images) override { engine_.run(input, images); }
  std::span<const float> logits() const override { return engine_.logits(); }
  int num_features() const override { return engine_.num_features(); }
  Shape feature_shape(int k) const override { return engine_.feature_shape(k); }
  void copy_feature(int k, std::span<float> out) const override { engine_.copy_feature(k, out); }
  std::span<const ProfileEntry> profile() const override { return engine_.profile(); }
  void reset_profile() override { engine_.reset_profile(); }
  int threads() const override { return engine_.threads(); }
  std::string isa() const override { return to_string(engine_.model().isa()); }
  Precision precision() const override { return engine_.model().precision(); }

 private:
  Engine engine_;
};

}  // namespace

Backend native_backend() {
  return {"native", [](const Checkpoint& checkpoint, const RunnerOptions& options) {
            return std::make_unique<NativeRunner>(checkpoint, options);
          }};
}

void add_backend_option(CLI::App& app, const std::string& own, std::string& value,
                        const std::string& group) {
  value = own;
  const auto known = [own](const std::string& wanted) -> std::string {
    if (wanted == "torch" || wanted == own) return "";
    if (wanted == "native") return "this is asmlp-torch; the native engine is in asmlp";
    return wanted + " not in {native,torch}";
  };
  app.add_option("--backend", value,
                 "native (this engine, default) or torch (LibTorch, through asmlp-torch)")
      ->check(CLI::Validator(known, "{native,torch}"))
      ->type_name("NAME")
      ->group(group);
}

}  // namespace asmlp::cli
