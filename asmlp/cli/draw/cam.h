// Class-activation maps. AS-MLP ends in an average over pixels and one linear layer, so a class's
// logit is the mean over the pixels of that layer applied to each of them: the map is exact.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "asmlp/image/image.h"
#include "asmlp/model/config.h"

namespace asmlp::cli {

// height x width values in logit units; their mean is the logit.
struct ActivationMap {
  int height = 0;
  int width = 0;
  std::vector<float> values;
};

// `features` is size.h x size.w x C (Engine::final_map of one image), `weight` the C weights of the
// class in the head and `bias` its bias.
ActivationMap class_activation_map(std::span<const float> features, MapSize size,
                                   std::span<const float> weight, float bias);

// The map at each of height x width pixels of the network's input, bilinear between the centers of
// the map's pixels, which are `stride` input pixels apart (patch_size * 2^(stages-1)); constant
// beyond the outermost centers.
std::vector<float> sample_map(const ActivationMap& map, int stride, int height, int width);

struct CamPicture {
  Image image;  // what the network saw, 8 bit
  ActivationMap map;
  int stride = 32;
  std::string label;  // of the class
  float probability = 0;
  std::string file;  // where the image came from
};

// Draws the image, the map over it and a legend, and writes them as PNG. Small images are enlarged
// by a whole factor to at least 224 pixels.
void write_cam(const std::filesystem::path& path, const CamPicture& picture);

}  // namespace asmlp::cli
