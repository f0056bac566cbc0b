// SPDX-License-Identifier: AGPL-3.0-only
// Results (promise P2): against the vectors of the reference, and field by field.
#include <gtest/gtest.h>

#include <functional>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"
#include "common/json/canonical.h"
#include "tests/common/test_data.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

using ::auspex::testing::Base64Of;
using ::auspex::testing::IntegerOf;
using ::auspex::testing::MemberOf;
using ::auspex::testing::ReadVectors;
using ::auspex::testing::StringOf;

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

TEST(Results, MatchTheVectorsOfTheReference) {
  const JsonValue file = ReadVectors("result_signature.json");
  int results = 0, raws = 0, refused = 0;
  for (const JsonValue& vector : *MemberOf(file, "vectors").as_array()) {
    SCOPED_TRACE(StringOf(vector, "id"));
    const JsonValue& in = MemberOf(vector, "inputs");
    const JsonValue& expected = MemberOf(vector, "expected");
    Rig rig(std::nullopt, StringOf(in, "seed_hex"));
    absl::StatusOr<SignedOctets> answer;
    if (StringOf(vector, "object") == "raw_response") {
      answer = rig.boundary.SignRawText(kRunnerd, {StringOf(in, "unit_id"), "asg-1",
                                                   Sha256(Base64Of(in, "raw_response_base64"))});
      ++raws;
    } else {
      UntrustedResult result;
      result.unit_id = StringOf(in, "unit_id");
      result.assignment_id = "asg-1";
      result.completed_at = StringOf(in, "completed_at");
      result.exit_code = IntegerOf(in, "exit_code");
      const auto payload = ReadJson(Base64Of(in, "payload_json_base64"));
      ASSERT_TRUE(payload.ok()) << payload.status();
      result.canonical_payload = WriteCanonical(*payload);
      result.schema_version = static_cast<uint32_t>(IntegerOf(in, "schema_version"));
      bool odd = false;
      if (const JsonValue* weights = in.Find("served_weights"); weights && weights->as_object()) {
        for (const auto& [model, digest] : *weights->as_object()) {
          result.served_weights[model] = *digest.as_string();
          odd = odd || digest.as_string()->size() != 64;
        }
      }
      // The word comes folded from runnerd.
      if (const std::string* word = in.FindString("ran_under")) result.ran_under = Lower(*word);
      answer = rig.boundary.SignResult(kRunnerd, result);
      odd = odd || (result.schema_version == 2 && result.ran_under.empty());
      if (odd) {
        // The reference signs a result that does not say how it ran, or whose weights are no
        // digests; keyd does not.
        EXPECT_EQ(answer.status().code(), absl::StatusCode::kInvalidArgument);
        ++refused;
        continue;
      }
      ++results;
    }
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(Base64Encode(answer->signature), StringOf(expected, "signature_base64"));
    EXPECT_EQ(HexEncode(answer->sha256), StringOf(expected, "canonical_sha256"));
    EXPECT_EQ(answer->worker_pubkey, Lower(StringOf(in, "pubkey_hex")));
  }
  EXPECT_GE(results, 50);
  EXPECT_GE(raws, 3);
  EXPECT_GE(refused, 1);
}

TEST(Results, AreRecordedWithWhatTheyAreAbout) {
  Rig rig;
  const auto answer = rig.boundary.SignResult(kRunnerd, GoodResult());
  ASSERT_TRUE(answer.ok()) << answer.status();
  const JournalRecord record = rig.Records().back();
  EXPECT_EQ(record.sequence, answer->journal_sequence);
  EXPECT_EQ(record.intent, Intent::kSignResult);
  EXPECT_EQ(record.caller.role, Role::kResult);
  EXPECT_EQ(record.subject, "asg-1");
  EXPECT_EQ(record.unit, "u-1");
  EXPECT_EQ(AsText(record.digest), answer->sha256);
}

TEST(Results, EachBadFieldIsRefusedByNameAndRecorded) {
  struct Case {
    const char* field;
    std::function<void(UntrustedResult&)> spoil;
  };
  const auto payload = [](std::string text) {
    return Case{"canonical_payload", [text](UntrustedResult& r) { r.canonical_payload = text; }};
  };
  const auto completed = [](std::string text) {
    return Case{"completed_at", [text](UntrustedResult& r) { r.completed_at = text; }};
  };
  std::string deep;
  for (size_t i = 0; i < kMaxPayloadDepth; ++i) deep += "{\"a\":";
  deep += "{}" + std::string(kMaxPayloadDepth, '}');
  const std::vector<Case> cases = {
      {"unit_id", [](UntrustedResult& r) { r.unit_id = ""; }},
      {"unit_id", [](UntrustedResult& r) { r.unit_id = "a.b"; }},
      {"unit_id", [](UntrustedResult& r) { r.unit_id = "a\",\"b"; }},
      {"unit_id", [](UntrustedResult& r) { r.unit_id = std::string(129, 'u'); }},
      {"assignment_id", [](UntrustedResult& r) { r.assignment_id = ""; }},
      {"assignment_id", [](UntrustedResult& r) { r.assignment_id = "../x"; }},
      completed(""),
      completed("2026-05-21T00:00:00Z"),
      completed("2026-05-21T00:00:00.5+00:00"),
      completed("2026-05-21T00:00:00.000000+00:00"),
      completed("2026-05-21 00:00:00+00:00"),
      completed("2026-13-21T00:00:00+00:00"),
      completed("2026-05-21T00:00:00+00:00\",\"x\":\""),
      completed(std::string(100'000, '1')),
      {"exit_code", [](UntrustedResult& r) { r.exit_code = 256; }},
      {"exit_code", [](UntrustedResult& r) { r.exit_code = -256; }},
      {"schema_version", [](UntrustedResult& r) { r.schema_version = 3; }},
      {"schema_version", [](UntrustedResult& r) { r.schema_version = 0xffffffff; }},
      {"ran_under", [](UntrustedResult& r) { r.ran_under = ""; }},
      {"ran_under", [](UntrustedResult& r) { r.ran_under = "Strict"; }},
      {"ran_under", [](UntrustedResult& r) { r.ran_under = "none"; }},
      {"served_weights", [](UntrustedResult& r) { r.served_weights[""] = std::string(64, 'a'); }},
      {"served_weights", [](UntrustedResult& r) { r.served_weights[".x"] = std::string(64, 'a'); }},
      {"served_weights", [](UntrustedResult& r) { r.served_weights["m"] = "abc"; }},
      {"served_weights",
       [](UntrustedResult& r) {
         for (int i = 0; i < 17; ++i) r.served_weights[Cat("m", i)] = std::string(64, 'a');
       }},
      payload(""),
      payload("null"),
      payload("[]"),
      payload("{} "),
      payload(" {}"),
      payload("{}{}"),
      payload(R"({"b":1,"a":2})"),
      payload(R"({"a":1,"a":2})"),
      payload(R"({"a": 1})"),
      payload(R"({"a":01})"),
      payload(R"({"a":-0})"),
      payload(R"({"a":1.50})"),
      payload(R"({"a":1e5})"),
      payload(R"({"a":NaN})"),
      payload(R"({"a":Infinity})"),
      payload(R"({"a":-Infinity})"),
      payload(R"({"a":"\/"})"),
      payload(R"({"a":"\u0041"})"),
      payload("{\"a\":\"caf\xc3\xa9\"}"),
      payload(R"({"a":"\u00E9"})"),
      payload(R"({"a":1},"worker_pubkey":"x"{)"),
      payload(R"({"a":1)"),
      payload(deep),
  };
  for (const Case& c : cases) {
    Rig rig;
    UntrustedResult result = GoodResult();
    c.spoil(result);
    SCOPED_TRACE(Cat(c.field, ": ", Printable(result.canonical_payload, 60), " ",
                     Printable(result.completed_at, 40)));
    const absl::Status status = rig.boundary.SignResult(kRunnerd, result).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(std::string(status.message()).rfind(Cat(c.field, ":"), 0), 0u) << status;
    ASSERT_EQ(rig.Records().size(), 1u);
    EXPECT_EQ(rig.Records()[0].outcome, Outcome::kRefused);
    EXPECT_EQ(rig.recorder.signatures(), 0u);
  }
}

TEST(Results, PayloadsUpToTheLimitAreTaken) {
  Rig rig;
  UntrustedResult result = GoodResult();
  result.canonical_payload = "{\"a\":\"";
  result.canonical_payload.append(kMaxPayloadOctets - result.canonical_payload.size() - 2, 'x');
  result.canonical_payload += "\"}";
  ASSERT_EQ(result.canonical_payload.size(), kMaxPayloadOctets);
  EXPECT_TRUE(rig.boundary.SignResult(kRunnerd, result).ok());
  result.canonical_payload.insert(7, "x");
  EXPECT_EQ(rig.boundary.SignResult(kRunnerd, result).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Results, RawTextFieldsAreChecked) {
  Rig rig;
  const std::string digest = Sha256("text");
  EXPECT_TRUE(rig.boundary.SignRawText(kRunnerd, {"u-1", "asg-1", digest}).ok());
  EXPECT_FALSE(rig.boundary.SignRawText(kRunnerd, {"u/1", "asg-1", digest}).ok());
  EXPECT_FALSE(rig.boundary.SignRawText(kRunnerd, {"u-1", "", digest}).ok());
  EXPECT_FALSE(rig.boundary.SignRawText(kRunnerd, {"u-1", "asg-1", HexEncode(digest)}).ok());
  EXPECT_EQ(rig.Records().size(), 4u);
}

}  // namespace
}  // namespace auspex::keyd
