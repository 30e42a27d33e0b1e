// The outline of an object, in every form that tools write.
#pragma once

#include <nlohmann/json.hpp>

#include "asmlp/dataset/coco/coco.h"

namespace asmlp {

// Reads the member "segmentation" into polygons or mask of an annotation: a list of polygons, one
// flat polygon [x, y, x, y, ...], a list of points [[x, y], ...], a list of such lists, run
// lengths, or any of these as text. null, false, and what is empty are no outline. Returns how many
// polygons of fewer than 3 points were left out. Error (kBadFormat), which leaves the annotation
// without outline, says what is wrong.
int read_outline(const nlohmann::json& segmentation, CocoAnnotation& annotation);

// The smallest box around the outline, which the annotation must have.
CocoBox box_of_outline(const CocoAnnotation& annotation);

// Pixel columns that the edges of the polygons cross in an image of that width: what it costs to
// draw them, at 50 ns each.
double crossed_columns(const CocoAnnotation& annotation, int width);

// The sum of the areas that the polygons enclose, whether they overlap or lie outside the image.
double enclosed_area(const CocoAnnotation& annotation);

}  // namespace asmlp
