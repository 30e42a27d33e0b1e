// The contact sheet of `validate`: what the model saw and said, and what it mixes up.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/image/image.h"
#include "asmlp/report/draw/confusion_drawing.h"

namespace asmlp::cli {

// One image of the sheet.
struct SheetItem {
  Image image;  // as the network saw it
  int target = 0;
  int predicted = 0;
  float probability = 0;  // of the predicted class
};

struct Sheet {
  std::string title;     // e.g. "fashion_nano  93.4 % of 10,000 images"
  std::string subtitle;  // one line of details
  std::vector<SheetItem> samples;
  std::vector<SheetItem> mistakes;  // the most confident ones first
  std::vector<std::string> classes;
};

// How many images of each kind fill their part of the sheet.
inline constexpr int kSheetSamples = 40;
inline constexpr int kSheetMistakes = 24;

// Draws a picture 1600 pixels wide and writes it as PNG: samples and mistakes on the left, the
// confusion matrix (of the 20 classes with the most errors, when there are more) with per-class
// accuracy and the most frequent confusions on the right.
void write_sheet(const std::filesystem::path& path, const Sheet& sheet,
                 const ConfusionMatrix& confusion);

}  // namespace asmlp::cli
