#include <asmlp/asmlp.hpp>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    asmlp::Classifier classifier(argv[1]);
    const asmlp::Prediction best = classifier.classify(argv[2], 1).front();
    std::cout << best.label << ' ' << best.probability << '\n';
  } catch (const asmlp::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
