// What stands at the paths that users name and that their folders hold: pipes, devices, links,
// closed folders, full disks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/command.h"

namespace asmlp::test::cli_files_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class FilesCommand : public testing::Test {
 protected:
  void SetUp() override {
    model_ = write_model(path("m.safetensors"));
    photo_ = data("photos/chelsea.png");
  }
  std::string path(const std::string& name) const { return folder_.path() / name; }
  // A shell script in the folder of the test; $A is the command, $M the model, $P a photograph. One
  // that does not end within 20 seconds has code 124.
  Outcome sh(const std::string& script) const {
    return run({"20", "/bin/bash", "-c",
                "cd '" + folder_.path().string() + "'; A='" + ASMLP_BIN + "' M='" + model_ +
                    "' P='" + photo_ + "'; " + script},
               {.program = "/usr/bin/timeout"});
  }
  // data/train/a and data/val/a with a photograph, and beside it what is no picture.
  void make_data() const {
    for (const char* split : {"train", "val"}) {
      for (const char* name : {"a", "kind b"}) {
        const std::string folder = path(std::string("data/") + split + "/" + name);
        fs::create_directories(folder);
        fs::copy_file(photo_, folder + "/1.png");
      }
    }
  }
  TemporaryFolder folder_;
  std::string model_, photo_;
};

TEST_F(FilesCommand, SpecialFilesInFoldersOfImagesAreCountedNotOpened) {
  make_data();
  fs::create_directories(path("data/val/kind b"));
  const std::string in = path("data/train/a/");
  ASSERT_EQ(::mkfifo((in + "pipe.jpg").c_str(), 0600), 0);
  fs::create_symlink("gone.jpg", in + "dangling.jpg");
  fs::create_symlink("loop.jpg", in + "loop.jpg");
  fs::create_symlink("/dev/zero", in + "zero.png");
  const auto check = [](const Outcome& outcome) {
    for (const char* part :
         {"1 named pipe", "1 link to a missing file", "1 loop of links", "1 device"}) {
      EXPECT_THAT(outcome.err, HasSubstr(part));
    }
  };
  const Outcome shards = sh("$A dataset shards data --output shards");
  EXPECT_EQ(shards.code, 0) << shards.err;
  check(shards);
  const Outcome predicted = sh("$A predict data/train/a -m $M --json");
  EXPECT_EQ(predicted.code, 0) << predicted.err;
  EXPECT_EQ(predicted.json()["images"].size(), 1u);
  check(predicted);
  ASSERT_EQ(::mkfifo(path("shards/train-000009.tar").c_str(), 0600), 0);
  const Outcome index = sh("$A dataset index shards");
  EXPECT_EQ(index.code, 0) << index.err;
  EXPECT_THAT(index.err, HasSubstr("1 named pipe"));
}

TEST_F(FilesCommand, PipesAreReadWhereTheyAreNamed) {
  const std::string wanted =
      sh("$A predict $P -m $M --json").json()["images"][0]["predictions"].dump();
  for (const char* words :
       {"predict <(cat $P) -m $M", "predict /dev/stdin -m $M < <(cat $P)", "predict - -m $M < $P",
        "predict - -m $M < <(cat $P)", "predict $P -m <(cat $M)",
        "predict $P -m /dev/stdin < <(cat $M)", "predict @<(echo $P) -m $M",
        "predict $P -m $M --class-map <(printf 'kind %s\\n' a b c d e)"}) {
    const Outcome outcome = sh(std::string("$A ") + words + " --json");
    EXPECT_EQ(outcome.code, 0) << words << outcome.err;
    if (outcome.code != 0) continue;
    EXPECT_EQ(outcome.json()["images"][0]["predictions"].dump(), wanted) << words;
  }
  const Outcome info =
      sh("$A info <(cat $M) && $A info --config <(echo 'model: asmlp_tiny_patch4_shift5_224')");
  EXPECT_EQ(info.code, 0) << info.err;
  EXPECT_THAT(info.out, HasSubstr("28,"));
}

TEST_F(FilesCommand, OneInterruptEndsTheWaitingForAPipe) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  for (const char* words : {"predict pipe -m $M", "predict $P -m pipe", "info --config pipe",
                            "predict $P -m $M --class-map pipe", "predict @pipe -m $M"}) {
    const Outcome outcome = sh(std::string("timeout -s INT -k 5 1 $A ") + words + " ; exit $?");
    EXPECT_NE(outcome.code, 137) << words;  // that timeout had to kill it
    EXPECT_NE(outcome.code, 0) << words;
  }
}

TEST_F(FilesCommand, WhatIsNoFileIsNamedAsWhatItIs) {
  fs::create_symlink("gone", path("dangling"));
  fs::create_symlink("loop", path("loop"));
  const auto says = [&](const std::string& words, const std::string& part) {
    const Outcome outcome = sh("$A " + words);
    EXPECT_NE(outcome.code, 0) << words;
    EXPECT_NE(outcome.code, 124) << words;
    EXPECT_THAT(outcome.err, HasSubstr(part)) << words;
  };
  says("predict dangling -m $M", "a link to gone, which is missing");
  says("predict $P -m ./dangling", "a link to gone, which is missing");
  says("predict $P -m $M --class-map dangling", "a link to gone, which is missing");
  says("predict loop -m $M", "loop of links");
  says("predict /dev/zero -m $M", "is a device");
  says("predict $P -m /dev/urandom", "is a device");
  says("predict $P -m $M --class-map /dev/zero", "is a device");
  says("predict $P -m $M --class-map .", "folder");
}

TEST_F(FilesCommand, OutputsGoWhereTheyAreSent) {
  const Outcome out = sh("$A predict $P -m $M -q --results-format csv --results-file /dev/stdout");
  EXPECT_EQ(out.code, 0) << out.err;
  EXPECT_THAT(out.out, HasSubstr("filename,rank,index,label,prob"));
  const Outcome kept =
      sh("$A predict $P -m $M --json --results-format csv --results-file /dev/stdout > r.txt; "
         "head -c 1 r.txt; grep -c filename,rank r.txt; "
         "ln -s target.csv link.csv; $A predict $P -m $M -q --results-file link.csv > /dev/null; "
         "test -L link.csv && head -1 target.csv");
  EXPECT_EQ(kept.out, "{1\nfilename,rank,index,label,prob\n");
  const Outcome full = sh("$A predict $P -m $M --results-format csv --results-file /dev/full");
  EXPECT_EQ(full.code, 1);
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
  EXPECT_THAT(full.out, HasSubstr("kind"));
  const Outcome limit = sh("ulimit -f 1; $A convert $M out.safetensors; ls | grep out");
  EXPECT_THAT(limit.err, HasSubstr("out.safetensors: cannot write: File too large"));
  EXPECT_EQ(limit.out, "");
}

TEST_F(FilesCommand, AnOrdinaryUserIsToldThatItMayNot) {
  fs::create_directory(path("closed"));
  fs::permissions(path("closed"), fs::perms(0555));
  fs::permissions(folder_.path(), fs::perms(0755));
  const std::string as_user =
      ::geteuid() == 0 ? "setpriv --reuid=65534 --regid=65534 --clear-groups " : "";
  if (sh(as_user + "$A --version && " + as_user + "test -r $P -a -r $M").code != 0) {
    GTEST_SKIP() << "an ordinary user cannot run the program from here";
  }
  for (const char* words :
       {"predict $P -m $M --results-file closed/r.csv", "predict $P -m $M --cam closed",
        "predict $P -m $M --cam closed/new", "convert $M closed/x.safetensors",
        "dataset imagenet-like $P -o closed/new --classes 1"}) {
    const Outcome outcome = sh(as_user + "$A " + words);
    EXPECT_EQ(outcome.code, 1) << words;
    EXPECT_THAT(outcome.err, HasSubstr("Permission denied")) << words;
  }
  fs::permissions(path("closed"), fs::perms(0755));
}

TEST_F(FilesCommand, ValidatePrintsItsResultWhateverBecomesOfItsFiles) {
  make_data();
  fs::rename(path("data/val/a"), path("data/val/kind a"));
  fs::create_symlink("/dev/full", path("sheet.png"));
  const Outcome outcome = sh("$A validate data -m $M --json --sheet sheet.png");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.json()["images"], 2);
  EXPECT_THAT(outcome.err, HasSubstr("No space left on device"));
}

TEST_F(FilesCommand, AKilledDatasetLeavesNothingUnderItsName) {
  const Outcome killed =
      sh("timeout -s KILL 1 $A dataset imagenet-like $P -o made --classes 100000 -q; "
         "test -e made && echo there; ls -d made.tmp.* | wc -l; "
         "$A dataset imagenet-like $P -o made --classes 2 --train 1 --val 1 -q; ls; ls made");
  EXPECT_EQ(killed.out,
            "1\nmade: 2 classes, 2 training and 2 validation images\n"
            "m.safetensors\nmade\ntrain\nval\n");
  make_data();
  const Outcome shards =
      sh("(ulimit -f 1; $A dataset shards data --split val --output shards); ls -A shards; "
         "$A dataset shards data --output shards -q > /dev/null && ls -A shards");
  EXPECT_THAT(shards.err, HasSubstr("File too large"));
  EXPECT_EQ(shards.out, "shards.json\ntrain-000000.tar\nval-000000.tar\n");
}

TEST_F(FilesCommand, NamesOfClassFoldersAreTextBeforeAnyWork) {
  make_data();
  fs::rename(path("data/val/a"), path("data/val/\xe4"));
  fs::rename(path("data/train/a"), path("data/train/\xe4"));
  for (const char* words : {"validate data -m $M", "dataset shards data --output shards"}) {
    const Outcome outcome = sh(std::string("$A ") + words);
    EXPECT_EQ(outcome.code, 1) << words;
    EXPECT_THAT(outcome.err, HasSubstr("\\xe4: the name of this class folder is not UTF-8"));
  }
}

TEST_F(FilesCommand, InfoDescribesAnArchitectureByItself) {
  const Outcome named = sh("$A info asmlp_tiny_patch4_shift5_224 --json");
  const Outcome config =
      sh("echo 'model: asmlp_tiny_patch4_shift5_224' > c.yaml; $A info --config c.yaml --json");
  ASSERT_EQ(config.code, 0) << config.err;
  EXPECT_EQ(config.json()["model"]["parameters"], named.json()["model"]["parameters"]);
  EXPECT_EQ(config.json()["model"]["multiply_adds"], named.json()["model"]["multiply_adds"]);
}

}  // namespace
}  // namespace asmlp::test::cli_files_test
