// Pickles and PyTorch files byte by byte: opcodes put together as text.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace asmlp::test::pickles {

// The bytes of a number, little endian.
template <typename T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
// The parts one after the other.
template <typename... Parts>
std::string cat(const Parts&... parts) {
  std::string out;
  (out.append(parts), ...);
  return out;
}
inline std::string cat_all(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += part;
  return out;
}
inline std::string text(const std::string& value) {
  return cat("X", raw(static_cast<uint32_t>(value.size())), value);
}
inline std::string integer(int32_t value) { return cat("J", raw(value)); }
inline std::string long1(int64_t value) { return cat("\x8a\x08", raw(value)); }
inline std::string global(const std::string& module, const std::string& name) {
  return cat("c", module, "\n", name, "\n");
}
inline std::string tuple(const std::vector<std::string>& items) {
  return cat("(", cat_all(items), "t");
}
inline std::string call(const std::string& function, const std::vector<std::string>& arguments) {
  return cat(function, tuple(arguments), "R");
}
inline std::string storage(const std::string& type, const std::string& key,
                           const std::string& count) {
  return cat(tuple({text("storage"), global("torch", type), text(key), text("cpu"), count}), "Q");
}
inline std::string tensor(const std::string& from, const std::string& offset,
                          const std::vector<std::string>& size,
                          const std::vector<std::string>& stride) {
  return call(global("torch._utils", "_rebuild_tensor_v2"),
              {from, offset, tuple(size), tuple(stride), "\x89", "N"});
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out = "}(";
  for (const auto& [key, value] : entries) out += cat(text(key), value);
  return cat(out, "u");
}
inline std::string pickle(const std::string& body) { return cat("\x80\x02", body, "."); }

// A file of the old format: `object` may use one storage "k" of six floats.
inline std::string legacy(const std::string& object) {
  std::string bytes("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e", 15);
  bytes += pickle("M\xe9\x03");
  bytes += pickle(dict({{"little_endian", "\x88"}}));
  bytes += pickle(object);
  bytes += pickle(cat("]", text("k"), "a"));
  bytes += raw(uint64_t{6});
  for (float value : {1, 2, 3, 4, 5, 6}) bytes += raw(value);
  return bytes;
}

// A stored zip archive; `members` are name and content. Sizes stand in the directory only, as torch
// writes them (flag 8); a wide one has them in zip64 fields.
inline std::string zip(const std::vector<std::pair<std::string, std::string>>& members,
                       bool wide = false) {
  const uint32_t none = 0xffffffff;
  std::string bytes, directory;
  for (const auto& [name, content] : members) {
    const auto crc = static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(content.data()),
                                                 static_cast<uInt>(content.size())));
    const uint64_t size = content.size(), at = bytes.size();
    const auto name_size = static_cast<uint16_t>(name.size());
    const uint32_t short_size = wide ? none : static_cast<uint32_t>(size);
    const uint32_t short_at = wide ? none : static_cast<uint32_t>(at);
    std::string extra;
    if (wide) extra = cat(raw(uint16_t{1}), raw(uint16_t{24}), raw(size), raw(size), raw(at));
    bytes += cat("PK\3\4", raw(uint16_t{0}), raw(uint16_t{0x808}), std::string(18, '\0'),
                 raw(name_size), raw(uint16_t{5}), name, "extra", content);
    directory += cat("PK\1\2", raw(uint32_t{0}), raw(uint16_t{0x808}), raw(uint16_t{0}),
                     raw(uint32_t{0}), raw(crc), raw(short_size), raw(short_size), raw(name_size),
                     raw(static_cast<uint16_t>(extra.size())), std::string(10, '\0'), raw(short_at),
                     name, extra);
  }
  const uint64_t at = bytes.size(), count = members.size(), size = directory.size();
  bytes += directory;
  if (wide) {
    const uint64_t end64 = bytes.size();
    bytes += cat("PK\6\6", raw(uint64_t{44}), std::string(12, '\0'), raw(count), raw(count),
                 raw(size), raw(at));
    bytes += cat("PK\6\7", raw(uint32_t{0}), raw(end64), raw(uint32_t{1}));
  }
  const auto short_count = static_cast<uint16_t>(wide ? 0xffff : count);
  bytes += cat("PK\5\6", raw(uint32_t{0}), raw(short_count), raw(short_count),
               raw(static_cast<uint32_t>(size)), raw(static_cast<uint32_t>(at)), raw(uint16_t{7}),
               "comment");
  return bytes;
}

// The storage of legacy() and the tensor of all its elements: 1, 2, 3, 4, 5, 6.
inline const std::string kStorage = storage("FloatStorage", "k", integer(6));
inline const std::string kTensor = tensor(kStorage, integer(0), {integer(6)}, {integer(1)});

}  // namespace asmlp::test::pickles
