#include "asmlp/weights/pytorch/pth.h"

#include <nlohmann/json.hpp>

#include "asmlp/weights/pytorch/pickle.h"
#include "tests/support/pickles.h"
#include "tests/support/weight_files.h"

namespace asmlp::pth_test {
namespace {

using test::as_bytes;
using test::error_of;
using test::expect_words;

using namespace test::pickles;  // NOLINT: the words that pickles are written with

PthFile parse(const std::string& bytes) { return parse_pth(as_bytes(bytes), "file.pth"); }

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
  refuse(call(global("pickle", "loads"), {text("x")}), "pickle.loads");
  refuse(call(global("builtins", "getattr"), {global("os", "environ"), text("x")}), "getattr");
  refuse(call(global("copyreg", "_reconstructor"), {global("nt", "system"), "N", "N"}),
         "nt.system");
  refuse(cat(text("os"), text("system"), "\x93", tuple({text("true")}), "R"), "os.system");
  refuse(cat(global("os", "system"), ")}\x92"), "os.system");  // NEWOBJ_EX
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
      call(global("collections", "OrderedDict"), {cat("](](", text("p2"), kTensor, "ee")});
  const PthFile file = parse(
      legacy(dict({{"state_dict", dict({{"w", parameter}, {"count", integer(3)}, {"_x", scalar}})},
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
                          parse(legacy(dict({{"w", kTensor}, {"w", kTensor}})));
                        }),
               {"'w'", "twice"});
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
  refuse("i", "0x69");     // INST
  refuse("\x97", "0x97");  // NEXT_BUFFER
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
  const std::string six = "\x80\x06N.";
  expect_words(error_of(ErrorCode::kUnsupported, [&] { run_pickle(as_bytes(six), "p"); }),
               {"protocol 6"});
  refuse(cat("\x95", raw(uint64_t{1000}), "N"), "end of the file");  // FRAME
  refuse(cat("\x8d", raw(uint64_t{1} << 63), "N"), "end of the file");
  refuse(cat("\x8b", raw(int32_t{-1})), "negative");
  refuse("NN\x93", "no text");
  refuse("01", "empty stack");
  refuse("1", "no mark");
  refuse(cat(text(std::string(200, 'a')), text(std::string(200, 'b')), "\x93"), "overlong");
  std::string memo = "N";
  for (int i = 0; i < 1'100'000; ++i) memo += "\x94";
  refuse(memo, "too many");
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
