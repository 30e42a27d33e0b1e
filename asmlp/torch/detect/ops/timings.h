// How long the parts of a detection take.
#pragma once

#include <chrono>

namespace asmlp::detect {

// Seconds, added up over the images.
struct Timings {
  double backbone = 0;
  double pyramid = 0;
  double rpn = 0;         // its convolutions
  double proposals = 0;   // anchors, decoding, suppression
  double box_heads = 0;   // RoIAlign and box heads, and what refines the boxes between stages
  double nms = 0;         // decoding and suppression of the detections
  double mask_heads = 0;  // RoIAlign and mask heads
  double paste = 0;       // masks into the image, as run lengths

  static void visit(auto& self, auto&& field) {
    field("backbone", self.backbone);
    field("pyramid", self.pyramid);
    field("RPN", self.rpn);
    field("proposals", self.proposals);
    field("box heads", self.box_heads);
    field("NMS", self.nms);
    field("mask heads", self.mask_heads);
    field("paste", self.paste);
  }
};

// f(), whose time is added to a part of `times`, which may be null.
template <typename F>
auto timed(Timings* times, double Timings::*part, const F& f) {
  if (times == nullptr) return f();
  const auto begin = std::chrono::steady_clock::now();
  auto result = f();
  times->*part += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace asmlp::detect
