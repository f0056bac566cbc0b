// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/keyd/rig.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "common/base/encoding.h"
#include "common/crypto/sha256.h"

namespace auspex::keyd {

ScratchDir::ScratchDir() {
  std::string name = (std::filesystem::temp_directory_path() / "keyd-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}

ScratchDir::~ScratchDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

SecretKey KeyOf(std::string_view seed_hex) {
  absl::StatusOr<SecretMemory> seed = SecretMemory::Create(SecretKey::kSeedOctets);
  const std::optional<std::string> octets = HexDecode(seed_hex);
  if (!seed.ok() || !octets || octets->size() != SecretKey::kSeedOctets) std::abort();
  std::copy(octets->begin(), octets->end(), seed->octets().begin());
  absl::StatusOr<SecretKey> key = SecretKey::FromSeed(*std::move(seed));
  if (!key.ok()) std::abort();
  return *std::move(key);
}

Enrolment SomeEnrolment() {
  return *Enrolment::Parse("https://coord.auspexai.network/lab", kSomeWorker);
}

namespace {

std::unique_ptr<Journal> OpenOrAbort(std::unique_ptr<JournalFolder> folder,
                                     AssignmentLedger& ledger, CreatedClock& created) {
  if (folder == nullptr) folder = std::make_unique<MemoryJournalFolder>();
  auto journal =
      Journal::Open(std::move(folder), JournalOptions{}, 0, [&](const JournalRecord& record) {
        ledger.Replay(record);
        created.Replay(record);
      });
  if (!journal.ok()) std::abort();
  return *std::move(journal);
}

}  // namespace

Rig::Rig(std::optional<Enrolment> enrolment, std::string_view seed_hex,
         std::unique_ptr<JournalFolder> folder)
    : journal(OpenOrAbort(std::move(folder), ledger, created)),
      keys(KeyRing::InMemory(KeyOf(seed_hex), std::move(enrolment))),
      recorder(*journal, clock),
      grants(clock),
      boundary({*keys, recorder, ledger, grants, created, rates}),
      custody(*keys, recorder, grants, created, rates) {}

std::vector<JournalRecord> Rig::Records() const {
  std::vector<JournalRecord> records;
  EXPECT_TRUE(journal
                  ->List(0, 0,
                         [&](const JournalRecord& record) {
                           records.push_back(record);
                           return true;
                         })
                  .ok());
  return records;
}

std::string WorkerOf(const Rig& rig) { return rig.keys->view().enrolment()->worker_id.str(); }

UntrustedRequest GoodRequest(Intent intent) {
  UntrustedRequest request;
  request.intent = intent;
  request.unit_id = "u-1";
  request.assignment_id = "asg-1";
  request.result_id = "res-1";
  request.account_id = "acct-1";
  request.manifest_sha256 = std::string(64, 'a');
  request.body_sha256 = Sha256("{}");
  return request;
}

UntrustedResult GoodResult() {
  UntrustedResult result;
  result.unit_id = "u-1";
  result.assignment_id = "asg-1";
  result.completed_at = "2026-07-19T23:21:50.000123+00:00";
  result.canonical_payload = R"({"n":1,"ratio":0.5,"t":"caf\u00e9"})";
  result.served_weights = {{"model-a", std::string(64, 'b')}};
  result.ran_under = "strict";
  return result;
}

}  // namespace auspex::keyd
