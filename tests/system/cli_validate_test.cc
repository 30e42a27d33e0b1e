// asmlp validate of a classifier: which data, which classes, and what is written of each image.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/command.h"

namespace asmlp::test::cli_validate_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::vector<std::string> kPhotos{"astronaut.png", "chelsea.png", "coffee.png"};

// A model of the classes "kind a" to "kind e", and folders of photographs.
class ValidateCommand : public testing::Test {
 protected:
  void SetUp() override { model_ = write_model(path("m.safetensors")); }

  std::string path(const std::string& name) const { return folder_.path() / name; }
  void add_class(const std::string& folder) const {
    fs::create_directories(path(folder));
    for (const std::string& photo : kPhotos) {
      fs::copy_file(data("photos/" + photo), path(folder + "/" + photo));
    }
  }
  Outcome validate(const std::string& data, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"validate", path(data), "--model", model_, "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  static std::vector<std::map<std::string, std::string>> rows_of(const fs::path& file) {
    std::istringstream lines(slurp(file));
    std::vector<std::string> titles;
    std::vector<std::map<std::string, std::string>> rows;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream cells(line);
      std::vector<std::string> row;
      for (std::string cell; std::getline(cells, cell, ',');) row.push_back(cell);
      if (titles.empty()) {
        titles = row;
        continue;
      }
      rows.emplace_back();
      for (size_t i = 0; i < titles.size(); ++i) rows.back()[titles[i]] = row.at(i);
    }
    return rows;
  }

  TemporaryFolder folder_;
  std::string model_;
};

TEST_F(ValidateCommand, OtherClassesAreAnErrorBeforeTheFirstImage) {
  for (const char* name : {"tench", "church", "kind c", "golf ball", "parachute"}) {
    add_class(std::string("data/val/") + name);
  }
  const Outcome other = validate("data");
  EXPECT_EQ(other.code, 1);
  EXPECT_EQ(other.json()["error"]["code"], "mismatch");
  EXPECT_THAT(other.err,
              AllOf(HasSubstr("only in the data (5 classes): church, golf ball, parachute, tench"),
                    HasSubstr("only in the model (5 classes): kind a, kind b, kind d, kind e"),
                    Not(HasSubstr("validate: "))));
}

TEST_F(ValidateCommand, ClassesAreMatchedByNameAndMayBeSome) {
  for (const char* name : {"Kind_E", "kind-b"}) add_class(std::string("data/val/") + name);
  const Outcome two = validate("data", {"--predictions", path("two.csv")});
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_THAT(two.err, AllOf(HasSubstr("'Kind_E' is 'kind e'"),
                             HasSubstr("2 of the model's 5 classes"), HasSubstr("--valid-labels")));
  const auto rows = rows_of(path("two.csv"));
  ASSERT_EQ(rows.size(), 6u);
  int right = 0;
  for (const auto& row : rows) {
    const std::string wanted = row.at("filename").starts_with("Kind_E/") ? "kind e" : "kind b";
    EXPECT_EQ(row.at("target_label"), wanted);
    EXPECT_EQ(row.at("target"), wanted == "kind e" ? "4" : "1");
    EXPECT_EQ(row.at("correct") == "1", row.at("label") == wanted);
    EXPECT_EQ(row.at("correct_top5"), "1");
    EXPECT_THAT(row.at("top5"), testing::StartsWith(row.at("prediction") + " "));
    right += row.at("correct") == "1";
  }
  EXPECT_DOUBLE_EQ(two.json()["top1"].get<double>(), 100.0 * right / 6);
  // The same images as `predict` sees them.
  const Json predicted = run({"predict", path("data/val"), "--model", model_, "--json"}).json();
  std::map<std::string, std::string> labels;
  for (const Json& image : predicted["images"]) {
    labels[fs::path(image["file"].get<std::string>()).lexically_relative(path("data/val"))] =
        image["predictions"][0]["label"];
  }
  for (const auto& row : rows) EXPECT_EQ(labels.at(row.at("filename")), row.at("label"));
}

// Among the classes of a list only, by names or numbers; images of others are left out.
TEST_F(ValidateCommand, ValidLabelsRestrictPredictions) {
  for (const char c : {'a', 'b', 'c', 'd', 'e'}) add_class(std::string("data/val/kind ") + c);
  std::ofstream(path("names.txt")) << "kind d\nKIND_B\n";
  std::ofstream(path("numbers.txt")) << "1\n3\n";
  const Outcome names =
      validate("data", {"--valid-labels", path("names.txt"), "--predictions", path("n.csv")});
  ASSERT_EQ(names.code, 0) << names.err;
  EXPECT_THAT(names.err, HasSubstr("9 of 15 images are of classes that"));
  EXPECT_EQ(names.json()["images"], 6);
  for (const auto& row : rows_of(path("n.csv"))) {
    EXPECT_TRUE(row.at("label") == "kind b" || row.at("label") == "kind d");
    EXPECT_TRUE(row.at("top5") == "1 3" || row.at("top5") == "3 1");
    EXPECT_NEAR(std::stod(row.at("prob")) +
                    (row.at("correct") == "1" ? 0 : std::stod(row.at("target_prob"))),
                row.at("correct") == "1" ? std::stod(row.at("target_prob")) : 1, 1e-5);
  }
  const Outcome numbers =
      validate("data", {"--valid-labels", path("numbers.txt"), "--predictions", path("k.csv")});
  EXPECT_EQ(slurp(path("k.csv")), slurp(path("n.csv")));
  EXPECT_EQ(numbers.json()["top1"], names.json()["top1"]);
  const Outcome confusion = validate(
      "data", {"--valid-labels", path("numbers.txt"), "--confusion", "--sheet", path("s.png")});
  EXPECT_EQ(confusion.json()["class_names"], (Json{"kind b", "kind d"}));
  EXPECT_EQ(confusion.json()["confusion"].size(), 2u);
  const auto refused = [&](const std::string& text, const std::string& word) {
    std::ofstream(path("bad.txt")) << text;
    const Outcome outcome = validate("data", {"--valid-labels", path("bad.txt")});
    EXPECT_EQ(outcome.code, 1) << text;
    EXPECT_THAT(outcome.err, HasSubstr(word));
  };
  refused("", "lists no classes");
  refused("5\n", "class 5");
  refused("1\n1\n", "class 1 twice");
  refused("kind b\nkind x\n", "kind x");
}

TEST_F(ValidateCommand, TheSplitThatIsPrintedIsTheOneThatIsRead) {
  for (const char c : {'a', 'b', 'c', 'd', 'e'}) {
    for (const char* split : {"train", "test", "fold 3"}) {
      add_class(fmt::format("data/{}/kind {}", split, c));
    }
    add_class(fmt::format("plain/kind {}", c));
  }
  fs::remove(path("data/test/kind a/coffee.png"));
  fs::remove_all(path("data/fold 3/kind a"));
  const auto read = [&](const std::string& data, const std::vector<std::string>& more) {
    const Outcome outcome = validate(data, more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return fmt::format("{} {}", outcome.json()["split"].get<std::string>(),
                       outcome.json()["images"].get<int>());
  };
  EXPECT_EQ(read("data", {}), "test 14");
  EXPECT_EQ(read("data", {"--split", "test"}), "test 14");
  EXPECT_EQ(read("data", {"--split", "training"}), "train 15");
  EXPECT_EQ(read("data", {"--split", "fold 3"}), "fold 3 12");
  EXPECT_EQ(read("plain", {}), "all 15");
  const Outcome none = validate("data", {"--split", "val"});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("no split 'val'; there are: fold 3, test, train"));
  const Outcome plain = validate("plain", {"--split", "test"});
  EXPECT_EQ(plain.code, 1);
  EXPECT_THAT(plain.err, HasSubstr("leave --split out"));
}

TEST_F(ValidateCommand, NothingReadableIsAnErrorAndQuietIsQuiet) {
  for (const char c : {'a', 'b', 'c', 'd', 'e'}) add_class(std::string("data/kind ") + c);
  const Outcome quiet = validate("data", {"--quiet"});
  EXPECT_EQ(quiet.code, 0);
  EXPECT_EQ(quiet.err, "");
  EXPECT_EQ(quiet.json()["images"], 15);
  for (const auto& entry : fs::recursive_directory_iterator(path("data"))) {
    if (entry.is_regular_file()) std::ofstream(entry.path()) << "no picture";
  }
  const Outcome none = validate("data", {"-q", "--predictions", path("p.csv")});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, AllOf(HasSubstr("coffee.png"), HasSubstr("none of its 15 images")));
  EXPECT_FALSE(fs::exists(path("p.csv")));
}

}  // namespace
}  // namespace asmlp::test::cli_validate_test
