// SPDX-License-Identifier: AGPL-3.0-only
// The owner's calls on the real netd: enrolment, login and retirement (wire protocol 5.1, 5.7
// to 5.9, 7).
#include <gtest/gtest.h>

#include "common/json/reader.h"
#include "tests/netd/netd_process.h"

namespace auspex::testing {
namespace {

NetdLab::Handler Others(MockServer::Handler handler) {
  return [handler = std::move(handler)](const MockRequest& request, MockWire& wire) {
    if (request.target.ends_with("/heartbeat")) return ReplyHeartbeat(wire);
    if (request.target.ends_with("/assignments")) return ReplyNoWork(wire);
    handler(request, wire);
  };
}

grpc::Status Enrol(NetdLab& lab, netd::v1::EnrolResponse& response,
                   const std::string& key = std::string(64, 'a')) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  netd::v1::EnrolRequest request;
  request.set_public_key_hex(key);
  return lab.Owner()->Enrol(&context, request, &response);
}

void NotEnrolled(NetdLab& lab) {
  lab.stated->SetIdentity({});
  lab.stated->SetDemand([](auto& demand) {
    demand.set_enrolled(false);
    demand.set_free_slots(0);
    demand.set_reason("not_enrolled");
  });
}

TEST(Enrolment, IsUnsignedAndRecorded) {
  NetdLab lab(Others([](const MockRequest&, MockWire& wire) {
    wire.Reply(201,
               R"({"worker_id":"wkr-9","trust_tier":0,"registered_at":"2026-07-19T12:00:00.5Z"})");
  }));
  NotEnrolled(lab);
  lab.Start();
  netd::v1::EnrolResponse response;
  const grpc::Status status = Enrol(lab, response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.worker_id(), "wkr-9");
  EXPECT_FALSE(response.already_enrolled());
  EXPECT_EQ(response.base_url(), lab.server.url());
  const auto requests = lab.server.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].target, "/api/v0/workers/enroll");
  EXPECT_FALSE(requests[0].headers.contains("signature-input"));
  const auto body = ReadJson(requests[0].body);
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(*body->FindString("pubkey_hex"), std::string(64, 'a'));
  EXPECT_EQ(*body->Find("capabilities")->FindString("os"), "linux");
  EXPECT_TRUE(lab.stated->Wait([](const FakeStated& s) {
    return s.enrolments.size() == 1 && s.enrolments[0].worker_id() == "wkr-9";
  }));
}

TEST(Enrolment, WithARecordedIdentityMakesNoCall) {
  NetdLab lab(Others([](const MockRequest&, MockWire& wire) { wire.Reply(500, ""); }));
  lab.Start();
  netd::v1::EnrolResponse response;
  ASSERT_TRUE(Enrol(lab, response).ok());
  EXPECT_TRUE(response.already_enrolled());
  EXPECT_EQ(response.worker_id(), "wkr-test");
  EXPECT_EQ(lab.server.Count("/enroll"), 0);
  EXPECT_EQ(Enrol(lab, response, std::string(64, 'b')).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Enrol(lab, response, "not hex").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(Enrolment, NamesWhyTheCoordinatorRefused) {
  std::string code = "pubkey_retired";
  int http_status = 409;
  NetdLab lab(
      Others([&](const MockRequest&, MockWire& wire) { ReplyError(wire, http_status, code); }));
  NotEnrolled(lab);
  lab.Start();
  netd::v1::EnrolResponse response;
  ASSERT_TRUE(Enrol(lab, response).ok());
  EXPECT_EQ(response.refusal(), "pubkey_retired");
  code = "other";
  http_status = 429;
  response.Clear();
  const grpc::Status status = Enrol(lab, response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_NE(status.error_message().find("HTTP 429"), std::string::npos);
  EXPECT_TRUE(lab.stated->Wait([](const FakeStated& s) { return s.enrolments.empty(); }));
}

TEST(Retirement, IsAFactWhateverComes) {
  int http_status = 200;
  NetdLab lab(Others([&](const MockRequest& request, MockWire& wire) {
    EXPECT_EQ(request.target, "/api/v0/workers/wkr-test/actions/retire");
    EXPECT_EQ(request.headers.at("content-length"), "0");
    wire.Reply(http_status, "{}");
  }));
  lab.Start();
  const auto retire = [&] {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    netd::v1::RetireResponse response;
    EXPECT_TRUE(lab.Owner()->Retire(&context, {}, &response).ok());
    return response.outcome();
  };
  EXPECT_EQ(retire(), "retired");
  http_status = 404;
  EXPECT_EQ(retire(), "not_found");
  http_status = 500;
  EXPECT_EQ(retire(), "failed");
  lab.keyd->SetHook([](const auto& request, auto&) {
    return request.has_retire() ? grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "no grant")
                                : grpc::Status::OK;
  });
  EXPECT_EQ(retire(), "failed");
}

TEST(LoginCall, GoesFromPromptToBinding) {
  MockServer provider([](const MockRequest& request, MockWire& wire) {
    if (request.target == "/login/device/code") {
      return wire.Reply(
          200,
          R"({"device_code":"d","user_code":"ABCD-1234","verification_uri":"https://example.org/device","expires_in":60,"interval":1})");
    }
    wire.Reply(200, R"({"access_token":"good-alice"})");
  });
  NetdLab lab(Others([](const MockRequest& request, MockWire& wire) {
    if (request.target == "/api/v0/accounts/oauth/exchange") {
      EXPECT_EQ(request.body, R"({"access_token":"good-alice","idp":"github"})");
      EXPECT_FALSE(request.headers.contains("signature-input"));
      return wire.Reply(
          200,
          R"({"account_id":"acct-1","binding_token":"tok","expires_at":"2026-07-19T12:05:00Z","is_new_account":true})");
    }
    EXPECT_EQ(request.target, "/api/v0/workers/wkr-test/upgrade");
    EXPECT_EQ(request.body, R"({"binding_token":"tok"})");
    wire.Reply(200, R"({"worker_id":"wkr-test","trust_tier":1})");
  }));
  lab.Configure("[coordinator]\nurl = \"" + lab.server.url() +
                "\"\n[identity]\ngithub_base_url = \"" + provider.url() + "\"\n");
  lab.Start();
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  auto stub = lab.Owner();
  auto reader = stub->Login(&context, {});
  netd::v1::LoginEvent event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.prompt().user_code(), "ABCD-1234");
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.done().account_id(), "acct-1");
  EXPECT_EQ(event.done().new_tier(), 1u);
  EXPECT_TRUE(event.done().is_new_account());
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(lab.stated->Wait([](const FakeStated& s) {
    return s.bindings.size() == 1 && s.bindings[0].account_id() == "acct-1" &&
           s.bindings[0].bound_at() == "2026-07-19T12:05:00Z" && s.bindings[0].trust_tier() == 1;
  }));
  EXPECT_EQ(lab.netd->Log().find("good-alice"), std::string::npos) << "no token in a log";
}

TEST(LoginCall, ACallerThatGoesAwayEndsIt) {
  MockServer provider([](const MockRequest& request, MockWire& wire) {
    if (request.target == "/login/device/code") {
      return wire.Reply(
          200,
          R"({"device_code":"d","user_code":"U","verification_uri":"https://example.org/device","expires_in":600,"interval":1})");
    }
    wire.Reply(200, R"({"error":"authorization_pending"})");
  });
  NetdLab lab(Others([](const MockRequest&, MockWire& wire) { wire.Reply(500, ""); }));
  lab.Configure("[coordinator]\nurl = \"" + lab.server.url() +
                "\"\n[identity]\ngithub_base_url = \"" + provider.url() + "\"\n");
  lab.Start();
  auto stub = lab.Owner();
  {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    auto reader = stub->Login(&context, {});
    netd::v1::LoginEvent event;
    ASSERT_TRUE(reader->Read(&event));
    context.TryCancel();
    EXPECT_FALSE(reader->Finish().ok());
  }
  // A second login is let in as soon as the first has noticed.
  for (int i = 0; i < 200; ++i) {
    grpc::ClientContext context;
    auto reader = stub->Login(&context, {});
    netd::v1::LoginEvent event;
    const bool prompted = reader->Read(&event);
    context.TryCancel();
    reader->Finish().ok();
    if (prompted) return;
    ::usleep(50'000);
  }
  FAIL() << "the first login still holds the place";
}

}  // namespace
}  // namespace auspex::testing
