/* Marks what libasmlp.so exports; everything else is hidden. For C and C++. */
#pragma once

#define ASMLP_API __attribute__((visibility("default")))
