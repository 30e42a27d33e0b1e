#include "asmlp/server/task_request.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "asmlp/core/error.h"
#include "asmlp/server/errors.h"
#include "asmlp/server/protocol/multipart.h"

namespace asmlp::server {
namespace {

std::vector<std::string> parameters_of(Task task) {
  switch (task) {
    case Task::kClassify:
      return {"model", "topk"};
    case Task::kDetect:
      return {"model", "threshold", "masks"};
    case Task::kSegment:
      break;
  }
  return {"model", "format"};
}

template <typename Number>
Number number_in(const std::string& name, const std::string& text, Number least, Number most) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(
      error == std::errc() && end == text.data() + text.size() && value >= least && value <= most,
      ErrorCode::kInvalidArgument, "{}={}: must be a number from {} to {}", name, text, least,
      most);
  return value;
}

// Whether the value is the first of two.
bool one_of(const std::string& name, const std::string& text, const char* first,
            const char* second) {
  require(text == first || text == second, ErrorCode::kInvalidArgument, "{}={}: must be {} or {}",
          name, text, first, second);
  return text == first;
}

void read_pictures(const HttpRequest& request, TaskRequest& result) {
  const std::string type = request.header("content-type");
  if (!is_multipart(type)) {
    require(!request.body->empty(), ErrorCode::kBadFormat,
            "the body is empty; send the bytes of a picture, or multipart/form-data");
    result.pictures.push_back({request.body, *request.body});
    result.names.emplace_back("image");
    return;
  }
  for (const Part& part : parse_multipart(*request.body, type)) {
    result.pictures.push_back({request.body, part.content});
    result.names.push_back(part.filename.empty() ? "image" : part.filename);
  }
  require(!result.pictures.empty(), ErrorCode::kBadFormat, "multipart/form-data without a file");
}

}  // namespace

TaskRequest read_task_request(Task task, const HttpRequest& request) {
  TaskRequest result;
  const std::vector<std::string> known = parameters_of(task);
  for (const auto& [name, value] : request.query) {
    require(std::ranges::find(known, name) != known.end(), ErrorCode::kInvalidArgument,
            "the parameter {} is not known; {} takes {}", name, request.path,
            fmt::join(known, ", "));
    require(request.query.count(name) == 1, ErrorCode::kInvalidArgument,
            "the parameter {} is given twice", name);
    if (name == "topk") result.top_k = number_in(name, value, 1, 1 << 20);
    if (name == "threshold") result.threshold = number_in(name, value, 0.0, 1.0);
    if (name == "masks") result.masks = one_of(name, value, "true", "false");
    if (name == "format") result.png = one_of(name, value, "png", "json");
  }
  read_pictures(request, result);
  require(!result.png || result.pictures.size() == 1, ErrorCode::kInvalidArgument,
          "format=png: send one picture; there are {}", result.pictures.size());
  return result;
}

HttpReply task_reply(const ServedModel& model, const Json& source, const TaskRequest& request,
                     const Results& done, double seconds) {
  const bool none = std::ranges::none_of(done.errors, [](const auto& e) { return e == nullptr; });
  if (none) done.check();
  HttpReply reply;
  if (request.png) {
    reply.type = "image/png";
    reply.body = label_png(model.model(), done.images.front());
    return reply;
  }
  Json document{{"model", source}, {"images", Json::array()}, {"failed", Json::array()}};
  for (size_t i = 0; i < done.images.size(); ++i) {
    const std::string& name = request.names[i];
    if (done.errors[i] != nullptr) {
      try {
        std::rethrow_exception(done.errors[i]);
      } catch (const std::exception& error) {
        const ErrorFacts facts = facts_of(error);
        document["failed"].push_back(
            {{"file", name}, {"code", facts.code}, {"message", facts.message}});
      }
      continue;
    }
    const Work& work = done.images[i];
    document["images"].push_back(
        model.task() == Task::kClassify ? predict_entry(model.model(), name, work, request.top_k)
        : model.task() == Task::kDetect ? detect_entry(model.model(), name, static_cast<int>(i),
                                                       work, request.threshold, request.masks)
                                        : segment_entry(model.model(), name, work));
  }
  document["seconds"] = seconds;
  reply.body = to_text(document);
  return reply;
}

}  // namespace asmlp::server
