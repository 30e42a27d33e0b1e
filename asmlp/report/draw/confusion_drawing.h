// Pictures of confusion matrices: what a model takes for what.
#pragma once

#include <string>
#include <vector>

#include "asmlp/metrics/topk.h"
#include "asmlp/report/canvas.h"

namespace asmlp {

// A cell off the diagonal of a confusion matrix.
struct Confusion {
  int target = 0;
  int predicted = 0;
  int64_t count = 0;
};

// The `limit` most frequent confusions, most frequent first, ties by class.
std::vector<Confusion> most_confused(const ConfusionMatrix& confusion, int limit);

// Images of a class (its row), and the share of them that was recognized; 0 without images.
int64_t class_total(const ConfusionMatrix& confusion, int target);
double class_accuracy(const ConfusionMatrix& confusion, int target);

// The `limit` classes with the most errors, in class order.
std::vector<int> classes_with_errors(const ConfusionMatrix& confusion, int limit);

// What a matrix counts, which decides what its cells say: the number of images, or the share of the
// row's pixels in percent.
enum class Counted { kImages, kPixels };

// Where on a canvas: the upper left corner, and the width to fill.
struct Place {
  double x = 0, y = 0, width = 0;
};

// How a matrix is laid out.
struct MatrixStyle {
  Counted counted = Counted::kImages;
  double row_label = 112;    // room for the names of the rows
  double column_label = 84;  // and for the slanted ones of the columns
};

// The title, the matrix of the classes `shown`, and a column of their accuracies. Rows are true
// classes, columns predictions, shades the share of the row. The height that it takes is the first
// function's.
double matrix_height(const Place& place, size_t classes, const MatrixStyle& style = {});
void draw_matrix(Canvas& canvas, const Place& place, const ConfusionMatrix& confusion,
                 const std::vector<int>& shown, const std::vector<std::string>& classes,
                 const MatrixStyle& style = {});

// A title, and bars of the most frequent confusions.
double pairs_height(size_t pairs);
void draw_pairs(Canvas& canvas, const Place& place, const ConfusionMatrix& confusion,
                const std::vector<Confusion>& pairs, const std::vector<std::string>& classes,
                Counted counted = Counted::kImages);

// More classes than that are shown as their most frequent confusions.
inline constexpr int kMaxMatrixClasses = 50;

// A picture of its own. Names that `classes` lacks are "class k".
Image confusion_picture(const ConfusionMatrix& confusion, const std::vector<std::string>& classes,
                        Counted counted);

}  // namespace asmlp
