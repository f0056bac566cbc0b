// SPDX-License-Identifier: AGPL-3.0-only
// The real program over its real sockets: a unit's whole life, roles, streams.
#include <fcntl.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <set>
#include <thread>

#include "tests/stated/daemon_fixture.h"
#include "tests/support/call_faults.h"

namespace auspex::stated {
namespace {

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
  // It is there, and counts from when it has said what it can do.
  v1::Capabilities capabilities;
  capabilities.set_canonical_json(R"({"cpu_count":2})");
  v1::ReportCapabilitiesResponse told;
  ASSERT_TRUE(Call(*work_, &v1::Work::Stub::ReportCapabilities, capabilities, &told).ok());
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

// As netd brings it; stated may end the call before it has all.
grpc::Status PutPackage(v1::Outbox::Stub& outbox, uint64_t item, const std::string& octets) {
  grpc::ClientContext context;
  SetDeadline(context, 20);
  v1::SettleResponse settled;
  const auto writer = outbox.PutPackage(&context, &settled);
  v1::PutPackageRequest chunk;
  chunk.set_id(item);
  for (size_t at = 0; at < octets.size(); at += 200'000) {
    chunk.set_chunk(octets.substr(at, 200'000));
    if (!writer->Write(chunk)) break;
  }
  writer->WritesDone();
  return writer->Finish();
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
  const grpc::Status put = PutPackage(*outbox_, item.id(), octets);
  ASSERT_TRUE(put.ok()) << put.error_message();
  runner.join();
  EXPECT_TRUE(got.ok()) << got.error_message();
  EXPECT_TRUE(received == octets);
}

// UNAVAILABLE would tell netd that stated is gone, and it would wait for another.
TEST_F(DaemonTest, APackageForADiskThatFailsIsRefusedAndNotPutOff) {
  process_->Stop();
  for (const int failing : {SYS_openat, SYS_write}) {
    std::atomic<bool> fails = false;
    // The spool's files alone are written by write() and made by a netd that brings something.
    auspex::testing::CallFaults faults(
        {SYS_openat, SYS_write}, [&](const auspex::testing::CallFaults::Call& call) {
          if (!fails || call.number != failing) return 0;
          const bool made = (call.arguments[2] & O_CREAT) != 0;
          const bool large = call.arguments[2] >= 100'000;
          return (call.number == SYS_openat ? made : large) ? EIO : 0;
        });
    Start([&faults] { faults.WatchThisProcess(); });
    Enrol();
    v1::OfferResponse decision;
    ASSERT_TRUE(Call(*intake_, &v1::Intake::Stub::Offer, OfferOf(1), &decision).ok());
    Stream<v1::PackageChunk> package;
    SetDeadline(package.context, 30);
    v1::GetPackageRequest request;
    request.set_manifest_sha256(std::string(64, 'a'));
    package.reader = work_->GetPackage(&package.context, request);
    Stream<v1::OutboxItem> outbox;
    SetDeadline(outbox.context, 30);
    outbox.reader = outbox_->WatchOutbox(&outbox.context, v1::WatchOutboxRequest());
    v1::OutboxItem item;
    ASSERT_TRUE(outbox.reader->Read(&item));
    fails = true;
    const grpc::Status put = PutPackage(*outbox_, item.id(), std::string(200'000, 'x'));
    EXPECT_EQ(put.error_code(), grpc::RESOURCE_EXHAUSTED) << failing << " " << put.error_message();
    fails = false;
    process_->Kill();
  }
}

}  // namespace
}  // namespace auspex::stated
