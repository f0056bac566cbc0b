// SPDX-License-Identifier: AGPL-3.0-only
// The real program over its real sockets: a unit's whole life, roles, streams, kill -9 in the
// middle of many writes.
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <set>
#include <thread>

#include "auspex/stated/v1/stated.grpc.pb.h"
#include "common/base/cat.h"
#include "common/ipc/channel.h"
#include "tests/stated/fixture.h"
#include "tests/support/process.h"

namespace auspex::stated {
namespace {

using auspex::testing::Process;
using auspex::testing::ProgramPath;

class DaemonTest : public ::testing::Test {
 protected:
  DaemonTest() { Start(); }
  ~DaemonTest() override {
    if (HasFailure()) std::cerr << auspex::testing::ReadAll(log());
  }
  std::string log() const { return folder_ / "log"; }
  std::string Socket(const std::string& role) const {
    return Cat(folder_.path(), "/run/stated/", role, ".sock");
  }
  std::string Database() const { return folder_ / "state/stated/auspex.db"; }

  void Start() {
    process_ = std::make_unique<Process>(
        std::vector<std::string>{ProgramPath("auspex-stated"), "--home", folder_.path()}, log());
    net_channel_ = ConnectTo(Socket("net"));
    run_channel_ = ConnectTo(Socket("run"));
    owner_channel_ = ConnectTo(Socket("owner"));
    const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(20);
    ASSERT_TRUE(net_channel_->WaitForConnected(deadline)) << auspex::testing::ReadAll(log());
    ASSERT_TRUE(run_channel_->WaitForConnected(deadline));
    ASSERT_TRUE(owner_channel_->WaitForConnected(deadline));
    intake_ = v1::Intake::NewStub(net_channel_);
    outbox_ = v1::Outbox::NewStub(net_channel_);
    work_ = v1::Work::NewStub(run_channel_);
    query_ = v1::Query::NewStub(owner_channel_);
    policy_ = v1::Policy::NewStub(owner_channel_);
  }

  // One call with a deadline.
  template <typename Stub, typename Request, typename Response>
  grpc::Status Call(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    SetDeadline(context, 20);
    return (stub.*method)(&context, request, response);
  }

  void Enrol() {
    v1::RecordEnrolmentRequest request;
    request.set_worker_id("wkr-1");
    request.set_public_key_hex(key_.public_hex());
    request.set_registered_at("2026-05-23T00:00:00Z");
    request.set_base_url("https://lab.example");
    v1::RecordEnrolmentResponse response;
    const grpc::Status status =
        Call(*intake_, &v1::Intake::Stub::RecordEnrolment, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  static v1::OfferRequest OfferOf(int n) {
    const OfferFields fields = OfferNumber(n);
    v1::OfferRequest request;
    request.set_assignment_id(fields.assignment_id);
    request.set_experiment_id(fields.experiment_id);
    request.set_unit_id(fields.unit_id);
    request.set_tenant_id(fields.tenant_id);
    request.set_experiment_label(fields.experiment_label);
    request.set_manifest_sha256(fields.manifest_sha256);
    request.set_created_at(fields.created_at);
    request.set_canonical_payload(fields.payload);
    return request;
  }
  v1::CompleteUnitRequest CompletionOf(int n) const {
    const CompletionFields fields = Complete(key_, Cat("asg-", n), Cat("u-", n));
    v1::CompleteUnitRequest request;
    request.set_assignment_id(fields.assignment_id);
    request.set_completed_at(fields.completed_at);
    request.set_canonical_payload(fields.payload);
    request.set_schema_version(2);
    request.set_ran_under(fields.ran_under);
    request.set_worker_pubkey(fields.worker_pubkey);
    request.set_worker_signature(fields.signature);
    request.set_result_sha256(fields.digest);
    return request;
  }
  v1::Status Status() {
    v1::Status status;
    const grpc::Status called =
        Call(*query_, &v1::Query::Stub::GetStatus, v1::GetStatusRequest(), &status);
    EXPECT_TRUE(called.ok()) << called.error_message();
    return status;
  }

  TempFolder folder_;
  TestKey key_;
  std::unique_ptr<Process> process_;
  std::shared_ptr<grpc::Channel> net_channel_, run_channel_, owner_channel_;
  std::unique_ptr<v1::Intake::Stub> intake_;
  std::unique_ptr<v1::Outbox::Stub> outbox_;
  std::unique_ptr<v1::Work::Stub> work_;
  std::unique_ptr<v1::Query::Stub> query_;
  std::unique_ptr<v1::Policy::Stub> policy_;
};

// A server stream with its context.
template <typename Message>
struct Stream {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<Message>> reader;
};

TEST_F(DaemonTest, AUnitsWholeLife) {
  Enrol();
  Stream<v1::Demand> demand;
  SetDeadline(demand.context, 30);
  demand.reader = intake_->WatchDemand(&demand.context, v1::WatchDemandRequest());
  v1::Demand wanted;
  ASSERT_TRUE(demand.reader->Read(&wanted));
  EXPECT_EQ(wanted.reason(), "no_runner");

  Stream<v1::WorkItem> work;
  SetDeadline(work.context, 30);
  v1::WatchWorkRequest watch;
  watch.set_slots(1);
  work.reader = work_->WatchWork(&work.context, watch);
  while (wanted.reason() != "ready") ASSERT_TRUE(demand.reader->Read(&wanted));
  EXPECT_EQ(wanted.free_slots(), 1u);
  const uint64_t generation = wanted.generation();

  Stream<v1::OutboxItem> outbox;
  SetDeadline(outbox.context, 30);
  outbox.reader = outbox_->WatchOutbox(&outbox.context, v1::WatchOutboxRequest());

  v1::OfferResponse decision;
  ASSERT_TRUE(Call(*intake_, &v1::Intake::Stub::Offer, OfferOf(1), &decision).ok());
  EXPECT_EQ(decision.decision(), "accepted");
  v1::WorkItem item;
  ASSERT_TRUE(work.reader->Read(&item));
  EXPECT_EQ(item.run().assignment_id(), "asg-1");
  EXPECT_EQ(item.run().canonical_payload(), R"({"input":42})");
  v1::BeginUnitRequest begin;
  begin.set_assignment_id("asg-1");
  v1::BeginUnitResponse began;
  ASSERT_TRUE(Call(*work_, &v1::Work::Stub::BeginUnit, begin, &began).ok());
  EXPECT_EQ(Status().units_running(), 1u);
  v1::CompleteUnitResponse completed;
  ASSERT_TRUE(Call(*work_, &v1::Work::Stub::CompleteUnit, CompletionOf(1), &completed).ok());
  while (wanted.reason() != "ready" || wanted.generation() == generation)
    ASSERT_TRUE(demand.reader->Read(&wanted));

  v1::OutboxItem sent;
  ASSERT_TRUE(outbox.reader->Read(&sent));
  ASSERT_TRUE(sent.has_send_result());
  EXPECT_EQ(sent.attempt(), 1u);
  v1::SettleRequest settle;
  settle.set_id(sent.id());
  settle.mutable_result_accepted()->set_result_id("res-1");
  v1::SettleResponse settled;
  ASSERT_TRUE(Call(*outbox_, &v1::Outbox::Stub::Settle, settle, &settled).ok());
  ASSERT_TRUE(outbox.reader->Read(&sent));
  EXPECT_EQ(sent.fetch_receipt().result_id(), "res-1");
  v1::GetResultRequest which;
  which.set_identifier("res-1");
  v1::Result result;
  ASSERT_TRUE(Call(*query_, &v1::Query::Stub::GetResult, which, &result).ok());
  EXPECT_EQ(result.receipt_status(), "placeholder");
  EXPECT_TRUE(Status().netd_connected());
}

TEST_F(DaemonTest, EachSocketHasItsRolesServicesAlone) {
  v1::Status status;
  v1::Identity identity;
  v1::PolicyResponse changed;
  v1::BeginUnitResponse began;
  const auto unimplemented = [](const grpc::Status& call) {
    return call.error_code() == grpc::UNIMPLEMENTED;
  };
  for (const auto& channel : {net_channel_, run_channel_}) {
    auto query = v1::Query::NewStub(channel);
    auto policy = v1::Policy::NewStub(channel);
    EXPECT_TRUE(
        unimplemented(Call(*query, &v1::Query::Stub::GetStatus, v1::GetStatusRequest(), &status)));
    EXPECT_TRUE(
        unimplemented(Call(*policy, &v1::Policy::Stub::Forget, v1::ForgetRequest(), &changed)));
  }
  for (const auto& channel : {owner_channel_, run_channel_}) {
    auto intake = v1::Intake::NewStub(channel);
    EXPECT_TRUE(unimplemented(
        Call(*intake, &v1::Intake::Stub::GetIdentity, v1::GetIdentityRequest(), &identity)));
  }
  for (const auto& channel : {owner_channel_, net_channel_}) {
    auto work = v1::Work::NewStub(channel);
    EXPECT_TRUE(
        unimplemented(Call(*work, &v1::Work::Stub::BeginUnit, v1::BeginUnitRequest(), &began)));
  }
}

TEST_F(DaemonTest, ErrorsKeepTheirCodeAndNameTheField) {
  Enrol();
  v1::OfferRequest offer = OfferOf(1);
  offer.set_unit_id("../actions/retire?x=");
  v1::OfferResponse decision;
  const grpc::Status status = Call(*intake_, &v1::Intake::Stub::Offer, offer, &decision);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("unit"), std::string::npos);
  v1::SettleResponse settled;
  EXPECT_EQ(Call(*outbox_, &v1::Outbox::Stub::Settle, v1::SettleRequest(), &settled).error_code(),
            grpc::INVALID_ARGUMENT);
  v1::RecordPollResponse polled;
  EXPECT_EQ(
      Call(*intake_, &v1::Intake::Stub::RecordPoll, v1::RecordPollRequest(), &polled).error_code(),
      grpc::INVALID_ARGUMENT);
}

TEST_F(DaemonTest, AMessageAboveTheLimitIsRefused) {
  Enrol();
  v1::OfferRequest offer = OfferOf(1);
  offer.set_canonical_payload(std::string(5 * 1024 * 1024, 'x'));
  v1::OfferResponse decision;
  EXPECT_EQ(Call(*intake_, &v1::Intake::Stub::Offer, offer, &decision).error_code(),
            grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Status().units_accepted(), 0u);
}

// A netd gone astray: as many streams as it can open, uploads begun for nothing, outcomes for items
// that are not there. The other roles must not feel it, and it must be over when the streams are.
TEST_F(DaemonTest, AFloodOnNetdsSocketStaysThere) {
  Enrol();
  const auto resident_kb = [&] {
    const std::string text = auspex::testing::ReadAll(Cat("/proc/", process_->pid(), "/status"));
    const size_t at = text.find("VmRSS:");
    return at == std::string::npos ? 0L : std::strtol(text.c_str() + at + 6, nullptr, 10);
  };
  const long before = resident_kb();
  {
    std::vector<std::unique_ptr<Stream<v1::Demand>>> demands;
    std::vector<std::unique_ptr<Stream<v1::OutboxItem>>> outboxes;
    for (int i = 0; i < 300; ++i) {
      auto demand = std::make_unique<Stream<v1::Demand>>();
      demand->reader = intake_->WatchDemand(&demand->context, v1::WatchDemandRequest());
      demands.push_back(std::move(demand));
      auto items = std::make_unique<Stream<v1::OutboxItem>>();
      items->reader = outbox_->WatchOutbox(&items->context, v1::WatchOutboxRequest());
      outboxes.push_back(std::move(items));
    }
    // The owner and the runner are served on.
    EXPECT_EQ(Status().units_accepted(), 0u);
    Stream<v1::WorkItem> work;
    v1::WatchWorkRequest watch;
    watch.set_slots(2);
    work.reader = work_->WatchWork(&work.context, watch);
    while (Status().slots() != 2) std::this_thread::yield();
    work.context.TryCancel();
    v1::WorkItem none;
    while (work.reader->Read(&none)) {
    }
    EXPECT_LT(resident_kb() - before, 32 * 1024);
    for (auto& stream : demands) stream->context.TryCancel();
    for (auto& stream : outboxes) stream->context.TryCancel();
    v1::Demand demand;
    v1::OutboxItem item;
    for (auto& stream : demands) {
      while (stream->reader->Read(&demand)) {
      }
      stream->reader->Finish();
    }
    for (auto& stream : outboxes) {
      while (stream->reader->Read(&item)) {
      }
      stream->reader->Finish();
    }
  }
  // netd's own place is free again, and what is not asked for is refused by name.
  grpc::Status settled;
  do {
    v1::SettleRequest settle;
    settle.set_id(12345);
    settle.mutable_result_accepted()->set_result_id("res-1");
    v1::SettleResponse done;
    settled = Call(*outbox_, &v1::Outbox::Stub::Settle, settle, &done);
  } while (settled.error_code() == grpc::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(settled.ok()) << settled.error_message();
  for (const uint64_t id : {uint64_t{0}, uint64_t{7}, UINT64_MAX}) {
    grpc::ClientContext context;
    SetDeadline(context, 20);
    v1::SettleResponse done;
    auto upload = outbox_->PutPackage(&context, &done);
    v1::PutPackageRequest chunk;
    chunk.set_id(id);
    chunk.set_chunk(std::string(64 * 1024, 'x'));
    while (upload->Write(chunk)) {
    }
    EXPECT_EQ(upload->Finish().error_code(), grpc::NOT_FOUND) << id;
  }
  EXPECT_EQ(Status().units_accepted(), 0u);
  EXPECT_TRUE(process_->Alive());
}

TEST_F(DaemonTest, TheEndOfTheRunnersStreamIsSeen) {
  Enrol();
  {
    Stream<v1::WorkItem> work;
    v1::WatchWorkRequest watch;
    watch.set_slots(3);
    work.reader = work_->WatchWork(&work.context, watch);
    while (Status().slots() != 3) std::this_thread::yield();
    work.context.TryCancel();
    v1::WorkItem item;
    while (work.reader->Read(&item)) {
    }
  }
  while (Status().slots() != 0) std::this_thread::yield();
}

TEST_F(DaemonTest, StatusIsWatched) {
  Stream<v1::Status> watched;
  SetDeadline(watched.context, 30);
  watched.reader = query_->WatchStatus(&watched.context, v1::GetStatusRequest());
  v1::Status status;
  ASSERT_TRUE(watched.reader->Read(&status));
  EXPECT_EQ(status.state(), "not_enrolled");
  Enrol();
  while (status.state() == "not_enrolled") ASSERT_TRUE(watched.reader->Read(&status));
  EXPECT_EQ(status.state(), "offline");
}

TEST_F(DaemonTest, APackageGoesFromNetdToRunnerd) {
  Enrol();
  v1::OfferResponse decision;
  ASSERT_TRUE(Call(*intake_, &v1::Intake::Stub::Offer, OfferOf(1), &decision).ok());
  std::string octets;
  for (int i = 0; i < 700'000; ++i) octets.push_back(static_cast<char>(i * 7));
  std::string received;
  grpc::Status got;
  std::thread runner([&] {
    Stream<v1::PackageChunk> package;
    SetDeadline(package.context, 30);
    v1::GetPackageRequest request;
    request.set_manifest_sha256(std::string(64, 'a'));
    package.reader = work_->GetPackage(&package.context, request);
    v1::PackageChunk chunk;
    while (package.reader->Read(&chunk)) received += chunk.chunk();
    got = package.reader->Finish();
  });
  Stream<v1::OutboxItem> outbox;
  SetDeadline(outbox.context, 30);
  outbox.reader = outbox_->WatchOutbox(&outbox.context, v1::WatchOutboxRequest());
  v1::OutboxItem item;
  ASSERT_TRUE(outbox.reader->Read(&item));
  EXPECT_EQ(item.fetch_package().manifest_sha256(), std::string(64, 'a'));
  grpc::ClientContext context;
  SetDeadline(context, 20);
  v1::SettleResponse settled;
  auto writer = outbox_->PutPackage(&context, &settled);
  v1::PutPackageRequest chunk;
  chunk.set_id(item.id());
  for (size_t at = 0; at < octets.size(); at += 200'000) {
    chunk.set_chunk(octets.substr(at, 200'000));
    ASSERT_TRUE(writer->Write(chunk));
  }
  writer->WritesDone();
  const grpc::Status put = writer->Finish();
  ASSERT_TRUE(put.ok()) << put.error_message();
  runner.join();
  EXPECT_TRUE(got.ok()) << got.error_message();
  EXPECT_TRUE(received == octets);
}

TEST_F(DaemonTest, ForgetDeletesTheFilesAndServesOn) {
  Enrol();
  v1::OfferResponse decision;
  ASSERT_TRUE(Call(*intake_, &v1::Intake::Stub::Offer, OfferOf(1), &decision).ok());
  v1::PolicyResponse changed;
  ASSERT_TRUE(Call(*policy_, &v1::Policy::Stub::Forget, v1::ForgetRequest(), &changed).ok());
  EXPECT_EQ(Status().state(), "not_enrolled");
  for (const char* suffix : {"", "-wal"}) {
    EXPECT_EQ(auspex::testing::ReadAll(Database() + suffix).find("tenant-a"), std::string::npos)
        << suffix;
  }
  Enrol();
  EXPECT_TRUE(Status().identity().enrolled());
}

TEST_F(DaemonTest, FilesAndSocketsArePrivate) {
  for (const std::string& path : {Database(), Socket("net"), Socket("run"), Socket("owner")}) {
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0) << path;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << path;
  }
}

TEST_F(DaemonTest, PrivilegesAreGoneBeforeItServes) {
  const std::string status = auspex::testing::ReadAll(Cat("/proc/", process_->pid(), "/status"));
  EXPECT_NE(status.find("NoNewPrivs:\t1\n"), std::string::npos);
  EXPECT_NE(status.find("Seccomp:\t2\n"), std::string::npos);
  const std::string limits = auspex::testing::ReadAll(Cat("/proc/", process_->pid(), "/limits"));
  EXPECT_NE(limits.find("Max core file size        0                    0"), std::string::npos);
}

TEST_F(DaemonTest, ASecondInstanceIsRefused) {
  Process second({ProgramPath("auspex-stated"), "--home", folder_.path()}, folder_ / "second");
  EXPECT_EQ(second.Wait(std::chrono::seconds(20)), 2);
}

TEST_F(DaemonTest, StopsCleanlyWithStreamsOpen) {
  Enrol();
  Stream<v1::Demand> demand;
  demand.reader = intake_->WatchDemand(&demand.context, v1::WatchDemandRequest());
  v1::Demand wanted;
  ASSERT_TRUE(demand.reader->Read(&wanted));
  EXPECT_EQ(process_->Stop(), 0);
}

TEST_F(DaemonTest, ANewerDatabaseIsRefusedWithExitCode2) {
  ASSERT_EQ(process_->Stop(), 0);
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(Database().c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  Process newer({ProgramPath("auspex-stated"), "--home", folder_.path()}, folder_ / "newer");
  EXPECT_EQ(newer.Wait(std::chrono::seconds(20)), 2);
  EXPECT_NE(auspex::testing::ReadAll(folder_ / "newer").find("newer program"), std::string::npos);
}

// Promise P7: what was answered with OK is there after kill -9, whatever was going on.
TEST_F(DaemonTest, KillNineLosesNothingThatWasAcknowledged) {
  Enrol();
  std::set<int> completed, accepted;
  int next = 1;
  for (int round = 0; round < 4; ++round) {
    Stream<v1::WorkItem> work;
    v1::WatchWorkRequest watch;
    watch.set_slots(64);
    work.reader = work_->WatchWork(&work.context, watch);
    std::mutex mutex;
    std::atomic<int> number{next};
    std::atomic<int> writes{0};
    std::vector<std::thread> clients;
    for (int client = 0; client < 6; ++client) {
      clients.emplace_back([&] {
        while (true) {
          const int n = number++;
          v1::OfferResponse decision;
          if (!Call(*intake_, &v1::Intake::Stub::Offer, OfferOf(n), &decision).ok()) return;
          {
            const std::lock_guard lock(mutex);
            accepted.insert(n);
          }
          v1::CompleteUnitResponse done;
          if (!Call(*work_, &v1::Work::Stub::CompleteUnit, CompletionOf(n), &done).ok()) return;
          const std::lock_guard lock(mutex);
          completed.insert(n);
          ++writes;
        }
      });
    }
    while (writes < 40 * (round + 1)) std::this_thread::yield();
    process_->Kill();
    for (std::thread& client : clients) client.join();
    work.context.TryCancel();
    v1::WorkItem item;
    while (work.reader->Read(&item)) {
    }
    next = number;
    Start();
    // Every acknowledged offer is known, every acknowledged result is in the outbox exactly once.
    v1::ListUnitsRequest list;
    list.set_all(true);
    list.set_limit(10'000);
    v1::ListUnitsResponse units;
    ASSERT_TRUE(Call(*query_, &v1::Query::Stub::ListUnits, list, &units).ok());
    std::map<std::string, std::string> states;
    for (const v1::Unit& unit : units.units()) {
      EXPECT_TRUE(states.emplace(unit.assignment_id(), unit.state()).second)
          << unit.assignment_id();
    }
    for (const int n : accepted) EXPECT_TRUE(states.contains(Cat("asg-", n))) << n;
    for (const int n : completed) EXPECT_EQ(states[Cat("asg-", n)], "finished") << n;
    EXPECT_GE(Status().outbox_results(), completed.size());
  }
  // Each result is handed to netd once, with its whole body.
  Stream<v1::OutboxItem> outbox;
  SetDeadline(outbox.context, 30);
  outbox.reader = outbox_->WatchOutbox(&outbox.context, v1::WatchOutboxRequest());
  std::set<std::string> sent;
  const size_t expected = Status().outbox_results();
  while (sent.size() < expected) {
    v1::OutboxItem item;
    ASSERT_TRUE(outbox.reader->Read(&item));
    if (!item.has_send_result()) continue;
    EXPECT_TRUE(sent.insert(item.send_result().assignment_id()).second);
    v1::SettleRequest settle;
    settle.set_id(item.id());
    settle.mutable_result_accepted()->set_result_id(Cat("res-", sent.size()));
    v1::SettleResponse settled;
    ASSERT_TRUE(Call(*outbox_, &v1::Outbox::Stub::Settle, settle, &settled).ok());
  }
  for (const int n : completed) EXPECT_TRUE(sent.contains(Cat("asg-", n))) << n;
  outbox.context.TryCancel();
}

}  // namespace
}  // namespace auspex::stated
