// Which objects are on images, and where?   detect MODEL IMAGE...
#include <asmlp/asmlp.hpp>
#include <iomanip>
#include <iostream>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: detect MODEL IMAGE...\n";
    return 2;
  }
  try {
    asmlp::Detector detector(argv[1]);
    for (int i = 2; i < argc; ++i) {
      for (const asmlp::Detection& d : detector.detect(argv[i])) {
        std::cout << std::setprecision(9) << d.score << ' ' << d.name << " at " << d.x1 << ", "
                  << d.y1 << " to " << d.x2 << ", " << d.y2 << '\n';
        if (d.mask.empty()) continue;  // of a detector of boxes
        const std::vector<std::uint8_t> bitmap = asmlp::mask_bitmap(d.mask);  // 0 and 1
        std::cout << asmlp::mask_area(d.mask) << " of " << bitmap.size() << " pixels\n";
      }
    }
  } catch (const asmlp::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
