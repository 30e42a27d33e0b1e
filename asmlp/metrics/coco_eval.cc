#include "asmlp/metrics/coco_eval.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>

#include "asmlp/metrics/coco_match.h"
#include "asmlp/metrics/run_throwing.h"

namespace asmlp {
namespace {

// The places of a detection within its image and category that count: AR1, AR10.
constexpr std::array<int, 2> kFewDetections = {1, 10};

// What one category contributes, per area range; nothing where it has no object.
struct CategoryScores {
  std::array<int, kCocoAreas> objects{};
  std::array<std::array<double, kCocoOverlaps>, kCocoAreas> precision{};  // mean over the recalls
  std::array<std::array<double, kCocoOverlaps>, kCocoAreas> recall{};
  std::array<CocoCurve, kCocoOverlaps> curves{};                  // all areas
  std::array<std::array<double, kCocoOverlaps>, 2> few_recall{};  // of kFewDetections, all areas
};

// Points of a precision-recall curve, one per detection that counts, by falling score.
struct Curve {
  std::vector<double> precision, recall;

  // At each of the recalls the largest precision of this or a higher recall, 0 where the recall is
  // not reached.
  CocoCurve sampled() {
    for (size_t i = precision.size(); i-- > 1;) {
      precision[i - 1] = std::max(precision[i - 1], precision[i]);
    }
    CocoCurve curve{};
    size_t at = 0;
    for (int r = 0; r < kCocoRecalls; ++r) {
      // numpy.linspace(0, 1, 101) to the bit.
      const double wanted = r == kCocoRecalls - 1 ? 1.0 : r * 0.01;
      while (at < recall.size() && recall[at] < wanted) ++at;
      if (at == recall.size()) break;
      curve[size_t(r)] = precision[at];
    }
    return curve;
  }
};

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

void score_curve(const std::vector<const CocoMark*>& marks, int area, CategoryScores& scores) {
  const int objects = scores.objects[area];
  if (objects == 0) return;
  Curve curve;
  for (int t = 0; t < kCocoOverlaps; ++t) {
    curve.precision.clear();
    curve.recall.clear();
    int64_t right = 0, wrong = 0;
    for (const CocoMark* mark : marks) {
      if ((mark->ignored[area] >> t & 1) != 0) continue;
      ((mark->matched[area] >> t & 1) != 0 ? right : wrong) += 1;
      // The epsilon is numpy.spacing(1), as in COCOeval.
      curve.precision.push_back(
          double(right) / (double(wrong) + double(right) + std::numeric_limits<double>::epsilon()));
      curve.recall.push_back(double(right) / objects);
    }
    scores.recall[area][t] = double(right) / objects;
    const CocoCurve sampled = curve.sampled();
    scores.precision[area][t] = mean(sampled);
    if (area == 0) scores.curves[t] = sampled;
  }
}

// The recall of the first detections of each image alone.
void score_few(std::span<const CocoCell> cells, CategoryScores& scores) {
  if (scores.objects[0] == 0) return;
  for (size_t m = 0; m < kFewDetections.size(); ++m) {
    for (const CocoCell& cell : cells) {
      const size_t count = std::min<size_t>(cell.marks.size(), kFewDetections[m]);
      for (const CocoMark& mark : std::span(cell.marks).first(count)) {
        for (int t = 0; t < kCocoOverlaps; ++t) {
          scores.few_recall[m][t] += (mark.matched[0] & ~mark.ignored[0]) >> t & 1;
        }
      }
    }
    for (double& recall : scores.few_recall[m]) recall /= scores.objects[0];
  }
}

// `cells` are those of one category, in the order of the images.
CategoryScores score_category(std::span<const CocoCell> cells) {
  CategoryScores scores;
  std::vector<const CocoMark*> marks;
  for (const CocoCell& cell : cells) {
    for (int area = 0; area < kCocoAreas; ++area) scores.objects[area] += cell.objects[area];
    for (const CocoMark& mark : cell.marks) marks.push_back(&mark);
  }
  std::stable_sort(marks.begin(), marks.end(),
                   [](const CocoMark* a, const CocoMark* b) { return a->score > b->score; });
  for (int area = 0; area < kCocoAreas; ++area) score_curve(marks, area, scores);
  score_few(cells, scores);
  return scores;
}

// The mean of value(category) over the categories with objects of this area range, or -1.
template <typename Value>
double mean_over(std::span<const CategoryScores> categories, int area, const Value& value) {
  double sum = 0;
  int count = 0;
  for (const CategoryScores& category : categories) {
    if (category.objects[area] == 0) continue;
    sum += value(category);
    ++count;
  }
  return count > 0 ? sum / count : -1;
}

CocoScores summarize(std::span<const CategoryScores> categories) {
  using Category = const CategoryScores&;
  const auto ap = [&](int area) {
    return mean_over(categories, area, [=](Category c) { return mean(c.precision[area]); });
  };
  const auto ap_at = [&](int overlap) {
    return mean_over(categories, 0, [=](Category c) { return c.precision[0][overlap]; });
  };
  const auto ar = [&](int area) {
    return mean_over(categories, area, [=](Category c) { return mean(c.recall[area]); });
  };
  const auto ar_few = [&](int m) {
    return mean_over(categories, 0, [=](Category c) { return mean(c.few_recall[m]); });
  };
  CocoScores scores;
  scores.ap = ap(0);
  scores.ap50 = ap_at(0);
  scores.ap75 = ap_at(5);
  scores.ap_small = ap(1);
  scores.ap_medium = ap(2);
  scores.ap_large = ap(3);
  scores.ar1 = ar_few(0);
  scores.ar10 = ar_few(1);
  scores.ar100 = ar(0);
  scores.ar_small = ar(1);
  scores.ar_medium = ar(2);
  scores.ar_large = ar(3);
  for (Category category : categories) {
    scores.category_ap.push_back(category.objects[0] > 0 ? mean(category.precision[0]) : -1);
    scores.curves.push_back(category.curves);
    if (category.objects[0] > 0) continue;
    for (CocoCurve& curve : scores.curves.back()) curve.fill(-1);
  }
  return scores;
}

}  // namespace

CocoCurve mean_curve(const CocoScores& scores, int overlap) {
  CocoCurve sum{};
  int count = 0;
  for (const auto& curves : scores.curves) {
    const CocoCurve& curve = curves[size_t(overlap)];
    if (curve[0] < 0) continue;
    std::transform(sum.begin(), sum.end(), curve.begin(), sum.begin(), std::plus());
    ++count;
  }
  for (double& value : sum) value = count > 0 ? value / count : -1;
  return sum;
}

CocoScores evaluate_coco(CocoTask task, int images, int categories,
                         std::span<const CocoGroundTruth> ground_truth,
                         std::span<const CocoDetection> detections, ThreadPool& pool) {
  const std::vector<CocoCell> cells =
      match_coco(task, images, categories, ground_truth, detections, pool);
  std::vector<CategoryScores> scores(static_cast<size_t>(categories));
  run_throwing(pool, categories, [&](int label) {
    const auto begin = std::ranges::lower_bound(cells, label, {}, &CocoCell::label);
    const auto end = std::ranges::upper_bound(begin, cells.end(), label, {}, &CocoCell::label);
    scores[label] = score_category(std::span(begin, end));
  });
  return summarize(scores);
}

}  // namespace asmlp
