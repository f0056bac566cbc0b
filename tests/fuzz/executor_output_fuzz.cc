// SPDX-License-Identifier: AGPL-3.0-only
// Properties: an accepted output is what keyd signs (canonical, within its size), with a verdict and
// a time in the wire's form; a refused one has a printable reason.
#include "common/base/clock.h"
#include "common/json/canonical.h"
#include "common/json/utf8.h"
#include "runnerd/executor_output.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const bool capture = data[0] % 2 == 1;
  const std::string_view text = auspex::fuzz::Text(data + 1, size - 1);
  static const auto unit = auspex::UnitId::Parse("unit-1");
  const auto result = auspex::runnerd::ParseExecutorOutput(text, *unit, capture, 1'000'000);
  if (!result.ok()) {
    FUZZ_CHECK(result.status().message().size() < 1000);
    for (char c : result.status().message()) FUZZ_CHECK(c >= 0x20 && c < 0x7f);
    return 0;
  }
  FUZZ_CHECK(auspex::CheckCanonicalObject(result->canonical_payload).ok());
  FUZZ_CHECK(result->canonical_payload.size() <= auspex::runnerd::kMaxCanonicalPayload);
  FUZZ_CHECK(result->exit_code >= -255 && result->exit_code <= 255);
  FUZZ_CHECK(auspex::NormalizeCompletedAt(result->completed_at) == result->completed_at);
  FUZZ_CHECK(capture || !result->raw_response);
  FUZZ_CHECK(!result->raw_response || auspex::IsUtf8(*result->raw_response));
  return 0;
}
