// SPDX-License-Identifier: AGPL-3.0-only
// The shapes of errors, and the answers to heartbeat, enrolment and exchange (wire
// protocol 1.3, 5.1, 5.2, 5.7).
#include "netd/answer.h"

#include <gtest/gtest.h>

#include "netd/enrol_answer.h"
#include "netd/heartbeat_answer.h"

namespace auspex {
namespace {

HttpResponse Answer(int status, std::string body) {
  return {.status = status, .body = std::move(body)};
}

TEST(ReadError, KnowsAllFiveShapes) {
  CoordinatorError error = ReadError(Answer(
      403,
      R"({"detail":{"error":{"code":"worker_id_mismatch","message":"no\u001b[2J","details":{"a":1}}}})"));
  EXPECT_EQ(error.code, "worker_id_mismatch");
  EXPECT_EQ(error.message.find('\x1b'), std::string::npos)
      << "nothing of a message may move a terminal";
  EXPECT_NE(error.details.Find("a"), nullptr);
  error = ReadError(Answer(404, R"({"detail":"Not Found"})"));
  EXPECT_EQ(error.code, "");
  EXPECT_EQ(error.message, "Not Found");
  error =
      ReadError(Answer(422, R"({"detail":[{"loc":["body"],"msg":"field required","type":"x"}]})"));
  EXPECT_EQ(error.message, "field required");
  error = ReadError(Answer(429, R"({"error":"Rate limit exceeded: 10 per 1 hour"})"));
  EXPECT_EQ(error.code, "");
  EXPECT_EQ(error.message, "Rate limit exceeded: 10 per 1 hour");
  error = ReadError(Answer(413, R"({"error":"payload_too_large","max_bytes":2097152})"));
  EXPECT_EQ(error.code, "payload_too_large");
  EXPECT_EQ(Describe(Answer(413, ""), error), "HTTP 413 payload_too_large");
}

TEST(ReadError, SurvivesEverythingElse) {
  for (const char* body :
       {"", "Internal Server Error", "[]", "{}", "null", R"({"detail":null})", R"({"detail":{}})",
        R"({"detail":[]})", R"({"detail":[1]})", R"({"detail":{"error":null}})",
        R"({"detail":{"error":{"code":7,"message":[],"details":null}}})",
        R"({"detail":{"error":{"code":"Bad Code; rm -rf"}}})", R"({"error":{}})",
        "{\"detail\":", "\xff\xfe"}) {
    EXPECT_EQ(ReadError(Answer(500, body)).code, "") << body;
  }
}

TEST(ClockSkew, IsReadFromAnExpiredSignatureOnly) {
  const auto skew = [](const char* body) { return ClockSkew(ReadError(Answer(401, body)), 1000); };
  EXPECT_EQ(
      skew(
          R"({"detail":{"error":{"code":"signature_expired","message":"","details":{"created":1000,"server_time":4600}}}})"),
      3600);
  EXPECT_EQ(
      skew(R"({"detail":{"error":{"code":"invalid_signature","details":{"server_time":4600}}}})"),
      std::nullopt);
  EXPECT_EQ(
      skew(R"({"detail":{"error":{"code":"signature_expired","details":{"server_time":"4600"}}}})"),
      std::nullopt);
  EXPECT_EQ(
      skew(
          R"({"detail":{"error":{"code":"signature_expired","details":{"server_time":99999999999999999999}}}})"),
      std::nullopt);
  EXPECT_EQ(skew(R"({"detail":{"error":{"code":"signature_expired","details":null}}})"),
            std::nullopt);
}

TEST(CleanText, CutsAtACharacter) {
  EXPECT_EQ(CleanText("a\xc3\xa9", 2), "a");
  EXPECT_EQ(CleanText("a\xc3\xa9", 3), "a\xc3\xa9");
}

TEST(HeartbeatAnswer, TakesTierAndRelease) {
  const auto record = ReadHeartbeatAnswer(Answer(
      200,
      R"({"worker_id":"wkr-1","trust_tier":2,"latest_release":{"version":"0.3","headline":"News","release_url":"https://x.example/"}})"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_TRUE(record->ok());
  EXPECT_EQ(record->trust_tier(), 2u);
  EXPECT_EQ(record->latest_release().version(), "0.3");
  EXPECT_EQ(record->latest_release().release_url(), "https://x.example/");
}

TEST(HeartbeatAnswer, IgnoresAMalformedRelease) {
  for (const char* release : {"null", "7", "{}", R"({"version":1,"headline":"x"})",
                              R"({"version":"1"})", R"({"version":"","headline":"x"})"}) {
    const auto record = ReadHeartbeatAnswer(Answer(
        200, std::string(R"({"worker_id":"w","trust_tier":0,"latest_release":)") + release + "}"));
    ASSERT_TRUE(record.ok()) << release;
    EXPECT_FALSE(record->has_latest_release()) << release;
  }
  const auto script = ReadHeartbeatAnswer(Answer(
      200,
      R"({"worker_id":"w","trust_tier":0,"latest_release":{"version":"1","headline":"x","release_url":"javascript:x"}})"));
  ASSERT_TRUE(script.ok());
  EXPECT_EQ(script->latest_release().release_url(), "");
}

TEST(HeartbeatAnswer, RefusesWhatIsNotOne) {
  for (const char* body :
       {"<html>", "[]", "{}", R"({"worker_id":"w"})", R"({"worker_id":"../w","trust_tier":0})",
        R"({"worker_id":7,"trust_tier":0})", R"({"worker_id":"w","trust_tier":"0"})",
        R"({"worker_id":"w","trust_tier":9})", R"({"worker_id":"w","trust_tier":-1})",
        R"({"worker_id":"w","trust_tier":0.5})"}) {
    EXPECT_FALSE(ReadHeartbeatAnswer(Answer(200, body)).ok()) << body;
  }
  for (const int status : {201, 204, 301, 401, 403, 404, 423, 429, 500, 503}) {
    EXPECT_FALSE(ReadHeartbeatAnswer(Answer(status, R"({"worker_id":"w","trust_tier":0})")).ok())
        << status;
  }
}

TEST(EnrolAnswer, TakesA201) {
  const auto answer = ReadEnrolAnswer(Answer(
      201, R"({"worker_id":"wkr-1","trust_tier":0,"registered_at":"2026-07-19T12:00:00Z"})"));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->worker_id, "wkr-1");
  EXPECT_EQ(answer->refusal, "");
}

TEST(EnrolAnswer, NamesTheThreeRefusals) {
  for (const std::string code :
       {"pubkey_already_enrolled", "pubkey_already_tenant", "pubkey_retired"}) {
    const auto answer =
        ReadEnrolAnswer(Answer(409, R"({"detail":{"error":{"code":")" + code + R"("}}})"));
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->refusal, code);
  }
  EXPECT_FALSE(ReadEnrolAnswer(Answer(409, R"({"detail":{"error":{"code":"other"}}})")).ok());
  EXPECT_FALSE(
      ReadEnrolAnswer(
          Answer(200,
                 R"({"worker_id":"wkr-1","trust_tier":0,"registered_at":"2026-07-19T12:00:00Z"})"))
          .ok());
}

TEST(EnrolAnswer, ChecksEveryMember) {
  for (const char* body :
       {"", "{}", R"({"worker_id":"a/b","trust_tier":0,"registered_at":"2026-07-19T12:00:00Z"})",
        R"({"worker_id":"..","trust_tier":0,"registered_at":"2026-07-19T12:00:00Z"})",
        R"({"worker_id":"w","trust_tier":null,"registered_at":"2026-07-19T12:00:00Z"})",
        R"({"worker_id":"w","trust_tier":0,"registered_at":"yesterday"})",
        R"({"worker_id":"w","trust_tier":0})"}) {
    EXPECT_FALSE(ReadEnrolAnswer(Answer(201, body)).ok()) << body;
  }
}

TEST(ExchangeAnswer, ChecksEveryMember) {
  EXPECT_TRUE(
      ReadExchangeAnswer(
          Answer(
              200,
              R"({"account_id":"acct-1","binding_token":"tok","expires_at":"2026-07-19T12:00:00Z","is_new_account":true})"))
          .ok());
  for (
      const char* body :
      {"", "{}",
       R"({"account_id":"a/b","binding_token":"tok","expires_at":"2026-07-19T12:00:00Z","is_new_account":true})",
       R"({"account_id":"a","binding_token":"","expires_at":"2026-07-19T12:00:00Z","is_new_account":true})",
       R"({"account_id":"a","binding_token":"t","expires_at":"soon","is_new_account":true})",
       R"({"account_id":"a","binding_token":"t","expires_at":"2026-07-19T12:00:00Z","is_new_account":1})"}) {
    EXPECT_FALSE(ReadExchangeAnswer(Answer(200, body)).ok()) << body;
  }
  EXPECT_FALSE(
      ReadExchangeAnswer(Answer(401, R"({"detail":{"error":{"code":"invalid_access_token"}}})"))
          .ok());
}

}  // namespace
}  // namespace auspex
