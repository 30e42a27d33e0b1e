#include "asmlp/core/out_of_memory.h"

#include <gmock/gmock.h>

#include <system_error>
#include <vector>

namespace asmlp::out_of_memory_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(OutOfMemory, SaysWhatForAndHowMuch) {
  const auto take = [](size_t floats) { return std::vector<float>(floats); };
  EXPECT_EQ(with_memory_for("a map", 12, [&] { return take(3); }).size(), 3u);
  try {
    with_memory_for("a map", 4e18, []() -> std::vector<float> { throw std::bad_alloc(); });
    FAIL();
  } catch (const std::bad_alloc& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("a map"), HasSubstr("4e+12 MB")));
    EXPECT_TRUE(explain_exception(error).out_of_memory);
    EXPECT_EQ(explain_exception(error).message, error.what());
  }
  // The innermost knows best.
  try {
    with_memory_for("outer", 1,
                    [&] { with_memory_for("inner", 1, []() -> int { throw std::bad_alloc(); }); });
    FAIL();
  } catch (const std::bad_alloc& error) {
    EXPECT_THAT(error.what(), HasSubstr("inner"));
  }
  EXPECT_EQ(explain_exception(std::bad_alloc()).message, "out of memory");
}

// As LibTorch 1.13 and 2.6 put it.
TEST(OutOfMemory, LibTorchsIsKnownByItsText) {
  for (const char* text :
       {"[enforce fail at alloc_cpu.cpp:66] . DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 40000000000 bytes. Error code 12 (Cannot allocate memory)\nException "
        "raised from posix_memalign at ./c10/core/impl/alloc_cpu.cpp:66 (most recent call "
        "first):\nframe #0: c10::Error::Error(...)",
        "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 40000000000 bytes. Error code 12 (Cannot allocate memory)"}) {
    const ExceptionText told = explain_exception(std::runtime_error(text));
    EXPECT_TRUE(told.out_of_memory);
    EXPECT_THAT(told.message, AllOf(HasSubstr("4e+04 MB"), Not(HasSubstr("alloc_cpu")),
                                    Not(HasSubstr("frame #")), Not(HasSubstr("\n"))));
  }
  EXPECT_TRUE(
      explain_exception(std::runtime_error("CUDA out of memory. Tried to allocate 2.00 GiB"))
          .out_of_memory);
}

TEST(OutOfMemory, OtherExceptionsLoseTheirFrames) {
  const ExceptionText told = explain_exception(std::runtime_error(
      "Expected 3 channels\nbut got 4\nException raised from check at x.cpp:1\nframe #0: f()\n"));
  EXPECT_FALSE(told.out_of_memory);
  EXPECT_EQ(told.message, "Expected 3 channels\nbut got 4");
  const std::system_error threads(EAGAIN, std::system_category());
  EXPECT_THAT(explain_exception(threads).message, HasSubstr("ulimit -u"));
  const std::system_error files(EMFILE, std::system_category());
  EXPECT_THAT(explain_exception(files).message, HasSubstr("ulimit -n"));
}

}  // namespace
}  // namespace asmlp::out_of_memory_test
