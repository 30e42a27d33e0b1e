// POST /v1/predict, /v1/detect, /v1/segment: pictures in, the document of the command's --json out.
#pragma once

#include <string>
#include <vector>

#include "asmlp/server/message.h"
#include "asmlp/server/results_json.h"
#include "asmlp/server/served_model.h"

namespace asmlp::server {

struct TaskRequest {
  std::vector<Picture> pictures;
  std::vector<std::string> names;  // of their files; "image" where none is given
  int top_k = 5;                   // predict
  double threshold = 0;            // detect
  bool masks = true;               // detect
  bool png = false;                // segment: the label map alone
};

// The body is a picture, or multipart/form-data whose files are pictures. Query: model; predict:
// topk; detect: threshold, masks; segment: format. Error(kInvalidArgument) for other parameters and
// values out of range, kBadFormat for a body without picture.
TaskRequest read_task_request(Task task, const HttpRequest& request);

// {"model", "images", "failed", "seconds"}; `source` is the member "model". When no picture could
// be read, the first error is thrown instead.
HttpReply task_reply(const ServedModel& model, const Json& source, const TaskRequest& request,
                     const Results& done, double seconds);

}  // namespace asmlp::server
