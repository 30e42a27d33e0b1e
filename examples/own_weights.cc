// Weights of your own: safetensors, or a PyTorch checkpoint.   own_weights FILE [SHIFT_SIZE]
#include <asmlp/asmlp.hpp>
#include <cstdlib>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::cerr << "usage: own_weights FILE [SHIFT_SIZE]\n";
    return 2;
  }
  try {
    asmlp::LoadOptions options;
    options.precision = asmlp::Precision::kFp32;  // or kBf16; a quantized file computes in int8
    options.isa = asmlp::Isa::kAuto;              // the best that this machine can run
    // For both axes; without it, what the file says.
    if (argc == 3) options.shift_h = std::atoi(argv[2]);

    // A file that does not describe itself leaves something to assume; this says what.
    const auto [model, notes] = asmlp::load_model(argv[1], options);
    for (const std::string& note : notes) std::cerr << "note: " << note << '\n';

    const asmlp::ModelInfo& info = model->info();
    std::cout << info.name << ", " << info.parameters << " parameters, "
              << asmlp::to_string(info.precision) << ", " << asmlp::to_string(info.isa) << '\n'
              << (info.is_classifier ? "a classifier" : "a backbone without head") << '\n'
              << "input: " << info.in_channels << " x " << info.image_size << " x "
              << info.image_size << '\n'
              << "classes: " << info.num_classes << '\n';
    for (const asmlp::FeatureInfo& map : info.features) {
      std::cout << map.name << ": " << map.channels << " channels, stride " << map.stride << '\n';
    }
    std::cout << info.description << '\n';  // everything, as JSON
  } catch (const asmlp::Error& error) {
    if (error.code() == asmlp::ErrorCode::kMismatch) std::cerr << "these are other weights: ";
    std::cerr << error.what() << '\n';
    return 1;
  }
}
