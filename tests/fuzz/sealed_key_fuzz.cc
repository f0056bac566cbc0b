// SPDX-License-Identifier: AGPL-3.0-only
// A sealed key file, as keyd reads it at its start. Properties: nothing that a fuzzer can make
// opens, since it has no sealing key; every answer is DATA_LOSS (damaged) or FAILED_PRECONDITION
// (sealed with something else); no answer takes memory or time that the file asks for. There is no
// passphrase here, so that Argon2id, whose bounds are tested elsewhere, never runs. And raw seeds of
// an import: 32 octets or 64 hex digits, nothing else.
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "common/files/files.h"
#include "keyd/existing_keystore.h"
#include "keyd/seal.h"
#include "tests/fuzz/fuzz.h"

namespace auspex::keyd {
namespace {

// Sources of a seal: a credential and a local secret, in a folder that goes away at the end.
const SealSources& Sources() {
  struct Made {
    Made() {
      std::string pattern = "/tmp/auspex-fuzz-XXXXXX";
      FUZZ_CHECK(::mkdtemp(pattern.data()) != nullptr);
      folder = pattern;
      sources.credential_path = folder + "/credential";
      sources.local_secret_path = folder + "/seal.key";
      const std::string secret(32, 's');
      FUZZ_CHECK(WriteFileAtomically(sources.credential_path, secret, 0600).ok());
      FUZZ_CHECK(WriteFileAtomically(sources.local_secret_path, secret, 0600).ok());
    }
    ~Made() { (void)RemoveTree(folder); }
    std::string folder;
    SealSources sources;
  };
  static const Made made;
  return made.sources;
}

}  // namespace
}  // namespace auspex::keyd

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view sealed = auspex::fuzz::Text(data, size);
  const auto kind = auspex::keyd::SealKindOf(sealed);
  FUZZ_CHECK(kind.ok() || absl::IsDataLoss(kind.status()) ||
             absl::IsFailedPrecondition(kind.status()));
  const auto key = auspex::keyd::UnsealKey(sealed, auspex::keyd::Sources());
  FUZZ_CHECK(!key.ok());
  FUZZ_CHECK(absl::IsDataLoss(key.status()) || absl::IsFailedPrecondition(key.status()));
  // What the owner hands over as a key from elsewhere.
  const auto seed = auspex::keyd::SeedFromRaw({data, size});
  FUZZ_CHECK(seed.ok() || absl::IsInvalidArgument(seed.status()));
  FUZZ_CHECK(!seed.ok() || size == 32 || (size >= 64 && size <= 66));
  return 0;
}
