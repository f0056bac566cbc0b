// SPDX-License-Identifier: AGPL-3.0-only
// What stated's tests share: a clock and a folder that the test owns, a worker's key, and an open
// Hub with short ways to bring a unit through its life. One object a test; not thread-safe but for
// the Hub itself.
#ifndef AUSPEX_TESTS_STATED_FIXTURE_H_
#define AUSPEX_TESTS_STATED_FIXTURE_H_

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/receipt/receipt.h"
#include "stated/hub.h"
#include "stated/listings.h"
#include "tests/support/temp_dir.h"

namespace auspex::stated {

class FakeClock final : public Clock {
 public:
  int64_t NowMicros() const override { return now_; }
  int64_t MonotonicMicros() const override { return monotonic_; }
  void Advance(int64_t micros) {
    now_ += micros;
    monotonic_ += micros;
  }
  // Moves the wall clock alone.
  void Jump(int64_t micros) { now_ += micros; }

 private:
  std::atomic<int64_t> now_{1'790'000'000'000'000};
  std::atomic<int64_t> monotonic_{5'000'000'000};
};

using TempFolder = auspex::testing::TempDir;

// An Ed25519 key from a fixed seed.
class TestKey {
 public:
  explicit TestKey(char seed = 'k');
  const std::string& public_hex() const { return public_hex_; }
  const std::string& public_octets() const { return public_octets_; }
  std::string Sign(std::string_view octets) const;

 private:
  std::string secret_, public_octets_, public_hex_;
};

// The fields of an offer, valid until a test spoils one.
struct OfferFields {
  std::string assignment_id = "asg-1", experiment_id = "exp-1", unit_id = "u-1",
              tenant_id = "tenant-a", experiment_label = "label-a",
              manifest_sha256 = std::string(64, 'a'), created_at = "2026-07-19T11:50:00Z",
              payload = R"({"input":42})", schema_version = "0.1";
  UntrustedOffer Untrusted() const;
};
// The same for assignment "asg-<n>" of unit "u-<n>".
OfferFields OfferNumber(int n);

// A completion with a right signature by `key`; the test may spoil members.
struct CompletionFields {
  std::string assignment_id, completed_at = "2026-07-19T12:00:05.000001+00:00",
                             payload = R"({"answer":1})", ran_under = "strict", worker_pubkey,
                             signature, digest, raw_response, raw_signature;
  int64_t exit_code = 0;
  uint32_t schema_version = 2;
  std::map<std::string, std::string> served_weights;
  UntrustedCompletion Untrusted() const;
};
CompletionFields Complete(const TestKey& key, const std::string& assignment_id,
                          const std::string& unit_id,
                          const std::string& payload = R"({"answer":1})");

class HubTest : public ::testing::Test {
 protected:
  HubTest();
  ~HubTest() override;
  // Closes the hub, if it is open, and opens the same folder again.
  void Reopen();
  void Enrol(const std::string& base_url = "https://lab.example");

  // Short ways; each expects success.
  OfferDecision Offer(const OfferFields& fields);
  // The next item of a session that is there already.
  std::optional<WorkItem> NextWork(WorkQueue::Session& session);
  std::optional<stated::OutboxItem> NextItem(OutboxQueue::Session& session);
  // Offers, begins and completes unit n on `session`.
  void FinishUnit(WorkQueue::Session& session, int n);
  // Settles the result item of unit n as accepted with result id "res-<n>".
  void Submit(OutboxQueue::Session& session, int n);
  std::vector<AuditRow> Audit(std::string_view action = "");
  UnitState StateOf(const std::string& assignment);
  StatusReport Status();
  int64_t Number(SqlText sql);
  // A receipt for unit n as `coordinator` would issue it; `digest` empty: the right one.
  std::string ReceiptFor(const TestKey& coordinator, int n, std::string digest = "");

  TempFolder folder_;
  FakeClock clock_;
  TestKey key_;
  Settings settings_;
  std::unique_ptr<Hub> hub_;
};

inline constexpr std::chrono::microseconds kNoWait{0};

}  // namespace auspex::stated

#endif  // AUSPEX_TESTS_STATED_FIXTURE_H_
