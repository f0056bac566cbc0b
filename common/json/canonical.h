// SPDX-License-Identifier: AGPL-3.0-only
// The canonical JSON of wire protocol section 3 (not RFC 8785): ASCII, sorted by code point, floats
// in shortest round-trip form with a point or exponent, integers of any size. Also a scanner that
// checks, without building values, that text already is canonical: the form in which keyd takes
// payloads. Pure functions, safe from any thread.
#ifndef AUSPEX_COMMON_JSON_CANONICAL_H_
#define AUSPEX_COMMON_JSON_CANONICAL_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/json/reader.h"
#include "common/json/value.h"

namespace auspex {

// The canonical text of `value`.
std::string WriteCanonical(const JsonValue& value);
// One float in the form of 3.3.
std::string CanonicalFloat(double value);
// One string with its quotes in the form of 3.4; `wtf8` as in JsonValue. An octet that is no part
// of WTF-8 is written as U+FFFD, since a writer has no other way out.
std::string CanonicalString(std::string_view wtf8);

// OK when `untrusted_text` is exactly one canonical JSON object (what WriteCanonical would print
// for it) within `limits`; else INVALID_ARGUMENT or RESOURCE_EXHAUSTED naming what is wrong and at
// which octet. Uses stack and a few words per nesting level, no heap per value.
absl::Status CheckCanonicalObject(std::string_view untrusted_text, const JsonLimits& limits = {});

}  // namespace auspex

#endif  // AUSPEX_COMMON_JSON_CANONICAL_H_
