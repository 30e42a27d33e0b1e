// What the files of the C API share: its handles, and exceptions turned into status codes.
#pragma once

#include <memory>
#include <new>
#include <string>
#include <vector>

#include "asmlp/asmlp.h"
#include "asmlp/asmlp.hpp"
#include "asmlp/core/error.h"
#include "asmlp/core/out_of_memory.h"

struct asmlp_model {
  std::shared_ptr<const asmlp::Model> model;
  std::vector<std::string> notes;
};

namespace asmlp {

// Makes asmlp_last_error() say `message`, even when there is no memory for it.
void remember(const char* message) noexcept;
asmlp_status status_of(ErrorCode code);

// Runs `body`; whatever it throws becomes a status and a message.
template <typename Body>
asmlp_status guarded(const Body& body) noexcept {
  try {
    body();
    return ASMLP_OK;
  } catch (const Error& error) {
    remember(error.what());
    return status_of(error.code());
  } catch (const OutOfMemory& error) {
    remember(error.what());
    return ASMLP_OUT_OF_MEMORY;
  } catch (const std::bad_alloc&) {
    remember("out of memory; use a smaller image, batch or model");
    return ASMLP_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    remember(error.what());
  } catch (...) {
    remember("an exception of an unknown type");
  }
  return ASMLP_INTERNAL;
}

// Of all three kinds of engines. Error(kInvalidArgument) for numbers that are none of their enum.
ReadOptions reading_of(asmlp_exif exif, int64_t max_pixels);
std::vector<ImageView> views_of(const asmlp_image* images, int count);
// Whether an option is 1. Error(kInvalidArgument) unless it is 0 or 1.
bool is_set(int option, const char* name);

// *pointer. Error(kInvalidArgument) "<name> is NULL".
template <typename T>
T& checked(T* pointer, const char* name) {
  require(pointer != nullptr, ErrorCode::kInvalidArgument, "{} is NULL", name);
  return *pointer;
}

}  // namespace asmlp
