// What is on an image?   classify MODEL IMAGE
#include <asmlp/asmlp.hpp>
#include <iomanip>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: classify MODEL IMAGE\n";
    return 2;
  }
  try {
    asmlp::Classifier classifier(argv[1]);
    for (const asmlp::Prediction& p : classifier.classify(argv[2], 3)) {
      std::cout << std::setprecision(9) << p.probability << ' ' << p.label << '\n';
    }
  } catch (const asmlp::Error& error) {
    std::cerr << asmlp::to_string(error.code()) << ": " << error.what() << '\n';
    return 1;
  }
}
