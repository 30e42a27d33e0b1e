#include <asmlp/asmlp.hpp>
#include <iostream>
int main(int, char** argv) {
  asmlp::Classifier classifier(argv[1]);  // a .safetensors file, or the authors' .pth
  for (const auto& p : classifier.classify(argv[2], 3)) std::cout << p.label << '\n';
}
