#include "asmlp/weights/pytorch/pth_tensor.h"

#include <cstring>

#include "asmlp/core/error.h"
#include "asmlp/weights/pytorch/pickle_globals.h"

namespace asmlp {
namespace {

constexpr size_t kMaxPthRank = 16;

// Copies a strided view row-major. Bounds were checked.
void copy_view(const std::byte* source, size_t element, const Shape& shape, const Shape& strides,
               std::byte* out, uint64_t count) {
  bool contiguous = true;
  int64_t expected = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    contiguous = contiguous && (shape[axis] == 1 || strides[axis] == expected);
    expected *= shape[axis];
  }
  if (contiguous) {
    std::memcpy(out, source, count * element);
    return;
  }
  // An odometer over all axes: simple, and views that are not contiguous are rare and small.
  std::vector<int64_t> index(shape.size(), 0);
  int64_t position = 0;
  for (uint64_t i = 0; i < count; ++i, out += element) {
    std::memcpy(out, source + position * static_cast<int64_t>(element), element);
    for (size_t axis = shape.size(); axis-- > 0;) {
      position += strides[axis];
      if (++index[axis] < shape[axis]) break;
      position -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace

StorageId read_storage_id(const Pickle& pickle, const PickleValue& storage,
                          const std::string& what) {
  // ("storage", type, key, location, numel[, view]); the machine checked the tag and the length.
  const auto& id = pickle.at(storage.items[0]).items;
  const PickleValue& type = pickle.at(id[1]);
  const PickleValue& key = pickle.at(id[2]);
  const PickleValue& count = pickle.at(id[4]);
  require(type.kind == PickleKind::kGlobal && key.kind == PickleKind::kText &&
              count.kind == PickleKind::kInt && count.number >= 0,
          ErrorCode::kBadFormat, "{}: damaged description of a storage", what);
  require(id.size() == 5 || pickle.at(id[5]).kind == PickleKind::kNone, ErrorCode::kUnsupported,
          "{}: a storage view of PyTorch before 0.4; save the file again with a newer one", what);
  const std::string name = pickle.global_name(type);
  const auto dtype = storage_dtype(name, what);
  require(dtype.has_value(), ErrorCode::kBadFormat, "{}: '{}' is no type of a storage", what,
          name.substr(0, 200));
  return {*dtype, is_untyped_storage(name), key.text, static_cast<uint64_t>(count.number)};
}

TensorBuilder::TensorBuilder(const Pickle& pickle, Storages storages, uint64_t max_bytes,
                             std::string what)
    : pickle_(pickle),
      storages_(std::move(storages)),
      max_bytes_(max_bytes),
      what_(std::move(what)) {}

uint64_t TensorBuilder::number(PickleRef ref, const std::string& name) const {
  const PickleValue& value = pickle_.at(ref);
  require(value.kind == PickleKind::kInt && value.number >= 0, ErrorCode::kBadFormat,
          "{}: tensor '{}': damaged offset, size or stride", what_, name);
  return static_cast<uint64_t>(value.number);
}

Shape TensorBuilder::numbers(PickleRef ref, const std::string& name) const {
  const PickleValue& tuple = pickle_.at(ref);
  const bool list = tuple.kind == PickleKind::kTuple || tuple.kind == PickleKind::kList;
  require(list && tuple.items.size() <= kMaxPthRank, ErrorCode::kBadFormat,
          "{}: tensor '{}': damaged size or stride", what_, name);
  Shape out;
  for (PickleRef item : tuple.items) out.push_back(static_cast<int64_t>(number(item, name)));
  return out;
}

Tensor TensorBuilder::build(PickleRef ref, const std::string& name) {
  const auto known = built_.find(ref);
  if (known != built_.end()) return known->second;

  // (storage, offset, size, stride, ...); _v3 has the type at position 6.
  const PickleValue& description = pickle_.at(ref);
  const auto& arguments = pickle_.at(description.items[0]).items;
  const PickleValue& storage = pickle_.at(arguments[0]);
  require(storage.kind == PickleKind::kStorage, ErrorCode::kBadFormat,
          "{}: tensor '{}' has no storage", what_, name);
  StorageId id = read_storage_id(pickle_, storage, what_);
  if (id.untyped) {
    require(arguments.size() >= 7 && pickle_.at(arguments[6]).kind == PickleKind::kGlobal,
            ErrorCode::kBadFormat, "{}: tensor '{}' does not say its type", what_, name);
    const std::string type = pickle_.global_name(pickle_.at(arguments[6]));
    const auto dtype = dtype_of_global(type);
    require(dtype.has_value(), ErrorCode::kUnsupported,
            "{}: tensor '{}' is of type '{}'; convert "
            "it to float32 in PyTorch first",
            what_, name, type.substr(0, 200));
    id.dtype = *dtype;
    id.count /= size_of(id.dtype);
  }

  const uint64_t offset = number(arguments[1], name);
  Tensor tensor{.dtype = id.dtype, .shape = numbers(arguments[2], name), .bytes = {}, .owner = {}};
  Shape strides = numbers(arguments[3], name);
  require(strides.size() == tensor.shape.size(), ErrorCode::kBadFormat,
          "{}: tensor '{}' has {} sizes and {} strides", what_, name, tensor.shape.size(),
          strides.size());

  // 128 bits hold 16 products of two 63-bit numbers.
  __extension__ using Wide = unsigned __int128;
  Wide last = offset;
  Wide count = 1;
  const size_t element = size_of(id.dtype);
  for (size_t axis = 0; axis < strides.size(); ++axis) {
    const auto extent = static_cast<uint64_t>(tensor.shape[axis]);
    count = std::min<Wide>(count * extent, Wide{1} << 63);
    if (extent <= 1) strides[axis] = 0;  // never used, and may be anything
    if (extent > 0) last += Wide{extent - 1} * static_cast<uint64_t>(strides[axis]);
  }
  require(count == 0 || last < id.count, ErrorCode::kBadFormat,
          "{}: tensor '{}' of shape {} reaches beyond its storage of {} elements", what_, name,
          to_string(tensor.shape), id.count);
  require(
      count <= (max_bytes_ - used_bytes_) / element, ErrorCode::kTooLarge,
      "{}: tensor '{}' of shape {} would make the tensors larger than {} bytes, far more than the "
      "file can hold",
      what_, name, to_string(tensor.shape), max_bytes_);

  auto [opened, fresh] = opened_.try_emplace(id.key);
  if (fresh && count > 0) opened->second = storages_(id.key);
  const auto bytes = opened->second;
  require(count == 0 || id.count <= bytes.size() / element, ErrorCode::kBadFormat,
          "{}: the storage of tensor '{}' has {} bytes, {} elements of {} were announced", what_,
          name, bytes.size(), id.count, to_string(id.dtype));

  auto owner = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(count) * element);
  used_bytes_ += owner->size();
  if (count > 0) {
    copy_view(bytes.data() + offset * element, element, tensor.shape, strides, owner->data(),
              static_cast<uint64_t>(count));
  }
  tensor.bytes = *owner;
  tensor.owner = std::move(owner);
  return built_.emplace(ref, std::move(tensor)).first->second;
}

}  // namespace asmlp
