// SPDX-License-Identifier: AGPL-3.0-only
// What the fuzz targets share: a check that stays on in every build, since a broken property is the
// finding.
#ifndef AUSPEX_TESTS_FUZZ_FUZZ_H_
#define AUSPEX_TESTS_FUZZ_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#define FUZZ_CHECK(condition)                                                      \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                \
    }                                                                              \
  } while (false)

namespace auspex::fuzz {
inline std::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}
}  // namespace auspex::fuzz

#endif  // AUSPEX_TESTS_FUZZ_FUZZ_H_
