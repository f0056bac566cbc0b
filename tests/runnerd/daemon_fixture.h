// SPDX-License-Identifier: AGPL-3.0-only
// The real auspex-runnerd between fakes of stated and keyd on the real role sockets.
#ifndef AUSPEX_TESTS_RUNNERD_DAEMON_FIXTURE_H_
#define AUSPEX_TESTS_RUNNERD_DAEMON_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "auspex/runnerd/v1/runnerd.grpc.pb.h"
#include "auspex/stated/v1/stated.grpc.pb.h"
#include "common/ipc/role_server.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {

// stated's Work service as the contract says it, kept in memory.
class FakeStated final : public stated::v1::Work::Service {
 public:
  enum class State { kAccepted, kRunning, kCompleted, kRefused, kEnded };
  struct Known {
    stated::v1::RunUnit unit;
    State state = State::kAccepted;
    bool sent = false;  // on the present stream
    int begun = 0, tried = 0, refusals = 0;
    stated::v1::BeginUnitRequest begin;
    stated::v1::CompleteUnitRequest result;
    stated::v1::RefuseUnitRequest refusal;
  };

  void Give(const std::string& id, const std::string& manifest_sha256,
            const std::string& payload = "{\"n\":1}");
  void End(const std::string& id);
  // What is refused next is handed out again, before runnerd hears that its refusal was taken: as when the coordinator offers it once more at
  // once.
  void OfferAgain() { offer_again_ = true; }
  // Answers each begin with trouble.
  void CannotBegin(bool cannot) { cannot_begin_ = cannot; }
  // What each result, or begin, is answered with instead; OK: as they deserve.
  void RefuseToStore(grpc::StatusCode code) { store_answer_ = code; }
  void RefuseToBegin(grpc::StatusCode code) { begin_answer_ = code; }
  // Answers each refusal with trouble.
  void CannotRefuse(bool cannot) { cannot_refuse_ = cannot; }
  // Wait until its begin, or its refusal, was asked for so often (20 s).
  void WaitForTries(const std::string& id, int times);
  void WaitForRefusals(const std::string& id, int times);
  // Waits until the unit is in that state (20 s); its record then.
  Known WaitFor(const std::string& id, State state);
  // Waits until it has begun so often (20 s); its record then.
  Known WaitForBegun(const std::string& id, int times);
  std::string WaitForCapabilities();
  // Waits until runnerd has told this condition's word (20 s); the condition then.
  stated::v1::Condition WaitForStrain(const std::string& word);
  // Waits until runnerd has told this number of slots (20 s).
  void WaitForSlots(uint32_t slots);
  uint32_t slots() const { return slots_; }
  int most_running() const { return most_running_; }
  void Close();  // ends the streams
  std::map<std::string, std::string> archives;

  grpc::Status WatchWork(grpc::ServerContext* context, const stated::v1::WatchWorkRequest* request,
                         grpc::ServerWriter<stated::v1::WorkItem>* writer) override;
  grpc::Status BeginUnit(grpc::ServerContext*, const stated::v1::BeginUnitRequest*,
                         stated::v1::BeginUnitResponse*) override;
  grpc::Status CompleteUnit(grpc::ServerContext*, const stated::v1::CompleteUnitRequest*,
                            stated::v1::CompleteUnitResponse*) override;
  grpc::Status RefuseUnit(grpc::ServerContext*, const stated::v1::RefuseUnitRequest*,
                          stated::v1::RefuseUnitResponse*) override;
  grpc::Status GetPackage(grpc::ServerContext*, const stated::v1::GetPackageRequest*,
                          grpc::ServerWriter<stated::v1::PackageChunk>*) override;
  grpc::Status DropPackage(grpc::ServerContext*, const stated::v1::GetPackageRequest*,
                           stated::v1::DropPackageResponse*) override;
  grpc::Status ReportCapabilities(grpc::ServerContext*, const stated::v1::Capabilities*,
                                  stated::v1::ReportCapabilitiesResponse*) override;
  grpc::Status ReportCondition(grpc::ServerContext*, const stated::v1::Condition*,
                               stated::v1::ReportConditionResponse*) override;

 private:
  int Running() const;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Known> units_;
  std::deque<std::string> ends_;
  std::string capabilities_;
  std::optional<stated::v1::Condition> condition_;
  uint64_t stream_ = 0;
  uint32_t slots_ = 0;
  int most_running_ = 0;
  bool closed_ = false;
  std::atomic<grpc::StatusCode> store_answer_ = grpc::StatusCode::OK,
                                begin_answer_ = grpc::StatusCode::OK;
  std::atomic<bool> offer_again_ = false, cannot_begin_ = false, cannot_refuse_ = false;
};

class FakeKeyd final : public keyd::v1::ResultSigner::Service {
 public:
  grpc::Status SignResult(grpc::ServerContext*, const keyd::v1::SignResultRequest*,
                          keyd::v1::SignResultResponse*) override;
  grpc::Status SignRawText(grpc::ServerContext*, const keyd::v1::SignRawTextRequest*,
                           keyd::v1::SignRawTextResponse*) override;
};

class DaemonTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  void StartStated();
  void StopStated();
  // Starts auspex-runnerd and waits until it says that it serves.
  void StartRunnerd(const std::string& config = "");
  // What the default configuration of StartRunnerd says, and `more`.
  static std::string Settings(const std::string& more);
  void KillRunnerd(int signal);  // and waits for its end
  std::string Log() const;       // what runnerd, or several one after the other, logged so far
  std::unique_ptr<v1::Sandboxes::Stub> Owner() const;
  std::string Stage(const std::vector<std::string>& mode_and_argument);
  // The folder by which processes of this daemon's sandboxes are known.
  std::string EtcFolder() const;

  ScratchFolder folder_;
  std::vector<std::string> flags_;  // further ones of auspex-runnerd
  FakeStated stated_;
  FakeKeyd keyd_;
  std::unique_ptr<RoleServer> stated_server_, keyd_server_;
  pid_t runnerd_ = -1;
  int exit_status_ = -1;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_TESTS_RUNNERD_DAEMON_FIXTURE_H_
