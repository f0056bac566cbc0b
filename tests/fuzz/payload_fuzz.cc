// SPDX-License-Identifier: AGPL-3.0-only
// Property: the scanner takes exactly the texts that are objects and print as themselves.
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = auspex::fuzz::Text(data, size);
  const auto value = auspex::ReadJson(text);
  const bool canonical =
      value.ok() && value->as_object() != nullptr && auspex::WriteCanonical(*value) == text;
  FUZZ_CHECK(auspex::CheckCanonicalObject(text).ok() == canonical);
  if (value.ok()) {
    // The print itself must pass, whatever the input looked like.
    const std::string print = auspex::WriteCanonical(*value);
    FUZZ_CHECK(auspex::CheckCanonicalObject(print, {.max_octets = print.size()}).ok() ==
               (value->as_object() != nullptr));
  }
  return 0;
}
