// SPDX-License-Identifier: AGPL-3.0-only
// Every row of wire protocol 5.3, the envelope of 6.1, and W1, W6 and W12.
#include "netd/poll_answer.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace auspex {
namespace {

HttpResponse Answer(int status, std::string body) {
  return {.status = status, .body = std::move(body)};
}

// A good answer, with `from` replaced by `to`.
std::string Unit(std::string_view from = "", std::string_view to = "") {
  std::string out =
      R"({"assignment_id": "asg-q1W2e3R4t5Y6", "assigned_at": "2026-07-19T12:00:00.123456Z", "experiment_id": "exp-9aB_-x1z",)"
      R"( "work_unit": {"schema_version": "0.1", "unit_id": "u-0001", "tenant_id": "synth-geometry", "experiment_id": "synth-geometry-v1",)"
      R"( "manifest_sha256": "ABCDEFabcdef0123456789012345678901234567890123456789012345678901", "created_at": "2026-07-19T11:50:00Z",)"
      R"( "payload": {"z": 1.0, "input": 42}}, "idle_reason": null})";
  if (!from.empty()) {
    const size_t at = out.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    out.replace(at, from.size(), to);
  }
  return out;
}

TEST(PollAnswer, AUnitBecomesAnOffer) {
  const auto answer = ReadPollAnswer(Answer(200, Unit()));
  ASSERT_TRUE(answer.ok()) << answer.status();
  const auto* offer = std::get_if<stated::v1::OfferRequest>(&*answer);
  ASSERT_NE(offer, nullptr);
  EXPECT_EQ(offer->assignment_id(), "asg-q1W2e3R4t5Y6");
  EXPECT_EQ(offer->experiment_id(), "exp-9aB_-x1z");
  EXPECT_EQ(offer->unit_id(), "u-0001");
  EXPECT_EQ(offer->tenant_id(), "synth-geometry");
  EXPECT_EQ(offer->experiment_label(), "synth-geometry-v1");
  EXPECT_EQ(offer->manifest_sha256(),
            "abcdefabcdef0123456789012345678901234567890123456789012345678901");
  EXPECT_EQ(offer->created_at(), "2026-07-19T11:50:00Z");
  EXPECT_EQ(offer->canonical_payload(), R"({"input":42,"z":1.0})");
  EXPECT_EQ(offer->envelope_schema_version(), "0.1");
}

TEST(PollAnswer, OptionalMembersHaveDefaults) {
  auto answer = ReadPollAnswer(
      Answer(200, Unit(R"("payload": {"z": 1.0, "input": 42})", R"("payload": null)")));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(std::get<stated::v1::OfferRequest>(*answer).canonical_payload(), "{}");
  answer = ReadPollAnswer(Answer(200, Unit(R"("schema_version": "0.1", )", "")));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(std::get<stated::v1::OfferRequest>(*answer).envelope_schema_version(), "0.1");
}

TEST(PollAnswer, NoWork) {
  for (
      const char* body :
      {R"({"assignment_id":null,"assigned_at":null,"experiment_id":null,"work_unit":null,"idle_reason":null})",
       R"({"work_unit":null})", "{}", R"({"experiment_id":null,"work_unit":{"unit_id":"u"}})"}) {
    const auto answer = ReadPollAnswer(Answer(200, body));
    ASSERT_TRUE(answer.ok()) << body << answer.status();
    EXPECT_TRUE(std::get<stated::v1::RecordPollRequest>(*answer).has_no_work()) << body;
  }
  const auto answer = ReadPollAnswer(
      Answer(200, R"({"work_unit":null,"idle_reason":{"code":"between_rounds","message":"m"}})"));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(std::get<stated::v1::RecordPollRequest>(*answer).no_work().idle_code(),
            "between_rounds");
}

TEST(PollAnswer, W1AnAnswerOfAnotherKindIsAFailedPoll) {
  for (const std::string& body :
       {std::string("<html><body>Sign in to the Wi-Fi</body></html>"), std::string(),
        std::string("[]"), std::string("null"), std::string("\"x\""), std::string("7"),
        Unit().substr(0, 100), Unit() + "x", Unit("2026-07-19T12:00:00.123456Z", "noon"),
        Unit("null}", "7}"),
        std::string(R"({"work_unit":7,"experiment_id":"e","assignment_id":"a"})"),
        std::string(R"({"work_unit":null,"experiment_id":7})"), std::string(200'000, '[')}) {
    EXPECT_FALSE(ReadPollAnswer(Answer(200, body)).ok()) << body.substr(0, 60);
  }
}

TEST(PollAnswer, W6AnIdThatCouldLeaveItsPathIsAFailedPoll) {
  for (const char* id : {"../../admin", "..", ".", "a/b", "a?b", "a#b", "a%2fb", "a b", "a\\u0000b",
                         "\\u00e9", ""}) {
    EXPECT_FALSE(ReadPollAnswer(Answer(200, Unit("asg-q1W2e3R4t5Y6", id))).ok()) << id;
    EXPECT_FALSE(ReadPollAnswer(Answer(200, Unit("exp-9aB_-x1z", id))).ok()) << id;
    EXPECT_FALSE(ReadPollAnswer(Answer(200, Unit("u-0001", id))).ok()) << id;
    EXPECT_FALSE(ReadPollAnswer(Answer(200, Unit("synth-geometry\"", std::string(id) + "\""))).ok())
        << id;
    EXPECT_FALSE(ReadPollAnswer(Answer(200, Unit("synth-geometry-v1", id))).ok()) << id;
  }
  EXPECT_FALSE(ReadPollAnswer(Answer(200, Unit("ABCDEFabcdef", "xyz"))).ok());
  EXPECT_FALSE(
      ReadPollAnswer(Answer(200, Unit("2026-07-19T11:50:00Z", "2026-02-30T00:00:00Z"))).ok());
}

TEST(PollAnswer, W12AUnitWithoutAssignmentIdIsAFailedPoll) {
  EXPECT_FALSE(ReadPollAnswer(Answer(200, Unit("\"asg-q1W2e3R4t5Y6\"", "null"))).ok());
  EXPECT_FALSE(
      ReadPollAnswer(Answer(200, Unit("\"assignment_id\": \"asg-q1W2e3R4t5Y6\",", ""))).ok());
}

TEST(PollAnswer, APayloadHasBounds) {
  EXPECT_FALSE(ReadPollAnswer(Answer(200, Unit(R"({"z": 1.0, "input": 42})", "[1]"))).ok());
  std::string deep(400, '[');
  deep += std::string(400, ']');
  EXPECT_FALSE(
      ReadPollAnswer(Answer(200, Unit(R"({"z": 1.0, "input": 42})", "{\"d\":" + deep + "}"))).ok());
  const std::string large = "{\"d\":\"" + std::string(1600 * 1024, 'x') + "\"}";
  EXPECT_TRUE(absl::IsResourceExhausted(
      ReadPollAnswer(Answer(200, Unit(R"({"z": 1.0, "input": 42})", large))).status()));
  std::string many = "{\"d\":[0";
  for (int i = 0; i < 300'000; ++i) many += ",0";
  EXPECT_FALSE(ReadPollAnswer(Answer(200, Unit(R"({"z": 1.0, "input": 42})", many + "]}"))).ok());
}

stated::v1::RecordPollRequest::Hold Hold(const char* body) {
  const auto answer = ReadPollAnswer(Answer(423, body));
  EXPECT_TRUE(answer.ok()) << answer.status();
  const auto& record = std::get<stated::v1::RecordPollRequest>(*answer);
  EXPECT_TRUE(record.has_hold());
  return record.hold();
}

TEST(PollAnswer, A423IsAHoldWhateverItsBody) {
  auto hold = Hold(
      R"({"detail":{"error":{"code":"worker_paused","message":"m","details":{"paused_at":"2026-07-19T12:00:00+00:00","pause_reason":"upgrade","no_fault":true}}}})");
  EXPECT_EQ(hold.kind(), "pause");
  EXPECT_EQ(hold.reason(), "upgrade");
  EXPECT_EQ(hold.at(), "2026-07-19T12:00:00+00:00");
  hold = Hold(
      R"({"detail":{"error":{"code":"worker_quarantined","details":{"quarantined_at":"2026-07-19T12:00:00+00:00","quarantine_reason":"odd\u001b[31m"}}}})");
  EXPECT_EQ(hold.kind(), "quarantine");
  EXPECT_EQ(hold.reason().find('\x1b'), std::string::npos);
  for (
      const char* body :
      {"", "<html>", "{}",
       R"({"detail":{"error":{"code":"worker_quarantined","message":"","details":null}}})",
       R"({"detail":{"error":{"code":"worker_quarantined","details":{"quarantined_at":7,"quarantine_reason":[]}}}})"}) {
    hold = Hold(body);
    EXPECT_EQ(hold.kind(), "quarantine") << body;
    EXPECT_EQ(hold.reason(), "") << body;
    EXPECT_EQ(hold.at(), "") << body;
  }
}

TEST(PollAnswer, EveryOtherStatusIsAFailedPoll) {
  for (const int status : {201, 204, 301, 302, 400, 401, 403, 404, 409, 429, 500, 502, 503}) {
    EXPECT_FALSE(ReadPollAnswer(Answer(status, Unit())).ok()) << status;
  }
}

TEST(PollAnswer, KnowsWhenTheCoordinatorWaited) {
  HttpResponse response = Answer(200, "{}");
  EXPECT_FALSE(WaitWasApplied(response));
  response.headers["preference-applied"] = "wait=30";
  EXPECT_TRUE(WaitWasApplied(response));
}

}  // namespace
}  // namespace auspex
