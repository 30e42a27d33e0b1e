// The page at /: drop a photo, see what the models say of it.
#pragma once

#include "asmlp/server/message.h"

namespace asmlp::server {

// One HTML document with its style and script, which loads nothing from elsewhere.
HttpReply page_reply();

}  // namespace asmlp::server
