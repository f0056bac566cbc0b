// SPDX-License-Identifier: AGPL-3.0-only
// The device flow of wire protocol section 7 against a fake provider whose seconds are 10 ms long.
#include "netd/device_flow.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "tests/netd/mock_server.h"

namespace auspex {
namespace {

using testing::MockRequest;
using testing::MockServer;
using testing::MockWire;

constexpr char kStart[] =
    R"({"device_code":"dev+code/1","user_code":"ABCD-1234","verification_uri":"https://example.org/device","expires_in":600,"interval":1})";

class DeviceFlowTest : public ::testing::Test {
 protected:
  // `step2` answers the nth poll (from 1).
  absl::StatusOr<AccessToken> Login(std::string start, std::function<void(int, MockWire&)> step2,
                                    std::stop_token stop = {}) {
    server_ = std::make_unique<MockServer>(
        [this, start, step2](const MockRequest& request, MockWire& wire) {
          if (request.target == "/login/device/code") {
            wire.Reply(200, start);
          } else {
            step2(++polls_, wire);
          }
        });
    DeviceFlow flow({.provider = *BaseUrl::Parse(server_->url()),
                     .client_id = "client&id",
                     .second = std::chrono::milliseconds(10)},
                    http_);
    return flow.Run([this](const DeviceFlow::Prompt& prompt) { prompts_.push_back(prompt); }, stop);
  }

  HttpClient http_{{}};
  std::unique_ptr<MockServer> server_;
  std::atomic<int> polls_ = 0;
  std::vector<DeviceFlow::Prompt> prompts_;
};

TEST_F(DeviceFlowTest, GoodLogin) {
  absl::StatusOr<AccessToken> token = Login(kStart, [](int n, MockWire& wire) {
    wire.Reply(200, n < 3 ? R"({"error":"authorization_pending"})"
                          : R"({"access_token":"gho_x","token_type":"bearer"})");
  });
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->text(), "gho_x");
  ASSERT_EQ(prompts_.size(), 1u);
  EXPECT_EQ(prompts_[0].user_code, "ABCD-1234");
  EXPECT_EQ(prompts_[0].verification_uri, "https://example.org/device");
  EXPECT_EQ(prompts_[0].expires_in_seconds, 600u);
  const auto requests = server_->requests();
  EXPECT_EQ(requests[0].body, "client_id=client%26id&scope=read%3Auser");
  EXPECT_EQ(requests[0].headers.at("content-type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(requests[0].headers.at("accept"), "application/json");
  EXPECT_FALSE(requests[0].headers.contains("signature"));
  EXPECT_EQ(requests[1].body,
            "client_id=client%26id&device_code=dev%2Bcode%2F1&grant_type=urn%3Aietf%3Aparams%"
            "3Aoauth%3Agrant-type%3Adevice_code");
}

TEST_F(DeviceFlowTest, SlowDownLengthensTheIntervalForGood) {
  absl::StatusOr<AccessToken> token = Login(kStart, [](int n, MockWire& wire) {
    wire.Reply(n == 1 ? 400 : 200,
               n == 1 ? R"({"error":"slow_down","interval":1})" : R"({"access_token":"t"})");
  });
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(polls_, 2);
}

TEST_F(DeviceFlowTest, Denied) {
  EXPECT_TRUE(absl::IsAborted(Login(kStart, [](int, MockWire& wire) {
                                wire.Reply(200, R"({"error":"access_denied"})");
                              }).status()));
}

TEST_F(DeviceFlowTest, ExpiredByTheProvider) {
  EXPECT_TRUE(absl::IsDeadlineExceeded(Login(kStart, [](int, MockWire& wire) {
                                         wire.Reply(200, R"({"error":"expired_token"})");
                                       }).status()));
}

TEST_F(DeviceFlowTest, ExpiredByTheClock) {
  const std::string start =
      R"({"device_code":"d","user_code":"u","verification_uri":"http://127.0.0.1/","expires_in":"5","interval":"1"})";
  EXPECT_TRUE(absl::IsDeadlineExceeded(Login(start, [](int, MockWire& wire) {
                                         wire.Reply(200, R"({"error":"authorization_pending"})");
                                       }).status()));
}

TEST_F(DeviceFlowTest, W13ATransportFailureInBetweenIsWaitedOut) {
  absl::StatusOr<AccessToken> token = Login(kStart, [](int n, MockWire& wire) {
    if (n == 1) {
      wire.Close();
    } else if (n == 2) {
      wire.Reply(502, "<html>bad gateway</html>");
    } else {
      wire.Reply(200, R"({"access_token":"t"})");
    }
  });
  ASSERT_TRUE(token.ok()) << token.status();
}

TEST_F(DeviceFlowTest, W13AMissingIntervalIsFive) {
  const std::string start =
      R"({"device_code":"d","user_code":"u","verification_uri":"https://example.org/","expires_in":100})";
  EXPECT_TRUE(
      Login(start, [](int, MockWire& wire) { wire.Reply(200, R"({"access_token":"t"})"); }).ok());
}

TEST_F(DeviceFlowTest, AnyOtherErrorOrNoneEndsIt) {
  for (const char* body : {R"({"error":"incorrect_client_credentials"})", "{}", "<html>",
                           R"({"access_token":""})", R"({"access_token":"a\u000ab"})"}) {
    polls_ = 0;
    EXPECT_FALSE(Login(kStart, [body](int, MockWire& wire) { wire.Reply(200, body); }).ok())
        << body;
    EXPECT_EQ(polls_, 1) << body;
  }
}

TEST_F(DeviceFlowTest, AStartThatCannotBeShownIsRefused) {
  for (
      const char* start :
      {"", "[]", "{}",
       R"({"device_code":"d","user_code":"u\u001b[2J","verification_uri":"https://e.org/","expires_in":9,"interval":1})",
       R"({"device_code":"d","user_code":"u","verification_uri":"javascript:x","expires_in":9,"interval":1})",
       R"({"device_code":"d","user_code":"u","verification_uri":"https://e.org/","expires_in":-1,"interval":1})",
       R"({"device_code":"d","user_code":"u","verification_uri":"https://e.org/","expires_in":"x9","interval":1})"}) {
    EXPECT_FALSE(
        Login(start, [](int, MockWire& wire) { wire.Reply(200, R"({"access_token":"t"})"); }).ok())
        << start;
    EXPECT_EQ(polls_, 0) << start;
  }
  EXPECT_TRUE(prompts_.empty());
}

TEST_F(DeviceFlowTest, AStopEndsItAtOnce) {
  std::stop_source stop;
  absl::StatusOr<AccessToken> token = Login(
      kStart,
      [&](int, MockWire& wire) {
        stop.request_stop();
        wire.WaitForClose();
      },
      stop.get_token());
  EXPECT_TRUE(absl::IsCancelled(token.status()));
}

}  // namespace
}  // namespace auspex
