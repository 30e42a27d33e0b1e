// RoIAlign of a training step's size, forward and backward: 512 RoIs of one image's P2 (200 x 272
// cells of 256 channels, 800 x 1088 pixels) to 7 x 7 bins, in both memory formats; the same with
// all four levels of the pyramid; and what else runs per image: assignment, suppression, masks. The
// first result is checked against the eager form before anything is timed.
//
//   asmlp_roi_align_bench [THREADS]
//
// benchmarks/roi_align_peer.py times torchvision's operator on the same RoIs.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/torch/detect/ops/anchors.h"
#include "asmlp/torch/detect/ops/assigner.h"
#include "asmlp/torch/detect/ops/mask_paste.h"
#include "asmlp/torch/detect/ops/nms.h"
#include "asmlp/torch/detect/roi/mask_target.h"
#include "asmlp/torch/detect/roi/roi_extractor.h"

namespace {

using namespace asmlp;
using namespace asmlp::detect;

template <typename Body>
void report(const char* name, const Body& body) {
  std::vector<double> times;
  for (int repeat = 0; repeat < 7; ++repeat) {
    const auto begin = std::chrono::steady_clock::now();
    body();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
    times.push_back(time.count());
  }
  std::sort(times.begin(), times.end());
  fmt::print("{:40} {:8.1f} ms (from {:.1f} to {:.1f})\n", name, times[times.size() / 2],
             times.front(), times.back());
}

// Of 512 boxes in 1088 x 800 pixels: sides of 16 to 112 pixels (those of P2), or of 16 to 500. A
// fixed rule, which the peer follows too.
torch::Tensor rois(double largest) {
  const auto i = torch::arange(512, torch::kFloat64);
  const auto unit = [&](double step) { return torch::frac(i * step); };
  const auto w = 16 + unit(0.6180339887) * (largest - 16);
  const auto h = 16 + unit(0.7548776662) * (largest - 16);
  const auto x = unit(0.5698402910) * (1088 - w), y = unit(0.8191725134) * (800 - h);
  return torch::stack({torch::zeros_like(x), x, y, x + w, y + h}, 1).to(torch::kFloat);
}

void pooling(at::MemoryFormat format, const char* forward, const char* backward) {
  const auto map = torch::randn({1, 256, 200, 272}).contiguous(format).requires_grad_();
  const auto small = rois(112);
  const auto some = small.slice(0, 0, 8);
  const double error = (roi_align(map, 0.25, some, {}) -
                        eager_roi_align({map}, {0.25}, some, torch::zeros({8}, torch::kInt64), {}))
                           .abs()
                           .max()
                           .item<double>();
  require(error < 1e-4, ErrorCode::kMismatch, "roi_align is off by {}", error);
  torch::Tensor pooled;
  report(forward, [&] { pooled = roi_align(map, 0.25, small, {}); });
  const auto d_pooled = torch::randn_like(pooled);
  report(backward,
         [&] { torch::autograd::grad({pooled}, {map}, {d_pooled}, /*retain_graph=*/true); });
}

void pyramid() {
  std::vector<torch::Tensor> maps;
  for (const int64_t scale : {4, 8, 16, 32}) {
    const int64_t h = 800 / scale, w = 1088 / scale;
    maps.push_back(
        torch::randn({1, 256, h, w}).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_());
  }
  const auto mixed = rois(500);
  torch::Tensor pooled;
  report("four levels, forward", [&] { pooled = extract_rois(maps, {4, 8, 16, 32}, mixed, {}); });
  const auto d_pooled = torch::randn_like(pooled);
  report("four levels, backward",
         [&] { torch::autograd::grad({pooled}, maps, {d_pooled}, /*retain_graph=*/true); });
}

void others() {
  const auto anchors =
      torch::cat(make_anchors({}, {{200, 272}, {100, 136}, {50, 68}, {25, 34}, {13, 17}}));
  const auto boxes = rois(500).slice(1, 1, 5);
  report("assign 217 413 anchors to 100 boxes",
         [&] { assign(anchors, boxes.slice(0, 0, 100), {}); });
  const auto moved = torch::cat({boxes, boxes + 3, boxes + 9}).repeat({6, 1});
  const auto many = (moved + torch::rand({moved.size(0), 4}) * 60).slice(0, 0, 8600);
  const auto scores = torch::rand({many.size(0)});
  report("suppress 8600 boxes (keep all)", [&] { nms(many, scores, 0.7); });
  report("suppress 8600 boxes, keep 2000", [&] { nms(many, scores, 0.7, 2000); });
  const auto masks = (torch::rand({20, 800, 1088}) > 0.5).to(torch::kUInt8);
  const auto owners = torch::remainder(torch::arange(128), 20);
  report("128 mask targets", [&] { mask_targets(masks, boxes.slice(0, 0, 128), owners); });
  const auto pasted = torch::rand({100, 28, 28});
  report("paste 100 masks", [&] { paste_masks(pasted, boxes.slice(0, 0, 100), {800, 1088}); });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc > 1) at::set_num_threads(std::max(1, std::atoi(argv[1])));
    torch::manual_seed(1);
    fmt::print("{} threads\n", at::get_num_threads());
    pooling(at::MemoryFormat::ChannelsLast, "channels-last, forward", "channels-last, backward");
    pooling(at::MemoryFormat::Contiguous, "planes, forward", "planes, backward");
    pyramid();
    others();
  } catch (const std::exception& error) {
    fmt::print(stderr, "asmlp_roi_align_bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
