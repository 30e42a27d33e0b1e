#include "asmlp/server/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace asmlp::server {
namespace metrics_test {

using testing::HasSubstr;

TEST(Histogram, CountsUpToEachBoundAndAbove) {
  Histogram histogram({1, 2});
  for (const double value : {0.5, 1.0, 1.5, 9.0}) histogram.add(value);
  EXPECT_EQ(histogram.text("h", "a=\"b\""),
            "h_bucket{a=\"b\",le=\"1\"} 2\nh_bucket{a=\"b\",le=\"2\"} 3\n"
            "h_bucket{a=\"b\",le=\"+Inf\"} 4\nh_sum{a=\"b\"} 12\nh_count{a=\"b\"} 4\n");
  EXPECT_THAT(histogram.text("h", ""), HasSubstr("h_bucket{le=\"1\"} 2\n"));
  EXPECT_THAT(histogram.text("h", ""), HasSubstr("h_count 4\n"));
}

// Every line is a comment or "name{labels} number"; each name is described once, before its
// samples.
TEST(Metrics, HasTheFormOfPrometheus) {
  Metrics metrics;
  metrics.add_request("m\"1", "predict", 200, 0.01);
  metrics.add_request("m\"1", "predict", 200, 0.02);
  metrics.add_request("", "health", 503, 0);
  const std::vector<Timing> batch{{0.001, 0.5, 2}, {0.002, 0.5, 2}};
  metrics.add_batch("m", batch);
  metrics.add_batch("m", {});
  const std::vector<Metrics::Gauge> gauges{{"g", "A gauge.", "k=\"1\"", 1.5},
                                           {"g", "A gauge.", "k=\"2\"", 2}};
  const std::string text = metrics.text(gauges);
  EXPECT_THAT(
      text,
      HasSubstr("asmlp_requests_total{model=\"m\\\"1\",endpoint=\"predict\",code=\"200\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("asmlp_images_total{model=\"m\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("asmlp_queue_duration_seconds_count{model=\"m\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("asmlp_compute_duration_seconds_count{model=\"m\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("asmlp_batch_size_bucket{model=\"m\",le=\"1\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("asmlp_batch_size_bucket{model=\"m\",le=\"2\"} 1\n"));
  EXPECT_EQ(text.back(), '\n');
  std::istringstream lines(text);
  std::map<std::string, int> described;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) ++described[line.substr(7, line.find(' ', 7) - 7)];
    if (line.starts_with("#")) continue;
    const size_t end = line.rfind(' ');
    ASSERT_NE(end, std::string::npos) << line;
    EXPECT_NO_THROW(std::stod(line.substr(end + 1))) << line;
    std::string name = line.substr(0, line.find_first_of("{ "));
    for (const char* suffix : {"_bucket", "_sum", "_count"}) {
      if (name.ends_with(suffix)) name.resize(name.size() - std::string(suffix).size());
    }
    EXPECT_EQ(described[name], 1) << line;
  }
  EXPECT_EQ(label_value("a\\b\n\"c"), "a\\\\b\\n\\\"c");
  EXPECT_GT(resident_memory(), 1 << 20);
}

}  // namespace metrics_test
}  // namespace asmlp::server
