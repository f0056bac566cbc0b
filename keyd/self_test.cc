// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/self_test.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"
#include "common/log/log.h"
#include "keyd/memory_journal.h"
#include "keyd/signing_boundary.h"

namespace auspex::keyd {
namespace {

struct Vector {
  const char* name;
  const char* seed;
  const char* public_key;
  std::string_view message;
  const char* signature;
};

constexpr Vector kVectors[] = {
    {"RFC 8032 section 7.1 test 1",
     "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "4"
     "6bd25bf5f0595bbe24655141438e7a100b"},
    {"RFC 8032 section 7.1 test 2",
     "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "\x72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d"
     "8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"RFC 8032 section 7.1 test 3",
     "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "\xaf\x82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6"
     "594a7c15e9716ed28dc027beceea1ec40a"},
    {"RFC 9421 appendix B.2.6", "9f8362f87a484a954e6e740c5b4c0e84229139a20aa8ab56ff66586f6a7d29c5",
     "26b40b8f93fff3d897112f7ebc582b232dbd72517d082fe83cfb30ddce43d1bb",
     "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n"
     "\"@method\": POST\n"
     "\"@path\": /foo\n"
     "\"@authority\": example.com\n"
     "\"content-type\": application/json\n"
     "\"content-length\": 18\n"
     "\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" "
     "\"content-length\");created=1618884473;keyid=\"test-key-ed25519\"",
     "c2a700a9b9982768e2da095f00c691cb882bb98627c769c414dd8737a8eb9c39d008ad6ed3619bd38bfd10383050f"
     "8"
     "aee00d30eafb90bf9948a7958fa412910b"},
};

// A heartbeat of worker wkr-1 with the body {} under the key of test 2, composed and signed by
// another implementation.
constexpr int64_t kCreated = 1716000037;
constexpr const char* kHeartbeatSignature =
    "sig1=:NyVNMH7Evc3uFU0wwaKa7GUT+K0iC1u7n0K0q8nMmzCO682gTPX8WuqYwEG/iEMj/"
    "ixUZQutYC35g16z3SdrAg==:";

class StandingClock final : public Clock {
 public:
  int64_t NowMicros() const override { return kCreated * 1'000'000; }
  int64_t MonotonicMicros() const override { return 1'000'000; }
};

absl::Status Failed(std::string_view step) {
  return absl::InternalError(Cat("self-test: ", step, ": this build or machine signs wrongly"));
}

absl::StatusOr<SecretKey> KeyOf(const Vector& vector) {
  ASSIGN_OR_RETURN(SecretMemory seed, SecretMemory::Create(SecretKey::kSeedOctets));
  const std::string octets = *HexDecode(vector.seed);
  std::copy(octets.begin(), octets.end(), seed.octets().begin());
  ASSIGN_OR_RETURN(SecretKey key, SecretKey::FromSeed(std::move(seed)));
  if (key.public_key_hex() != vector.public_key) return Failed(Cat(vector.name, ", public key"));
  return key;
}

// The way of every signature: record, proof, signer.
absl::Status CheckVector(const Vector& vector, Recorder& recorder) {
  ASSIGN_OR_RETURN(SecretKey key, KeyOf(vector));
  const std::unique_ptr<KeyRing> keys = KeyRing::InMemory(std::move(key), std::nullopt);
  JournalEntry entry;
  entry.outcome = Outcome::kSigned;
  entry.digest = ToDigest(Sha256(vector.message));
  ASSIGN_OR_RETURN(const DurableRecord proof, recorder.Record(entry));
  ASSIGN_OR_RETURN(const std::string signature, keys->Sign(keys->view(), proof, vector.message));
  if (HexEncode(signature) != vector.signature) return Failed(Cat(vector.name, ", signature"));
  if (!Ed25519Verify(*HexDecode(vector.public_key), vector.message, signature) ||
      Ed25519Verify(*HexDecode(vector.public_key), Cat(vector.message, "x"), signature)) {
    return Failed(Cat(vector.name, ", verification"));
  }
  if (keys->Sign(keys->view(), proof, "another message").ok()) {
    return Failed("a message without its record was signed");
  }
  return absl::OkStatus();
}

absl::Status CheckComposition(Recorder& recorder, const Clock& clock) {
  const Vector& vector = kVectors[1];
  ASSIGN_OR_RETURN(SecretKey key, KeyOf(vector));
  ASSIGN_OR_RETURN(Enrolment enrolment, Enrolment::Parse("http://127.0.0.1:8080", "wkr-1"));
  const std::unique_ptr<KeyRing> keys = KeyRing::InMemory(std::move(key), std::move(enrolment));
  AssignmentLedger ledger;
  Grants grants(clock);
  CreatedClock created(clock);
  Rates rates(clock);
  SigningBoundary boundary({*keys, recorder, ledger, grants, created, rates});

  UntrustedRequest heartbeat;
  heartbeat.intent = Intent::kHeartbeat;
  heartbeat.body_sha256 = Sha256("{}");
  ASSIGN_OR_RETURN(const SignedHttp request,
                   boundary.SignRequest({Role::kRequest, 0, 0}, heartbeat));
  if (request.signature != kHeartbeatSignature) return Failed("a composed request");

  UntrustedRawText raw{"u-1", "asg-1", Sha256("text")};
  ASSIGN_OR_RETURN(const SignedOctets result, boundary.SignRawText({Role::kResult, 0, 0}, raw));
  const std::string octets =
      Cat("{\"raw_response_sha256\":\"", Sha256HexOf("text"),
          "\",\"unit_id\":\"u-1\",\"worker_pubkey\":\"", vector.public_key, "\"}");
  if (!Ed25519Verify(*HexDecode(vector.public_key), octets, result.signature)) {
    return Failed("a composed result");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SelfTest() {
  const StandingClock clock;
  ASSIGN_OR_RETURN(const std::unique_ptr<Journal> journal,
                   Journal::Open(std::make_unique<MemoryJournalFolder>(), JournalOptions{},
                                 clock.NowMicros(), [](const JournalRecord&) {}));
  Recorder recorder(*journal, clock);
  for (const Vector& vector : kVectors) RETURN_IF_ERROR(CheckVector(vector, recorder));
  RETURN_IF_ERROR(CheckComposition(recorder, clock));
  LogInfo("self_test_passed", {{"vectors", std::size(kVectors)}});
  return absl::OkStatus();
}

}  // namespace auspex::keyd
