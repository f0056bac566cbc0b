// SPDX-License-Identifier: AGPL-3.0-only
// Every row of wire protocol 5.4, 5.5 and 5.6, with W2, W3, W4 and W16.
#include "netd/outbox_answer.h"

#include <gtest/gtest.h>

#include <string>

namespace auspex {
namespace {

using stated::v1::SettleRequest;

constexpr int64_t kNow = 1'800'000'000;

HttpResponse Answer(int status, std::string body = "") {
  return {.status = status, .body = std::move(body)};
}
std::string Error(const std::string& code, const std::string& details = "{}") {
  return R"({"detail":{"error":{"code":")" + code + R"(","message":"m","details":)" + details +
         "}}}";
}
SettleRequest Result(const HttpResponse& response, uint32_t attempt = 1) {
  return SettleResult(response, attempt, kNow);
}

constexpr char kGood[] =
    R"({"result_id":"res-1","unit_id":"u","unit_status_after":"completed","completions_so_far":2,"replication_target":2})";

TEST(ResultAnswer, A201IsAccepted) {
  const SettleRequest settle = Result(Answer(201, kGood));
  ASSERT_TRUE(settle.has_result_accepted());
  EXPECT_EQ(settle.result_accepted().result_id(), "res-1");
  EXPECT_EQ(settle.result_accepted().unit_status_after(), "completed");
  EXPECT_EQ(settle.result_accepted().completions_so_far(), 2);
  EXPECT_EQ(settle.result_accepted().replication_target(), 2);
  EXPECT_FALSE(settle.result_accepted().already());
}

TEST(ResultAnswer, W16A201ThatCannotBeReadIsAskedAgain) {
  for (
      const char* body :
      {"", "<html>", "[]", "{}",
       R"({"result_id":"../x","unit_id":"u","unit_status_after":"completed","completions_so_far":2,"replication_target":2})",
       R"({"result_id":"res-1","unit_id":"u","unit_status_after":"completed","completions_so_far":"2","replication_target":2})"}) {
    EXPECT_TRUE(Result(Answer(201, body)).has_transient()) << body;
  }
  EXPECT_TRUE(Result(Answer(200, kGood)).has_transient()) << "a 2xx other than 201";
}

TEST(ResultAnswer, A409WithTheIdIsAcceptedAlready) {
  const SettleRequest settle =
      Result(Answer(409, Error("result_already_submitted",
                               R"({"assignment_id":"asg","existing_result_id":"res-9"})")));
  ASSERT_TRUE(settle.has_result_accepted());
  EXPECT_EQ(settle.result_accepted().result_id(), "res-9");
  EXPECT_TRUE(settle.result_accepted().already());
}

TEST(ResultAnswer, A409WithoutItIsTerminal) {
  for (const std::string& body :
       {Error("containment_violation"), Error("served_weights_mismatch"),
        Error("result_already_submitted"),
        Error("result_already_submitted", R"({"existing_result_id":7})"),
        Error("result_already_submitted", R"({"existing_result_id":"../../x"})"),
        std::string("x")}) {
    EXPECT_TRUE(Result(Answer(409, body)).has_terminal()) << body;
  }
  EXPECT_EQ(Result(Answer(409, Error("containment_violation"))).terminal().code(),
            "containment_violation");
}

TEST(ResultAnswer, W2AnExpiredSignatureIsTriedAgainAndOthersAreNot) {
  EXPECT_TRUE(Result(Answer(401, Error("signature_expired", R"({"created":1,"server_time":2})")))
                  .has_transient());
  EXPECT_TRUE(Result(Answer(401, Error("invalid_signature"))).has_terminal());
  EXPECT_TRUE(Result(Answer(401)).has_terminal());
  EXPECT_TRUE(Result(Answer(403, Error("account_suspended"))).has_terminal());
}

TEST(ResultAnswer, W3A423IsHeldAndDoesNotCount) {
  EXPECT_TRUE(Result(Answer(423, Error("worker_quarantined", "null"))).has_held());
  EXPECT_TRUE(Result(Answer(423, "<html>")).has_held());
}

TEST(ResultAnswer, W4PermanentRefusalsAreTerminalWithTheirCode) {
  EXPECT_EQ(
      Result(Answer(413, R"({"error":"payload_too_large","max_bytes":2097152})")).terminal().code(),
      "payload_too_large");
  EXPECT_EQ(Result(Answer(422, Error("worker_signature_invalid"))).terminal().code(),
            "worker_signature_invalid");
  EXPECT_EQ(Result(Answer(422, Error("unit_id_mismatch"))).terminal().code(), "unit_id_mismatch");
  EXPECT_EQ(Result(Answer(422, R"({"detail":[{"loc":[],"msg":"too long","type":"t"}]})"))
                .terminal()
                .code(),
            "validation_failed");
}

TEST(ResultAnswer, A404IsBelievedAfterThreeAttempts) {
  for (uint32_t attempt = 1; attempt <= 3; ++attempt)
    EXPECT_TRUE(Result(Answer(404, Error("assignment_not_found")), attempt).has_transient());
  EXPECT_EQ(Result(Answer(404, Error("assignment_not_found")), 4).terminal().code(),
            "assignment_not_found");
}

TEST(ResultAnswer, EverythingElseIsTransient) {
  for (const int status :
       {200, 202, 204, 301, 302, 400, 405, 408, 410, 418, 429, 500, 502, 503, 504}) {
    EXPECT_TRUE(Result(Answer(status)).has_transient()) << status;
  }
}

TEST(ResultAnswer, CarriesRetryAfter) {
  HttpResponse response = Answer(429);
  response.headers["retry-after"] = "17";
  EXPECT_EQ(Result(response).transient().retry_after_seconds(), 17u);
}

TEST(RefusalAnswer, FollowsTheTable) {
  EXPECT_TRUE(SettleRefusal(Answer(200, R"({"assignment_id":"a","unit_id":"u"})"), kNow)
                  .has_refusal_done());
  EXPECT_TRUE(SettleRefusal(Answer(404, Error("assignment_not_found")), kNow).has_refusal_done());
  EXPECT_TRUE(
      SettleRefusal(Answer(409, Error("assignment_already_resolved")), kNow).has_refusal_done());
  for (const int status : {401, 403, 408, 423, 429, 500, 502, 503, 302})
    EXPECT_TRUE(SettleRefusal(Answer(status), kNow).has_transient()) << status;
  for (const int status : {400, 405, 413, 422})
    EXPECT_TRUE(SettleRefusal(Answer(status), kNow).has_terminal()) << status;
}

TEST(ReceiptAnswer, FollowsTheTable) {
  const SettleRequest good =
      SettleReceipt(Answer(200, R"({"cose_signed_blob_b64":"hEMBAgM=","receipt_id":"r"})"), kNow);
  ASSERT_TRUE(good.has_receipt());
  EXPECT_EQ(good.receipt().cose(), std::string("\x84\x43\x01\x02\x03", 5));
  const SettleRequest never = SettleReceipt(
      Answer(410, Error("receipt_will_not_issue", R"({"reason":"quorum_disagreed"})")), kNow);
  EXPECT_EQ(never.receipt_never().reason(), "quorum_disagreed");
  EXPECT_TRUE(SettleReceipt(Answer(410, "x"), kNow).has_receipt_never());
  for (const int status : {404, 401, 403, 423, 429, 500, 302})
    EXPECT_TRUE(SettleReceipt(Answer(status), kNow).has_transient()) << status;
  for (const char* body :
       {"", "<html>", "{}", R"({"cose_signed_blob_b64":7})", R"({"cose_signed_blob_b64":"%%%"})",
        R"({"cose_signed_blob_b64":""})", R"({"cose_signed_blob_b64":"hEMBAgM"})"}) {
    EXPECT_TRUE(SettleReceipt(Answer(200, body), kNow).has_transient()) << body;
  }
  EXPECT_TRUE(
      SettleReceipt(
          Answer(200, R"({"cose_signed_blob_b64":")" + std::string(4 * 60'000, 'A') + "\"}"), kNow)
          .has_transient())
      << "too large";
}

}  // namespace
}  // namespace auspex
