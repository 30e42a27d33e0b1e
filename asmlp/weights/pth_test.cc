#include "asmlp/weights/pth.h"

#include <zlib.h>

#include <nlohmann/json.hpp>

#include "asmlp/weights/pickle.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/weight_files.h"

namespace asmlp::pth_test {
namespace {

using test::as_bytes;
using test::error_of;
using test::expect_words;

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
std::string cat_all(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += part;
  return out;
}
std::string text(const std::string& value) {
  return cat("X", raw(static_cast<uint32_t>(value.size())), value);
}
std::string integer(int32_t value) { return cat("J", raw(value)); }
std::string long1(int64_t value) { return cat("\x8a\x08", raw(value)); }
std::string global(const std::string& module, const std::string& name) {
  return cat("c", module, "\n", name, "\n");
}
std::string tuple(const std::vector<std::string>& items) { return cat("(", cat_all(items), "t"); }
std::string call(const std::string& function, const std::vector<std::string>& arguments) {
  return cat(function, tuple(arguments), "R");
}
std::string storage(const std::string& type, const std::string& key, const std::string& count) {
  return cat(tuple({text("storage"), global("torch", type), text(key), text("cpu"), count}), "Q");
}
std::string tensor(const std::string& from, const std::string& offset,
                   const std::vector<std::string>& size, const std::vector<std::string>& stride) {
  return call(global("torch._utils", "_rebuild_tensor_v2"),
              {from, offset, tuple(size), tuple(stride), "\x89", "N"});
}
std::string dict(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out = "}(";
  for (const auto& [key, value] : entries) out += cat(text(key), value);
  return cat(out, "u");
}
std::string pickle(const std::string& body) { return cat("\x80\x02", body, "."); }

// A file of the old format: `object` may use one storage "k" of six floats.
std::string legacy(const std::string& object) {
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
std::string zip(const std::vector<std::pair<std::string, std::string>>& members,
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

PthFile parse(const std::string& bytes) { return parse_pth(as_bytes(bytes), "file.pth"); }

const std::string kStorage = storage("FloatStorage", "k", integer(6));
const std::string kTensor = tensor(kStorage, integer(0), {integer(6)}, {integer(1)});

TEST(Pth, ReadsTheTensorZoo) {
  const PthFile file = read_pth(test::data("golden/checkpoints/tensor_zoo.pth"));
  const TensorFile expected =
      read_safetensors(test::data("golden/checkpoints/tensor_zoo_expected.safetensors"));
  EXPECT_EQ(file.tensors.size(), expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors) {
    const Tensor& actual = file.tensors.at(name);
    EXPECT_EQ(to_f32(actual), to_f32(tensor)) << name;
    // The expected scalar was written with one axis.
    EXPECT_EQ(actual.shape, name == "scalar" ? Shape{} : tensor.shape) << name;
  }
  EXPECT_EQ(file.tensors.at("i64").dtype, DType::kI64);
  EXPECT_EQ(file.tensors.at("bool").dtype, DType::kBool);
  EXPECT_EQ(file.tensors.at("bf16").dtype, DType::kBF16);
  EXPECT_EQ(file.tensors.at("f64").dtype, DType::kF64);
  EXPECT_TRUE(std::ranges::equal(file.tensors.at("i64").bytes, expected.tensors.at("i64").bytes));
  EXPECT_EQ(file.config_json, "{}");
}

TEST(Pth, ReadsTheTrainingConfigAsData) {
  for (const char* name : {"official_zip.pth", "official_legacy.pth"}) {
    const auto config = nlohmann::json::parse(
        read_pth(test::data(std::string("golden/checkpoints/") + name)).config_json);
    EXPECT_EQ(config["MODEL"]["ASMLP"]["SHIFT_SIZE"], 5);
    EXPECT_EQ(config["MODEL"]["ASMLP"]["DEPTHS"], (std::vector<int>{1, 1, 1, 1}));
    EXPECT_EQ(config["MODEL"]["NAME"], "asmlp_c8");
    EXPECT_EQ(config["TRAIN"]["OPTIMIZER"]["BETAS"], (std::vector<double>{0.9, 0.999}));
    EXPECT_FALSE(config["MODEL"].contains("__immutable__"));
  }
}

TEST(Pth, RefusesToCallAnything) {
  const std::string path = test::data("golden/checkpoints/hostile_reduce.pth");
  std::filesystem::remove("/tmp/asmlp_pwned");
  expect_words(error_of(ErrorCode::kBadFormat, [&] { read_pth(path); }),
               {"hostile_reduce.pth", "posix.system", "torch.save"});
  EXPECT_FALSE(std::filesystem::exists("/tmp/asmlp_pwned"));

  // Far from the model, by REDUCE or NEWOBJ, in the middle of containers.
  const auto refuse = [](const std::string& value, const char* word) {
    const std::string bytes = legacy(dict({{"model", dict({{"w", kTensor}})}, {"other", value}}));
    expect_words(error_of(ErrorCode::kBadFormat, [&] { parse(bytes); }), {word});
  };
  refuse(call(global("os", "system"), {text("true")}), "os.system");
  refuse(cat(global("os", "system"), tuple({text("true")}), "\x81"), "os.system");
  refuse(cat("](", call(global("builtins", "eval"), {text("1")}), "e"), "builtins.eval");
  refuse(dict({{"x", call(global("builtins", "getattr"), {text("1")})}}), "builtins.getattr");
  refuse(call(global("torch._tensor", "_rebuild_from_type_v2"),
              {global("os", "system"), global("torch", "Tensor"), tuple({text("true")}), "N"}),
         "os.system");
  refuse(call(global("my.module", "Thing"), {}), "my.module.Thing");
  // A name alone does nothing.
  const std::string bytes =
      legacy(dict({{"model", dict({{"w", kTensor}})}, {"f", global("os", "system")}}));
  EXPECT_EQ(parse(bytes).tensors.size(), 1u);
}

TEST(Pth, KeepsInertObjectsAsData) {
  const std::string name_space =
      cat(global("argparse", "Namespace"), ")\x81",
          dict({{"lr", cat("G", std::string("\x3f\xe0\0\0\0\0\0\0", 8))},
                {"img_size", integer(96)},
                {"device", call(global("torch", "device"), {text("cuda")})},
                {"size", call(global("torch", "Size"), {tuple({integer(2), integer(3)})})},
                {"none", "N"}}),
          "b");
  const std::string type = cat(call(global("numpy", "dtype"), {text("f8"), "\x89", "\x88"}),
                               tuple({integer(3), text("<"), "N"}), "b");
  const std::string scalar =
      call(global("numpy.core.multiarray", "scalar"),
           {type, call(global("_codecs", "encode"), {text("\x01"), text("latin1")})});
  const std::string parameter =
      call(global("torch._utils", "_rebuild_parameter"),
           {kTensor, "\x88", call(global("collections", "OrderedDict"), {})});
  const std::string python2 =
      call(global("collections", "OrderedDict"), {cat("](](", text("module.p2"), kTensor, "ee")});
  const PthFile file = parse(legacy(
      dict({{"state_dict",
             dict({{"module._orig_mod.w", parameter}, {"count", integer(3)}, {"_x", scalar}})},
            {"args", name_space},
            {"best", scalar},
            {"names", call(global("__builtin__", "set"), {"]"})},
            {"dtype", global("torch", "float32")},
            {"big", cat("\x8a\x0a", std::string(10, '\x7f'))},
            {"p2", python2},
            {"meta", cat("T", raw(uint32_t{2}), "hi")}})));
  ASSERT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(to_f32(file.tensors.at("w")), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  const auto config = nlohmann::json::parse(file.config_json);
  EXPECT_EQ(config, (nlohmann::json{{"lr", 0.5}, {"img_size", 96}, {"size", {2, 3}}}));
  EXPECT_EQ(parse(legacy(python2)).tensors.count("p2"), 1u);
}

TEST(Pth, ChoosesTheStateDict) {
  const auto other = tensor(kStorage, integer(1), {integer(1)}, {integer(1)});
  const auto found = [&](const std::vector<std::pair<std::string, std::string>>& entries) {
    const PthFile file = parse(legacy(dict(entries)));
    EXPECT_EQ(file.tensors.size(), 1u);
    return to_f32(file.tensors.at("w")).size();
  };
  const std::string six = dict({{"w", kTensor}}), one = dict({{"w", other}});
  EXPECT_EQ(found({{"model", six}, {"state_dict_ema", one}}), 1u);
  EXPECT_EQ(found({{"model", six}, {"model_ema", one}}), 1u);
  EXPECT_EQ(found({{"model", six}, {"state_dict", one}, {"optimizer", six}}), 1u);
  EXPECT_EQ(found({{"model", text("a name")}, {"w", kTensor}}), 6u);
  expect_words(error_of(ErrorCode::kBadFormat,
                        [&] {
                          parse(legacy(dict({{"model", "}"}, {"t", cat("]", kTensor, "a")}})));
                        }),
               {"no state dict"});
  expect_words(error_of(ErrorCode::kBadFormat, [&] { parse(legacy(kTensor)); }), {"no state dict"});
  expect_words(error_of(ErrorCode::kBadFormat,
                        [&] {
                          parse(legacy(dict({{"w", kTensor}, {"module.w", kTensor}})));
                        }),
               {"'module.w'", "twice"});
}

TEST(Pth, ChecksViewsAgainstTheirStorage) {
  const auto view = [](const std::string& offset, std::vector<std::string> size,
                       std::vector<std::string> stride, const std::string& from = kStorage) {
    return to_f32(parse(legacy(dict({{"w", tensor(from, offset, size, stride)}}))).tensors.at("w"));
  };
  EXPECT_EQ(view(integer(0), {integer(3), integer(2)}, {integer(1), integer(3)}),
            (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(view(integer(1), {integer(3)}, {integer(2)}), (std::vector<float>{2, 4, 6}));
  EXPECT_EQ(view(integer(5), {integer(2), integer(2)}, {integer(0), integer(0)}),
            (std::vector<float>{6, 6, 6, 6}));
  EXPECT_EQ(view(integer(3), {integer(1)}, {long1(INT64_MAX)}), std::vector<float>{4});
  EXPECT_EQ(view(integer(9), {integer(0)}, {integer(1)}), std::vector<float>{});

  const auto refuse = [&](ErrorCode code, const auto&... arguments) {
    expect_words(error_of(code, [&] { view(arguments...); }), {"'w'"});
  };
  using List = std::vector<std::string>;
  refuse(ErrorCode::kBadFormat, integer(1), List{integer(6)}, List{integer(1)});
  refuse(ErrorCode::kBadFormat, integer(6), List{}, List{});
  refuse(ErrorCode::kBadFormat, integer(-1), List{integer(1)}, List{integer(1)});
  refuse(ErrorCode::kBadFormat, integer(5), List{integer(2)}, List{integer(-1)});
  refuse(ErrorCode::kBadFormat, integer(0), List{integer(-2)}, List{integer(1)});
  refuse(ErrorCode::kBadFormat, integer(0), List{integer(2)}, List{});
  refuse(ErrorCode::kBadFormat, integer(0), List{text("2")}, List{integer(1)});
  refuse(ErrorCode::kBadFormat, integer(0), List(17, integer(1)), List(17, integer(1)));
  refuse(ErrorCode::kBadFormat, long1(INT64_MAX), List{integer(2)}, List{long1(INT64_MAX)});
  refuse(ErrorCode::kBadFormat, integer(0), List(16, long1(INT64_MAX)), List(16, long1(INT64_MAX)));
  // An expanded view may be larger than its storage, but not without limit.
  refuse(ErrorCode::kTooLarge, integer(0), List{integer(1 << 30)}, List{integer(0)});
  refuse(ErrorCode::kTooLarge, integer(0), List(16, long1(INT64_MAX)), List(16, integer(0)));
  // Not one large view, but many.
  std::vector<std::pair<std::string, std::string>> many;
  for (int i = 0; i < 100; ++i) {
    many.emplace_back(std::to_string(i),
                      tensor(kStorage, integer(0), {integer(1 << 20)}, {integer(0)}));
  }
  expect_words(error_of(ErrorCode::kTooLarge, [&] { parse(legacy(dict(many))); }), {"larger than"});

  const auto from = [&](const std::string& type, const std::string& count) {
    return dict({{"w", tensor(storage(type, "k", count), integer(0), {integer(1)}, {integer(1)})}});
  };
  expect_words(
      error_of(ErrorCode::kUnsupported, [&] { parse(legacy(from("QInt8Storage", integer(6)))); }),
      {"QInt8Storage"});
  expect_words(
      error_of(ErrorCode::kBadFormat, [&] { parse(legacy(from("Nonsense", integer(6)))); }),
      {"torch Nonsense"});
  error_of(ErrorCode::kBadFormat, [&] { parse(legacy(from("FloatStorage", integer(7)))); });
  error_of(ErrorCode::kBadFormat, [&] { parse(legacy(from("FloatStorage", long1(INT64_MAX)))); });
  error_of(ErrorCode::kBadFormat, [&] { parse(legacy(from("FloatStorage", integer(-1)))); });
}

TEST(Pth, RefusesMalformedPickles) {
  const auto refuse = [](const std::string& body, const char* word) {
    const std::string bytes = pickle(body);
    expect_words(error_of(ErrorCode::kBadFormat, [&] { run_pickle(as_bytes(bytes), "p"); }),
                 {word});
  };
  refuse("", "empty stack");
  refuse("NN", "early end");
  refuse("(N", "early end");
  refuse("N(\x85", "empty stack");  // nothing below a mark may be taken
  refuse("t", "no mark");
  refuse("]Na(", "empty stack");
  refuse("NNa", "no list");
  refuse("}(Nu", "key without");
  refuse("NQ", "persistent id");
  refuse("(NNNNNtQ", "persistent id");
  refuse("NNR", "no name");
  refuse(cat(global("torch", "Size"), "NR"), "arguments");
  refuse(cat(global("torch", "Size"), ")R"), "arguments");
  refuse(cat(global("torch._utils", "_rebuild_tensor_v2"), ")R"), "description");
  refuse("K\x01Nb", "plain value");
  refuse("h\x05", "memo");
  refuse(cat("X", raw(uint32_t{1000}), "x"), "end of the file");
  refuse("i", "0x69");  // INST
  refuse("cos\nsystem", "end of the file");
  refuse(cat("c", std::string(400, 'x'), "\ny\n"), "overlong");
  refuse(std::string(20'000, '('), "marks");
  std::string list = "]q\x01";
  for (int i = 0; i < 1'100'000; ++i) list += "h\x01";
  refuse(list, "too many");
  refuse(std::string(1'100'000, 'N'), "too many");
  // A million copies of a shared list of pairs.
  std::string pairs = "](";
  for (int i = 0; i < 2000; ++i) pairs += "NN\x86";
  pairs += cat("eq\x01", global("collections", "OrderedDict"), "q\x02");
  std::string copies = pairs;
  for (int i = 0; i < 2000; ++i) copies += "h\x02h\x01\x85R";
  refuse(copies, "too many");
  const std::string four = "\x80\x04N.";
  expect_words(error_of(ErrorCode::kUnsupported, [&] { run_pickle(as_bytes(four), "p"); }),
               {"protocol 4"});
}

TEST(Pth, CyclesAndSharedConfigsStayFinite) {
  // config = {"self": config, "list": [[..[x, x].., ..]]}: the depth and the number are limited.
  EXPECT_EQ(
      parse(legacy(dict({{"w", kTensor}, {"config", cat("}q\x01(", text("self"), "h\x01u")}})))
          .tensors.size(),
      1u);
  std::string shared = "]q\x01";
  for (int i = 0; i < 40; ++i)
    shared = cat("](", shared,
                 "h\x01"
                 "eq\x01");
  expect_words(error_of(ErrorCode::kBadFormat,
                        [&] {
                          parse(legacy(dict({{"w", kTensor}, {"config", dict({{"x", shared}})}})));
                        }),
               {"config"});
}

TEST(Pth, ReadsZipArchives) {
  const std::string data = pickle(dict({{"w", tensor(storage("FloatStorage", "0", integer(2)),
                                                     integer(0), {integer(2)}, {integer(1)})}}));
  const std::string values = raw(1.5f) + raw(-2.0f);
  for (bool wide : {false, true}) {
    const PthFile file =
        parse(zip({{"a/data.pkl", data}, {"a/byteorder", "little"}, {"a/data/0", values}}, wide));
    EXPECT_EQ(to_f32(file.tensors.at("w")), (std::vector<float>{1.5f, -2.0f}));
  }
  const auto refuse = [](ErrorCode code, const std::string& bytes, const char* word) {
    expect_words(error_of(code, [&] { parse(bytes); }), {"file.pth", word});
  };
  refuse(ErrorCode::kBadFormat, zip({{"a/data.pkl", data}}), "'a/data/0' is missing");
  refuse(ErrorCode::kBadFormat, zip({{"a/x", data}}), "data.pkl");
  refuse(ErrorCode::kBadFormat, zip({{"a/data.pkl", data}, {"b/data.pkl", data}}), "two");
  refuse(ErrorCode::kBadFormat, zip({{"a/data.pkl", data}, {"a/data.pkl", data}}), "twice");
  refuse(ErrorCode::kUnsupported, zip({{"a/data.pkl", data}, {"a/byteorder", "big"}}), "big");
  refuse(ErrorCode::kBadFormat, zip({{"a/data.pkl", data}, {"a/data/0", values.substr(4)}}),
         "storage");
  std::string damaged = zip({{"a/data.pkl", data}, {"a/data/0", values}});
  damaged[damaged.find(values)] ^= 1;
  refuse(ErrorCode::kBadFormat, damaged, "checksum");
  std::string compressed = zip({{"a/data.pkl", data}, {"a/data/0", values}});
  compressed[compressed.find("PK\1\2") + 10] = 8;
  refuse(ErrorCode::kUnsupported, compressed, "compressed");
  refuse(ErrorCode::kBadFormat, "PK\3\4", "directory");
}

}  // namespace
}  // namespace asmlp::pth_test
