// Seconds of a COCO evaluation: reading the two files, and scoring.
//
//   asmlp_coco_eval_bench bbox|segm ANNOTATIONS RESULTS [ROUNDS [THREADS]]
//
// prints one line "read_seconds evaluate_seconds" per round, then the twelve numbers in full
// precision. "read" ends with detections that could be scored; "evaluate" begins there and includes
// turning the annotations' outlines into masks, as pycocotools does in COCOeval.evaluate.
// benchmarks/coco_eval_peer.py makes the files and runs this program in turn with pycocotools.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/dataset/coco/coco.h"
#include "asmlp/dataset/coco/coco_results.h"

namespace {

using namespace asmlp;
using Clock = std::chrono::steady_clock;

double seconds(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

void run(const std::string& task_name, const char* annotations_path, const char* results_path,
         int rounds, int threads) {
  require(task_name == "bbox" || task_name == "segm", ErrorCode::kInvalidArgument,
          "{}: the task is bbox or segm", task_name);
  const CocoTask task = task_name == "bbox" ? CocoTask::kBox : CocoTask::kMask;
  ThreadPool pool(threads);
  CocoScores scores;
  for (int round = 0; round < rounds; ++round) {
    const auto begin = Clock::now();
    const CocoAnnotations coco = read_coco(annotations_path);
    const std::vector<CocoDetection> detections = read_coco_results(results_path, task, coco);
    const auto loaded = Clock::now();
    const std::vector<CocoGroundTruth> ground_truth = coco_ground_truth(coco, task, pool);
    scores =
        evaluate_coco(task, static_cast<int>(coco.images.size()),
                      static_cast<int>(coco.categories.size()), ground_truth, detections, pool);
    fmt::print("{:.4f} {:.4f}\n", seconds(begin, loaded), seconds(loaded, Clock::now()));
  }
  const auto stats = scores.stats();
  fmt::print("{}\n", fmt::join(stats, " "));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4 || argc > 6) {
    fmt::print(stderr,
               "usage: asmlp_coco_eval_bench bbox|segm ANNOTATIONS RESULTS [ROUNDS [THREADS]]\n");
    return 2;
  }
  try {
    run(argv[1], argv[2], argv[3], argc > 4 ? std::atoi(argv[4]) : 1,
        argc > 5 ? std::atoi(argv[5]) : 0);
  } catch (const std::exception& error) {
    fmt::print(stderr, "asmlp_coco_eval_bench: {}\n", error.what());
    return 1;
  }
}
