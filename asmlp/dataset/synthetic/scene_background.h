// What is behind the items of a made scene.
#pragma once

#include "asmlp/dataset/synthetic/scene_random.h"
#include "asmlp/image/image.h"

namespace asmlp {

// An RGB background of height x width pixels (each >= 1): a gradient, stripes, checks or rings of
// two colors, up to five boxes and ellipses filled in the same manner, and over all of it noise of
// every octave from half the image down to two pixels. Colors and contrasts have the range of the
// items', so that no threshold and no texture alone tells an item; then all differences from the
// mean color are multiplied by `clutter` (0..1).
Image scene_background(int height, int width, double clutter, SceneRandom& random);

}  // namespace asmlp
