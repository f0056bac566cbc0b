// SPDX-License-Identifier: AGPL-3.0-only
// What one socket of the real program takes: oversized messages, floods of streams and uploads.
#include <thread>

#include "tests/stated/daemon_fixture.h"

namespace auspex::stated {
namespace {

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

}  // namespace
}  // namespace auspex::stated
