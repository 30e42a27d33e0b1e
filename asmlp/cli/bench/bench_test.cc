// What `asmlp bench` decides before it measures, and how it words the outcome.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "asmlp/cli/bench/bench_latency.h"
#include "asmlp/cli/bench/bench_plot.h"
#include "asmlp/cli/bench/bench_precision.h"
#include "asmlp/cli/bench/bench_report.h"
#include "asmlp/cli/bench/bench_verify.h"
#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/model/params.h"
#include "asmlp/model/zoo.h"
#include "asmlp/report/machine.h"

namespace asmlp::cli::bench_test {
namespace {

using testing::HasSubstr;

TEST(VerificationSize, IsTheCasesOwnUnlessTheReferenceWouldTakeTooLong) {
  const Config tiny = zoo_model("asmlp_tiny_patch4_shift5_224").config;
  const Config base = zoo_model("asmlp_base_patch4_shift5_224").config;
  EXPECT_EQ(verification_size(tiny, 224), 224);
  EXPECT_EQ(verification_size(tiny, 97), 97);
  EXPECT_EQ(verification_size(tiny, 1024), 224);
  EXPECT_EQ(verification_size(base, 224), 160);
  EXPECT_EQ(verification_size(base, 384), 160);
  for (const std::string& name : zoo_names()) {
    for (int size : {1, 31, 224, 300, 384, 385, 4096}) {
      const Config config = zoo_model(name).config;
      const int chosen = verification_size(config, size);
      EXPECT_GE(chosen, 1);
      EXPECT_LE(chosen, size);
      EXPECT_LE(multiply_adds(config, chosen, chosen), 10'000'000'000) << name << " " << size;
    }
  }
}

TEST(ShortModelName, OnlyTheZoosNamesAreShortened) {
  EXPECT_EQ(short_model_name("asmlp_mobile_patch4_shift5_224"), "mobile");
  EXPECT_EQ(short_model_name("asmlp_mobile_with_my_changes"), "asmlp_mobile_with_my_changes");
  EXPECT_EQ(short_model_name(""), "");
}

// One row with two steps in stage 1 and one in the head.
Json document() {
  Json json = measurement_document();
  const auto step = [](const char* name, int stage, double ms, double gflops) {
    return Json{{"name", name},     {"stage", stage},   {"ms", ms},
                {"share", ms / 10}, {"gflops", gflops}, {"ratio", gflops / 200}};
  };
  json["rows"].push_back(
      {{"model", "m"},
       {"weights", "deterministic"},
       {"backend", "native"},
       {"isa", "avx2"},
       {"precision", "fp32"},
       {"img_size", 64},
       {"batch", 2},
       {"threads", 3},
       {"latency_ms", {{"median", 10.0}, {"min", 9.5}, {"p10", 9.6}, {"p90", 123.4}}},
       {"ms_per_image", 5.0},
       {"images_per_second", 200.0},
       {"gflops", 100.0},
       {"peak", {{"instruction", "fma"}, {"gflops", 200.0}, {"ratio", 0.5}}},
       {"verified", {{"img_size", 32}, {"relative_error", 2e-6}, {"tolerance", 1e-4}}},
       {"weight_bytes", 1'500'000},
       {"steps", {step("conv1", 0, 2, 150), step("conv1", 1, 6, 50), step("gelu", 1, 2, 0)}}});
  return json;
}

TEST(BenchText, StepsAddUpOverTheStages) {
  const std::string text = bench_text(document(), Markup::kMarkdown);
  // 2 ms at 150 and 6 ms at 50 GFLOP/s are 8 ms at 75; over all 10 ms it is 60.
  EXPECT_THAT(text, HasSubstr("| conv1 | 2.000 (75 %) | 6.000 (25 %) | 8.000 | 80.0 % | 75.0 | "
                              "37.5 % |"));
  EXPECT_THAT(text, HasSubstr("| gelu | - | 2.000 | 2.000 | 20.0 % | - | - |"));
  EXPECT_THAT(text, HasSubstr("| all | 2.000 (75 %) | 8.000 (19 %) | 10.00 | 100.0 % | 60.0 | "
                              "30.0 % |"));
}

TEST(BenchText, SaysWhereEachRowWasVerifiedAndWhatItReached) {
  const std::string text = bench_text(document(), Markup::kPlain);
  for (const char* part : {"32 x 32", "2.0e-06", "9.600-123.4", "200.0 fma", "50.0 %", "1.5 MB",
                           "deterministic weights"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

// The document above with a row of --latency behind its own.
Json document_with_latency() {
  Json json = document();
  Json row = json["rows"][0];
  for (const char* key : {"peak", "steps", "weight_bytes", "gflops", "ms_per_image"}) {
    row.erase(key);
  }
  row["batch"] = 1;
  row["callers"] = 7;
  row["images_per_second"] = 55.5;
  row["latency_ms"] = {{"p50", 11.5}, {"p90", 12.5}, {"p99", 133.3}, {"min", 9.0}, {"max", 144.4}};
  json["rows"].push_back(row);
  return json;
}

TEST(BenchText, RowsOfLatencyHaveATableOfTheirOwn) {
  const Json both = document_with_latency();
  const std::string expected =
      "| m | native | avx2 | fp32 | 64 | 1 | 7 | 3 | 11.50 | 12.50 | 133.3 | 144.4 | 55.5 | "
      "2.0e-06 |";
  const std::string text = bench_text(both, Markup::kMarkdown);
  EXPECT_THAT(text, HasSubstr(expected));
  EXPECT_THAT(text, HasSubstr(bench_text(document(), Markup::kMarkdown).substr(0, 400)));
  EXPECT_THAT(bench_text(document(), Markup::kPlain), testing::Not(HasSubstr("Latency")));
  Json alone = both;
  alone["rows"].erase(0);
  const std::string latency = bench_text(alone, Markup::kMarkdown);
  EXPECT_THAT(latency, HasSubstr(expected));
  EXPECT_THAT(latency, testing::Not(HasSubstr("## Speed")));
  EXPECT_THROW(write_bench_plot("/nowhere/p.png", alone), Error);
}

TEST(Latency, DefaultCallersAreAscendingAndReachTheCores) {
  const std::vector<int> callers = default_callers();
  EXPECT_EQ(callers.front(), 1);
  EXPECT_EQ(callers.back(), std::max(2, available_cores()));
  EXPECT_TRUE(std::ranges::is_sorted(callers, std::less_equal<>()));
}

TEST(BenchPrecision, OfEveryPrecision) {
  for (Precision precision : all_precisions()) {
    SCOPED_TRACE(to_string(precision));
    EXPECT_GE(allowed_error(precision), allowed_error(Precision::kFp32));
    EXPECT_LE(bytes_per_weight(precision), bytes_per_weight(Precision::kFp32));
  }
}

}  // namespace
}  // namespace asmlp::cli::bench_test
