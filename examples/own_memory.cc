// Results in memory of the program's own, again and again.   own_memory MODEL
#include <asmlp/asmlp.hpp>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: own_memory MODEL\n";
    return 2;
  }
  try {
    asmlp::Backbone backbone(argv[1]);
    const asmlp::ModelInfo& info = backbone.model().info();
    std::vector<float> frame(static_cast<std::size_t>(info.in_channels) * 75 * 130);
    const asmlp::TensorView tensor{frame.data(), 1, info.in_channels, 75, 130};

    // Made once: the memory of the last map and of the embedding. The other maps are left out.
    const int last = static_cast<int>(info.features.size()) - 1;
    const asmlp::FeatureShape shape = backbone.model().feature_shape(last, 75, 130);
    std::vector<float> map(static_cast<std::size_t>(shape.channels) * shape.height * shape.width);
    std::vector<float> embedding(static_cast<std::size_t>(info.embedding_size));
    std::vector<asmlp::OutputView> maps(info.features.size());
    maps.back() = {map.data(), map.size()};

    // From the second frame on, nothing is allocated.
    for (int i = 0; i < 3; ++i) {
      frame.assign(frame.size(), static_cast<float>(i));
      backbone.features(tensor, maps, {embedding.data(), embedding.size()});
      std::cout << map.front() << ' ' << embedding.front() << '\n';
    }
  } catch (const asmlp::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
