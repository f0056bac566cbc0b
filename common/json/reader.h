// SPDX-License-Identifier: AGPL-3.0-only
// ReadJson: the reader of wire protocol 3.1 under limits. Accepts RFC 8259 in UTF-8 and the bare
// words NaN, Infinity and -Infinity (unless refused by the limits); a repeated member name keeps
// the last value unless refused; unpaired surrogate escapes are kept. Rejects byte order marks,
// invalid UTF-8, raw control characters, trailing content, leading zeros, comments. Never throws;
// memory is bounded by the limits (about 120 octets a value plus the text) and the stack by the
// depth. Safe from any thread.
#ifndef AUSPEX_COMMON_JSON_READER_H_
#define AUSPEX_COMMON_JSON_READER_H_

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/json/value.h"

namespace auspex {

// No caller can ask for deeper nesting than this: a level costs stack here, in the writer and when
// a value is destroyed. The reference gives up at about the same depth.
inline constexpr size_t kMaxJsonDepth = 1000;

struct JsonLimits {
  size_t max_octets = 2 * 1024 * 1024;  // the whole text
  size_t max_depth =
      128;  // arrays and objects inside one another; a scalar has depth 0; at most kMaxJsonDepth
  size_t max_values = 1'000'000;     // values of every kind, names not counted
  size_t max_integer_digits = 4300;  // as the reference
  bool allow_non_finite =
      true;  // NaN, Infinity, -Infinity, and floats that overflow to an infinity
  bool allow_duplicate_names = true;  // false: a repeated name is an error
};

// The value, or INVALID_ARGUMENT "json: <what> at octet N", or RESOURCE_EXHAUSTED naming the limit
// that was crossed.
absl::StatusOr<JsonValue> ReadJson(std::string_view untrusted_text, const JsonLimits& limits = {});

}  // namespace auspex

#endif  // AUSPEX_COMMON_JSON_READER_H_
