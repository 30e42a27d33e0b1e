// Feature maps at every scale, of an image and of a larger input.   feature_pyramid MODEL IMAGE
#include <asmlp/asmlp.hpp>
#include <iostream>

namespace {

void print(const asmlp::Features& features) {
  for (const asmlp::FeatureMap& map : features.maps) {
    std::cout << map.name << ": stride " << map.stride << ", " << features.batch << " x "
              << map.channels << " x " << map.height << " x " << map.width << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: feature_pyramid MODEL IMAGE\n";
    return 2;
  }
  try {
    const auto model = asmlp::load_model(argv[1]).model;
    asmlp::Backbone backbone(model);

    // An image, resized and cropped as the model was trained.
    const asmlp::Features features = backbone.features(argv[2]);
    print(features);
    std::cout << "embedding: " << features.embedding.size() << " values\n";

    // A tensor of any size, normalized by the caller: batch x channels x height x width.
    const int channels = model->info().in_channels;
    const std::vector<float> zeros(static_cast<std::size_t>(channels) * 75 * 130);
    print(backbone.features(asmlp::TensorView{zeros.data(), 1, channels, 75, 130}));
  } catch (const asmlp::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
