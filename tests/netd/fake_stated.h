// SPDX-License-Identifier: AGPL-3.0-only
// FakeStated: stated's role "net" as netd sees it, in the test's own process. A test sets the
// demand, puts items into the outbox and waits for what netd records. Safe from any thread.
#ifndef AUSPEX_TESTS_NETD_FAKE_STATED_H_
#define AUSPEX_TESTS_NETD_FAKE_STATED_H_

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "auspex/stated/v1/stated.grpc.pb.h"
#include "common/ipc/role_server.h"

namespace auspex::testing {

class FakeStated {
 public:
  explicit FakeStated(const std::string& socket);
  ~FakeStated();

  // The present demand; every stream hears of a change. Enrolled, one slot, "ready" at first.
  void SetDemand(const std::function<void(stated::v1::Demand&)>& change);
  // Puts an item into the outbox under the next id and returns it.
  uint64_t Put(stated::v1::OutboxItem item);
  // What Offer answers; "accepted" at first.
  void SetOfferAnswer(
      std::function<stated::v1::OfferResponse(const stated::v1::OfferRequest&)> answer);
  void SetIdentity(stated::v1::Identity identity);
  // The next so many offers, or packages, are not taken: UNAVAILABLE. The streams stay open.
  void FailOffers(int next) { failing_offers_ = next; }
  void FailPackages(int next) { failing_packages_ = next; }
  // Packages are read and not answered until the call ends; how many are held.
  void HoldPackages() { holds_packages_ = true; }
  int held_packages() const { return held_packages_; }

  // Waits (at most 20 s) until the item was settled; an empty request when it was not.
  stated::v1::SettleRequest WaitForSettle(uint64_t id);
  // Waits (at most 20 s) until `holds`, called under the lock, is true.
  bool Wait(const std::function<bool(const FakeStated&)>& holds);
  // Octets that PutPackage brought whole, by item.
  std::map<uint64_t, std::string> packages() const;

  // Recorded; read them inside Wait, or when netd has ended.
  std::vector<stated::v1::OfferRequest> offers;
  std::vector<stated::v1::RecordHeartbeatRequest> heartbeats;
  std::vector<stated::v1::RecordPollRequest> polls;
  std::vector<stated::v1::RecordEnrolmentRequest> enrolments;
  std::vector<stated::v1::RecordBindingRequest> bindings;
  std::map<uint64_t, stated::v1::SettleRequest> settled;
  int cancelled_packages = 0;

 private:
  std::atomic<int> failing_offers_ = 0, failing_packages_ = 0, held_packages_ = 0;
  std::atomic<bool> holds_packages_ = false;
  class IntakeService;
  class OutboxService;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  stated::v1::Demand demand_;
  uint64_t demand_version_ = 0;
  stated::v1::Identity identity_;
  std::map<uint64_t, stated::v1::OutboxItem> items_;
  std::map<uint64_t, std::string> packages_;
  std::function<stated::v1::OfferResponse(const stated::v1::OfferRequest&)> offer_answer_;
  uint64_t next_id_ = 1;
  bool stopping_ = false;
  std::unique_ptr<IntakeService> intake_;
  std::unique_ptr<OutboxService> outbox_;
  std::unique_ptr<RoleServer> server_;
};

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_NETD_FAKE_STATED_H_
