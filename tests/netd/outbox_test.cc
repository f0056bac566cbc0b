// SPDX-License-Identifier: AGPL-3.0-only
// The outbox of the real netd: results, refusals, receipts and packages (wire protocol 5.4
// to 5.6, 5.12).
#include <gtest/gtest.h>

#include <atomic>

#include "tests/netd/netd_process.h"

namespace auspex::testing {
namespace {

using stated::v1::OutboxItem;
using stated::v1::SettleRequest;

// A coordinator without work that gives everything else to `handler`.
NetdLab::Handler Others(MockServer::Handler handler) {
  return [handler = std::move(handler)](const MockRequest& request, MockWire& wire) {
    if (request.target.ends_with("/heartbeat")) return ReplyHeartbeat(wire);
    if (request.target.ends_with("/assignments")) return ReplyNoWork(wire);
    handler(request, wire);
  };
}

OutboxItem ResultItem(const std::string& unit, const std::string& body = R"({"unit_id":"u"})") {
  OutboxItem item;
  item.mutable_send_result()->set_unit_id(unit);
  item.mutable_send_result()->set_assignment_id("asg-" + unit);
  item.mutable_send_result()->set_body(body);
  return item;
}

OutboxItem ReceiptItem(const std::string& result) {
  OutboxItem item;
  item.mutable_fetch_receipt()->set_result_id(result);
  return item;
}

OutboxItem PackageItem() {
  OutboxItem item;
  item.mutable_fetch_package()->set_manifest_sha256(std::string(64, 'c'));
  return item;
}

constexpr char kAccepted[] =
    R"({"result_id":"res-1","unit_id":"u","unit_status_after":"in_progress","completions_so_far":1,"replication_target":2})";

TEST(OutboxSending, AResultGoesOutAsItIsStored) {
  NetdLab lab(Others([](const MockRequest&, MockWire& wire) { wire.Reply(201, kAccepted); }));
  const std::string body = "{\"any\" : \"octets\xc3\xa9\"}";
  const uint64_t id = lab.stated->Put(ResultItem("u-1", body));
  lab.Start();
  const SettleRequest settle = lab.stated->WaitForSettle(id);
  ASSERT_TRUE(settle.has_result_accepted());
  EXPECT_EQ(settle.result_accepted().result_id(), "res-1");
  for (const MockRequest& request : lab.server.requests()) {
    if (!request.target.ends_with("/result")) continue;
    EXPECT_EQ(request.target, "/api/v0/workers/wkr-test/assignments/u-1/result");
    EXPECT_EQ(request.body, body);
    EXPECT_EQ(request.method, "POST");
  }
}

TEST(OutboxSending, EachKindSettlesByItsTable) {
  NetdLab lab(Others([](const MockRequest& request, MockWire& wire) {
    if (request.target.ends_with("/u-dup/result"))
      return ReplyError(wire, 409, "result_already_submitted", R"({"existing_result_id":"res-7"})");
    if (request.target.ends_with("/u-held/result"))
      return ReplyError(wire, 423, "worker_quarantined");
    if (request.target.ends_with("/u-bad/result")) return ReplyError(wire, 422, "schema_violation");
    if (request.target.ends_with("/u-slow/result"))
      return wire.Reply(503, "", {{"Retry-After", "9"}});
    if (request.target.ends_with("/refuse"))
      return wire.Reply(200, R"({"assignment_id":"a","unit_id":"u"})");
    if (request.target.ends_with("/res-good/canonical-receipt"))
      return wire.Reply(200, R"({"cose_signed_blob_b64":"hEMBAgM="})");
    if (request.target.ends_with("/res-never/canonical-receipt"))
      return ReplyError(wire, 410, "receipt_will_not_issue", R"({"reason":"experiment_aborted"})");
    ReplyError(wire, 404, "receipt_not_issued");
  }));
  OutboxItem refusal;
  refusal.mutable_send_refusal()->set_unit_id("u-no");
  refusal.mutable_send_refusal()->set_assignment_id("asg-no");
  refusal.mutable_send_refusal()->set_body(
      R"({"kind":"runner_failed","reason":"","assignment_id":"asg-no"})");
  FakeStated& stated = *lab.stated;
  const uint64_t dup = stated.Put(ResultItem("u-dup")), held = stated.Put(ResultItem("u-held")),
                 bad = stated.Put(ResultItem("u-bad")), slow = stated.Put(ResultItem("u-slow")),
                 no = stated.Put(refusal), good = stated.Put(ReceiptItem("res-good")),
                 never = stated.Put(ReceiptItem("res-never")),
                 later = stated.Put(ReceiptItem("res-later"));
  lab.Start();
  EXPECT_TRUE(stated.WaitForSettle(dup).result_accepted().already());
  EXPECT_TRUE(stated.WaitForSettle(held).has_held());
  EXPECT_EQ(stated.WaitForSettle(bad).terminal().code(), "schema_violation");
  EXPECT_EQ(stated.WaitForSettle(slow).transient().retry_after_seconds(), 9u);
  EXPECT_TRUE(stated.WaitForSettle(no).has_refusal_done());
  EXPECT_EQ(stated.WaitForSettle(good).receipt().cose(), std::string("\x84\x43\x01\x02\x03", 5));
  EXPECT_EQ(stated.WaitForSettle(never).receipt_never().reason(), "experiment_aborted");
  EXPECT_TRUE(stated.WaitForSettle(later).has_transient());
}

TEST(OutboxSending, SlowReceiptsDoNotHoldUpAResult) {
  NetdLab lab(Others([](const MockRequest& request, MockWire& wire) {
    if (request.target.ends_with("/result")) return wire.Reply(201, kAccepted);
    wire.WaitForClose();
  }));
  for (int i = 0; i < 20; ++i) lab.stated->Put(ReceiptItem("res-" + std::to_string(i)));
  lab.Start();
  ASSERT_TRUE(lab.server.WaitFor("/canonical-receipt", 3));
  const uint64_t id = lab.stated->Put(ResultItem("u-1"));
  EXPECT_TRUE(lab.stated->WaitForSettle(id).has_result_accepted());
  EXPECT_EQ(lab.netd->Stop(), 0) << "a stop ends transfers at once";
}

TEST(OutboxSending, WhatKeydWillNeverSignIsTerminal) {
  NetdLab lab(Others([](const MockRequest&, MockWire& wire) { wire.Reply(201, kAccepted); }));
  lab.keyd->SetHook([](const keyd::v1::SignRequestRequest& request, keyd::v1::SignedRequest&) {
    if (request.submit_result().unit_id() == "u-two")
      return grpc::Status(grpc::StatusCode::ALREADY_EXISTS, "another body was signed");
    if (request.submit_result().unit_id() == "u-wait")
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "journal");
    return grpc::Status::OK;
  });
  const uint64_t two = lab.stated->Put(ResultItem("u-two")),
                 wait = lab.stated->Put(ResultItem("u-wait"));
  lab.Start();
  EXPECT_EQ(lab.stated->WaitForSettle(two).terminal().code(), "equivocation");
  EXPECT_TRUE(lab.stated->WaitForSettle(wait).has_transient());
  EXPECT_EQ(lab.server.Count("/result"), 0);
}

// keyd refuses by its rates, or by this machine's clock: that is waited out, and never costs an
// attempt, so that no result is given up for it.
TEST(OutboxSending, WhatKeydSignsLaterIsHeldWithoutAnAttempt) {
  NetdLab lab(Others([](const MockRequest&, MockWire& wire) { wire.Reply(201, kAccepted); }));
  std::atomic<int> refused{0};
  lab.keyd->SetHook([&](const keyd::v1::SignRequestRequest& request, keyd::v1::SignedRequest&) {
    if (request.submit_result().unit_id() == "u-soon" && refused++ < 3)
      return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "rate: ask again in 0.01 s");
    if (request.submit_result().unit_id() == "u-clock")
      return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "clock: is 600 s behind");
    return grpc::Status::OK;
  });
  const uint64_t soon = lab.stated->Put(ResultItem("u-soon")),
                 clock = lab.stated->Put(ResultItem("u-clock"));
  lab.Start();
  EXPECT_TRUE(lab.stated->WaitForSettle(soon).has_result_accepted());
  EXPECT_GT(refused, 3);
  EXPECT_NE(lab.stated->WaitForSettle(clock).held().text().find("clock:"), std::string::npos);
  EXPECT_EQ(lab.server.Count("/result"), 1);
}

TEST(OutboxSending, ABrokenConnectionIsTransient) {
  NetdLab lab(Others([](const MockRequest&, MockWire& wire) {
    wire.Send("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{");
    wire.Close();
  }));
  const uint64_t id = lab.stated->Put(ResultItem("u-1"));
  lab.Start();
  EXPECT_TRUE(lab.stated->WaitForSettle(id).has_transient());
}

TEST(OutboxSending, APackageIsStreamedWhole) {
  std::string archive;
  for (int i = 0; i < 3'000'000; ++i) archive.push_back(static_cast<char>(i * 7));
  NetdLab lab(Others([&](const MockRequest& request, MockWire& wire) {
    EXPECT_EQ(request.target, "/api/v0/packages/by-manifest/" + std::string(64, 'c'));
    wire.Reply(200, archive, {{"Content-Type", "application/gzip"}});
  }));
  const uint64_t id = lab.stated->Put(PackageItem());
  lab.Start();
  ASSERT_TRUE(lab.stated->Wait([&](const FakeStated& s) { return s.settled.contains(id); }));
  EXPECT_EQ(lab.stated->packages()[id], archive);
}

// stated waits for a package that is on its way, and netd is the only one who knows that it is not.
TEST(OutboxSending, APackageThatStatedCouldNotTakeIsSettled) {
  NetdLab lab(Others([](const MockRequest&, MockWire& wire) { wire.Reply(200, "octets"); }));
  lab.stated->FailPackages(1);
  const uint64_t id = lab.stated->Put(PackageItem());
  lab.Start();
  EXPECT_TRUE(lab.stated->WaitForSettle(id).has_transient());
}

// What netd's own stop ends comes again with the next stream.
TEST(OutboxSending, APackageThatAStopEndsIsNotSettled) {
  NetdLab lab(Others([](const MockRequest&, MockWire& wire) { wire.Reply(200, "octets"); }));
  lab.stated->HoldPackages();
  const uint64_t id = lab.stated->Put(PackageItem());
  lab.Start();
  ASSERT_TRUE(lab.stated->Wait([](const FakeStated& s) { return s.held_packages() == 1; }));
  EXPECT_EQ(lab.netd->Stop(), 0);
  EXPECT_FALSE(lab.stated->settled.contains(id));
}

TEST(OutboxSending, APackageThatCannotBeHadIsTerminal) {
  for (const int status : {404, 401, 302, 500}) {
    NetdLab lab(Others([&](const MockRequest&, MockWire& wire) {
      ReplyError(wire, status, "package_not_found");
    }));
    const uint64_t id = lab.stated->Put(PackageItem());
    lab.Start();
    EXPECT_EQ(lab.stated->WaitForSettle(id).terminal().code(), "package_unavailable") << status;
    EXPECT_TRUE(lab.stated->packages().empty());
  }
}

TEST(OutboxSending, ATruncatedPackageIsNeverHandedOver) {
  NetdLab lab(Others([](const MockRequest&, MockWire& wire) {
    wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + std::string(500'000, 'x'));
    wire.Close();
  }));
  const uint64_t id = lab.stated->Put(PackageItem());
  lab.Start();
  EXPECT_EQ(lab.stated->WaitForSettle(id).terminal().code(), "package_unavailable");
  EXPECT_TRUE(lab.stated->Wait([](const FakeStated& s) { return s.cancelled_packages == 1; }));
  EXPECT_TRUE(lab.stated->packages().empty());
}

TEST(OutboxSending, APackageAboveTheCapIsNeverHandedOver) {
  NetdLab lab(Others([](const MockRequest&, MockWire& wire) {
    wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    const std::string chunk(1 << 20, 'x');
    while (wire.Send(chunk)) {
    }
  }));
  const uint64_t id = lab.stated->Put(PackageItem());
  lab.Start();
  EXPECT_EQ(lab.stated->WaitForSettle(id).terminal().code(), "package_unavailable");
  EXPECT_TRUE(lab.stated->packages().empty());
}

}  // namespace
}  // namespace auspex::testing
