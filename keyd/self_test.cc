// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/self_test.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"
#include "keyd/signing_boundary.h"

namespace auspex::keyd {
namespace {

// RFC 8032, section 7.1, TEST 2.
constexpr std::string_view kSeed =
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
constexpr std::string_view kPublic =
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
constexpr std::string_view kMessage = "\x72";
constexpr std::string_view kSignature =
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

absl::Status Failed(std::string_view step) {
  return absl::InternalError(Cat("self-test: ", step, ": this build or machine signs wrongly"));
}

}  // namespace

absl::Status SelfTest() {
  ASSIGN_OR_RETURN(SecretMemory seed, SecretMemory::Create(SecretKey::kSeedOctets));
  const std::string seed_octets = *HexDecode(kSeed);
  std::copy(seed_octets.begin(), seed_octets.end(), seed.octets().begin());
  ASSIGN_OR_RETURN(SecretKey key, SecretKey::FromSeed(std::move(seed)));
  if (key.public_key_hex() != kPublic) return Failed("public key of RFC 8032 test 2");
  const std::string public_key = key.public_key();

  const Clock& clock = Clock::System();
  ASSIGN_OR_RETURN(
      const std::unique_ptr<Journal> journal,
      Journal::Open(std::make_unique<MemoryJournalFile>(MakeJournalHeader(clock.NowMicros())),
                    [](const JournalRecord&) {}));
  Recorder recorder(*journal, clock);
  const std::unique_ptr<KeyRing> keys = KeyRing::InMemory(std::move(key), std::nullopt);

  JournalEntry entry;
  entry.outcome = Outcome::kSigned;
  entry.digest = ToDigest(Sha256(kMessage));
  ASSIGN_OR_RETURN(const DurableRecord proof, recorder.Record(entry));
  ASSIGN_OR_RETURN(const std::string signature, keys->Sign(keys->view(), proof, kMessage));
  if (HexEncode(signature) != kSignature) return Failed("signature of RFC 8032 test 2");
  if (keys->Sign(keys->view(), proof, "another message").ok()) {
    return Failed("a message without its record was signed");
  }

  AssignmentLedger ledger;
  Grants grants(clock);
  SigningBoundary boundary(*keys, recorder, ledger, grants, clock);
  UntrustedRawText raw{"u-1", "asg-1", Sha256("text")};
  ASSIGN_OR_RETURN(const SignedOctets result, boundary.SignRawText({Role::kResult, 0, 0}, raw));
  const std::string octets = Cat("{\"raw_response_sha256\":\"", Sha256HexOf("text"),
                                 "\",\"unit_id\":\"u-1\",\"worker_pubkey\":\"", kPublic, "\"}");
  if (!Ed25519Verify(public_key, octets, result.signature)) return Failed("a composed result");
  return absl::OkStatus();
}

}  // namespace auspex::keyd
