#include "asmlp/report/event_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <chrono>
#include <cmath>
#include <map>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "asmlp/core/atomic_file.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/encode.h"
#include "asmlp/report/crc32c.h"
#include "tests/support/support.h"

namespace asmlp::event_file_test {
namespace {

namespace fs = std::filesystem;

TEST(Crc32c, KnownAnswers) {
  // RFC 3720, appendix B.4.
  std::string ascending(32, '\0'), zeros = ascending, ones(32, '\xff');
  for (int i = 0; i < 32; ++i) ascending[static_cast<size_t>(i)] = static_cast<char>(i);
  EXPECT_EQ(crc32c(zeros), 0x8a9136aau);
  EXPECT_EQ(crc32c(ones), 0x62a8ab43u);
  EXPECT_EQ(crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
}

// A message as field number -> values: bytes for strings and messages, else the raw number.
struct Field {
  uint64_t number = 0;
  std::string bytes;
};
using Message = std::map<int, std::vector<Field>>;

uint64_t little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    value |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  return value;
}

Message decode(std::string_view data) {
  Message message;
  size_t at = 0;
  const auto take = [&](size_t count) {
    if (data.size() - at < count) throw std::runtime_error("message is cut off");
    return data.substr(std::exchange(at, at + count), count);
  };
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < data.size()) {
    const uint64_t key = varint();
    Field& field = message[static_cast<int>(key >> 3)].emplace_back();
    switch (key & 7) {
      case 0:
        field.number = varint();
        break;
      case 1:
        field.number = little_endian(take(8));
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.number = little_endian(take(4));
        break;
      default:
        throw std::runtime_error("unknown wire type");
    }
  }
  return message;
}

// The events of a file; both check sums of every record are checked.
std::vector<Message> read_events(const fs::path& path) {
  const std::string content = read_file(path);
  std::string_view rest = content;
  std::vector<Message> events;
  const auto take = [&](size_t count) {
    if (rest.size() < count) throw std::runtime_error("record is cut off");
    const std::string_view piece = rest.substr(0, count);
    rest.remove_prefix(count);
    return piece;
  };
  while (!rest.empty()) {
    const std::string_view length = take(8);
    EXPECT_EQ(little_endian(take(4)), masked_crc32c(length));
    const std::string_view data = take(little_endian(length));
    EXPECT_EQ(little_endian(take(4)), masked_crc32c(data));
    events.push_back(decode(data));
  }
  return events;
}

TEST(EventFile, RecordsAreFramedAsTensorBoardsOwn) {
  // RecordWriter(file).write(b"axial shift") of the Python package tensorboard.
  const std::string record = "0b000000000000008615f504617869616c207368696674c51c3a81";
  std::string bytes;
  for (size_t i = 0; i < record.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(record.substr(i, 2), nullptr, 16));
  }
  const std::string_view all = bytes;
  ASSERT_EQ(all.substr(12, 11), "axial shift");
  EXPECT_EQ(little_endian(all.substr(8, 4)), masked_crc32c(all.substr(0, 8)));
  EXPECT_EQ(little_endian(all.substr(23)), masked_crc32c("axial shift"));
}

TEST(EventFile, HoldsWhatWasLogged) {
  test::TemporaryFolder folder;
  const auto before = std::chrono::system_clock::now().time_since_epoch();
  const ScalarTag loss{"train/loss", "mean"};
  EventFile file(folder.path());
  file.text("recipe", 0, "    epochs: 3\n");
  file.scalar(loss, 1, 2.5);
  EXPECT_TRUE(read_events(file.path()).empty());  // nothing before a flush
  file.flush();
  // A value whose bits fill several bytes of every varint, and those that are no numbers.
  file.scalar(loss, 300'000'000'000, -1e-30);
  file.scalar(loss, 300'000'000'001, NAN);
  file.flush();

  const auto events = read_events(file.path());
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(events[0].at(3)[0].bytes, "brain.Event:2");
  EXPECT_FALSE(events[0].contains(7));
  double time = std::chrono::duration<double>(before).count();
  for (const Message& event : events) {
    const double wall = std::bit_cast<double>(event.at(1)[0].number);
    EXPECT_GE(wall, time);
    time = wall;
  }
  const auto value = [&](size_t i) {
    return decode(decode(events[i].at(5)[0].bytes).at(1)[0].bytes);
  };
  const Message text = value(1);
  EXPECT_EQ(text.at(1)[0].bytes, "recipe/text_summary");
  const Message tensor = decode(text.at(8)[0].bytes);
  EXPECT_EQ(tensor.at(1)[0].number, 7u);
  EXPECT_EQ(tensor.at(8)[0].bytes, "    epochs: 3\n");
  EXPECT_EQ(decode(decode(text.at(9)[0].bytes).at(1)[0].bytes).at(1)[0].bytes, "text");

  const auto number = [&](size_t i) {
    return std::bit_cast<float>(static_cast<uint32_t>(value(i).at(2)[0].number));
  };
  EXPECT_EQ(value(2).at(1)[0].bytes, "train/loss");
  EXPECT_EQ(events[2].at(2)[0].number, 1u);
  EXPECT_EQ(number(2), 2.5f);
  const Message about = decode(value(2).at(9)[0].bytes);
  EXPECT_EQ(decode(about.at(1)[0].bytes).at(1)[0].bytes, "scalars");
  EXPECT_EQ(about.at(3)[0].bytes, "mean");
  EXPECT_EQ(events[3].at(2)[0].number, 300'000'000'000u);
  EXPECT_EQ(number(3), -1e-30f);
  EXPECT_FALSE(value(3).contains(9));
  EXPECT_TRUE(std::isnan(number(4)));
}

// The reading half is written from the definition of the messages (summary.proto), not from the
// writing one.
TEST(EventFile, HoldsPicturesThatDecodeToTheirPixels) {
  test::TemporaryFolder folder;
  Image picture(3, 300, 3);
  for (size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = uint8_t(i * 7);
  const std::vector<uint8_t> png = encode_png(picture);
  EventFile file(folder.path());
  const ScalarTag tag{"samples/train", "what was seen"};
  for (const int64_t step : {5, 70'000}) {
    file.image(tag, step, picture.height, picture.width,
               {reinterpret_cast<const char*>(png.data()), png.size()});
  }
  file.flush();
  const auto events = read_events(file.path());
  ASSERT_EQ(events.size(), 3u);
  for (const size_t i : {1u, 2u}) {
    EXPECT_EQ(events[i].at(2)[0].number, i == 1 ? 5u : 70'000u);
    const Message value = decode(decode(events[i].at(5)[0].bytes).at(1)[0].bytes);
    EXPECT_EQ(value.at(1)[0].bytes, "samples/train");
    EXPECT_FALSE(value.contains(2));  // no scalar
    const Message image = decode(value.at(4)[0].bytes);
    EXPECT_EQ(image.at(1)[0].number, 3u);    // height
    EXPECT_EQ(image.at(2)[0].number, 300u);  // width
    EXPECT_EQ(image.at(3)[0].number, 3u);    // RGB
    const std::string& encoded = image.at(4)[0].bytes;
    EXPECT_EQ(decode_image(std::as_bytes(std::span(encoded)), "picture").pixels, picture.pixels);
    if (i == 2) continue;
    const Message about = decode(value.at(9)[0].bytes);
    EXPECT_EQ(decode(about.at(1)[0].bytes).at(1)[0].bytes, "images");
    EXPECT_EQ(about.at(3)[0].bytes, "what was seen");
  }
}

TEST(EventFile, OfAResumedRunComesLaterAndSaysWhereItStarts) {
  test::TemporaryFolder folder;
  EventFile first(folder.path()), second(folder.path(), 41), third(folder.path(), 41);
  EXPECT_LT(first.path().string(), second.path().string());
  EXPECT_LT(second.path().string(), third.path().string());
  EXPECT_THAT(first.path().filename().string(), testing::StartsWith("events.out.tfevents."));
  second.flush();
  const auto events = read_events(second.path());
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].at(2)[0].number, 41u);
  EXPECT_EQ(decode(events[1].at(7)[0].bytes).at(1)[0].number, 1u);  // SessionLog.START
}

}  // namespace
}  // namespace asmlp::event_file_test
