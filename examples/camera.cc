// Objects on the frames of a camera or a video, with OpenCV.   camera MODEL VIDEO|CAMERA [FRAMES]
#include <asmlp/asmlp.hpp>
#include <cstdlib>
#include <iostream>
#include <opencv2/videoio.hpp>
#include <string>

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::cerr << "usage: camera MODEL VIDEO|CAMERA [FRAMES]\n";
    return 2;
  }
  try {
    const std::string source = argv[2];
    const bool is_number = source.find_first_not_of("0123456789") == std::string::npos;
    cv::VideoCapture video;
    if (is_number ? !video.open(std::atoi(argv[2])) : !video.open(source)) {
      std::cerr << source << ": cannot be opened\n";
      return 1;
    }
    int left = argc == 4 ? std::atoi(argv[3]) : -1;  // -1: until there are no more

    asmlp::DetectOptions options;
    options.masks = false;  // boxes are enough here
    options.score_threshold = 0.5f;
    asmlp::Detector detector(argv[1], options);
    cv::Mat frame;
    for (; left != 0 && video.read(frame); --left) {
      // The frame's own memory: BGR bytes, rows of frame.step bytes.
      const asmlp::ImageView view{frame.data,
                                  frame.rows,
                                  frame.cols,
                                  frame.channels(),
                                  static_cast<std::ptrdiff_t>(frame.step),
                                  asmlp::ChannelOrder::kBgr};
      const std::vector<asmlp::Detection> objects = detector.detect(view);
      std::cout << objects.size() << " objects";
      for (const asmlp::Detection& d : objects) std::cout << ", " << d.name << " " << d.score;
      std::cout << '\n';
    }
  } catch (const asmlp::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
