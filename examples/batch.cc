// Many images with several threads, each with a classifier of its own.   batch MODEL IMAGE...
#include <algorithm>
#include <asmlp/asmlp.hpp>
#include <future>
#include <iomanip>
#include <iostream>

namespace {

using Results = std::vector<std::vector<asmlp::Prediction>>;

// One list of predictions per image, in order. The images may come from anywhere: a decoder, a
// camera.
Results classify(std::shared_ptr<const asmlp::Model> model,
                 std::vector<asmlp::DecodedImage> images) {
  asmlp::RunOptions options;
  options.threads = 1;    // this caller's; the default is all cores
  options.max_batch = 4;  // the list is cut into batches of 4; that changes no bit of a result
  asmlp::Classifier classifier(std::move(model), options);
  std::vector<asmlp::ImageView> views;
  for (const asmlp::DecodedImage& image : images) views.push_back(image.view());
  return classifier.classify(views, 1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: batch MODEL IMAGE...\n";
    return 2;
  }
  try {
    const auto model = asmlp::load_model(argv[1]).model;
    std::vector<asmlp::DecodedImage> images;
    for (int i = 2; i < argc; ++i) images.push_back(asmlp::read_image(argv[i]));

    // The model is shared; every thread makes its own classifier.
    auto other = std::async(std::launch::async, classify, model,
                            std::vector(images.rbegin(), images.rend()));
    const Results forwards = classify(model, images);
    Results backwards = other.get();

    std::reverse(backwards.begin(), backwards.end());
    for (std::size_t i = 0; i < images.size(); ++i) {
      const asmlp::Prediction& best = forwards[i].front();
      if (best.probability != backwards[i].front().probability) return 1;
      std::cout << std::setprecision(9) << best.probability << ' ' << best.label << '\n';
    }
  } catch (const asmlp::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
