// What a classifier finds on every image of a data set, as the rows of a CSV file.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace asmlp::cli {

// Columns: filename, target and target_label (the true class), prediction, label and prob (the
// first class and its probability), target_prob, correct and correct_top5 (1 or 0), loss, top5 (up
// to five numbers of classes, divided by spaces). Numbers are those of the model's classes.
class PredictionRows {
 public:
  // `numbers`: of the classes whose logits are added, in the model; empty: 0, 1, 2, ... `classes`
  // are their names, or empty.
  PredictionRows(std::vector<int> numbers, std::vector<std::string> classes);

  // `target` is the place of the true class among the logits.
  void add(const std::string& name, int target, std::span<const float> logits);

  const std::string& csv() const { return csv_; }

 private:
  int number(int place) const;

  std::vector<int> numbers_;
  std::vector<std::string> classes_;
  std::string csv_;
};

}  // namespace asmlp::cli
