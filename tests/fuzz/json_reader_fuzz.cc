// SPDX-License-Identifier: AGPL-3.0-only
// Property: whatever is read prints in a form that reads back to the same print.
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto value = auspex::ReadJson(auspex::fuzz::Text(data, size));
  if (!value.ok()) return 0;
  const std::string canonical = auspex::WriteCanonical(*value);
  // A print may be longer than what was read (escapes), never deeper or with more values.
  const auto again = auspex::ReadJson(canonical, {.max_octets = canonical.size()});
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(auspex::WriteCanonical(*again) == canonical);
  return 0;
}
