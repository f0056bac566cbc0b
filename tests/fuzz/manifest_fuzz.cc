// SPDX-License-Identifier: AGPL-3.0-only
// Properties: an accepted manifest has a command whose words survive as arguments, and the hash of
// its canonical form, which reads back as the same manifest; a signature that nobody made is none.
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/wire/manifest.h"
#include "runnerd/package_signature.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = auspex::fuzz::Text(data, size);
  static const auto key = auspex::PublicKeyHex::Parse(
      "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29");
  static const auto hash = auspex::Sha256Hex::Parse(std::string(64, 'a'));
  FUZZ_CHECK(!auspex::runnerd::CheckManifestSignature(text, *hash, *key).ok());
  const auto manifest = auspex::ParseManifest(text);
  if (!manifest.ok()) {
    FUZZ_CHECK(!manifest.status().message().empty());
    return 0;
  }
  FUZZ_CHECK(!manifest->command.empty());
  for (const std::string& word : manifest->command)
    FUZZ_CHECK(word.find('\0') == std::string::npos);
  const auto json = auspex::ReadJson(text);
  FUZZ_CHECK(json.ok());
  const std::string canonical = auspex::WriteCanonical(*json);
  const auto again = auspex::ParseManifest(canonical);
  FUZZ_CHECK(again.ok() || canonical.size() > text.size());  // only its bound can be in the way
  if (!again.ok()) return 0;
  FUZZ_CHECK(again->sha256 == manifest->sha256);
  FUZZ_CHECK(again->command == manifest->command);
  FUZZ_CHECK(again->tenant_id == manifest->tenant_id);
  FUZZ_CHECK(again->package_sha256 == manifest->package_sha256);
  FUZZ_CHECK(again->models.size() == manifest->models.size());
  return 0;
}
