// SPDX-License-Identifier: AGPL-3.0-only
// Requests (promise P2): every intent becomes exactly the octets that the wire protocol's section 2
// asks for, against the vectors of the reference and against a composition written out here; every
// bad field is refused by its name.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <regex>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"
#include "common/wire/plain_http.h"
#include "tests/common/test_data.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

using ::auspex::testing::Base64Of;
using ::auspex::testing::IntegerOf;
using ::auspex::testing::MemberOf;
using ::auspex::testing::ReadVectors;
using ::auspex::testing::StringOf;

constexpr Intent kAllRequests[] = {
    Intent::kHeartbeat,       Intent::kPoll,           Intent::kRefuse,
    Intent::kSubmitResult,    Intent::kFetchReceipt,   Intent::kFetchPackage,
    Intent::kUpgrade,         Intent::kRetire,         Intent::kUnbind,
    Intent::kGetAttribution,  Intent::kPutAttribution, Intent::kPrestage,
    Intent::kSupportedModels, Intent::kServeRecovered};

// The intent that a vector's request line stands for, with the worker id it names; nullopt for
// lines that no intent composes.
struct FromVector {
  UntrustedRequest request;
  std::string worker = "w";
};
std::optional<FromVector> Recognise(const std::string& method, const std::string& target,
                                    const std::string& body) {
  FromVector out;
  out.request.body_sha256 = body.empty() ? "" : Sha256(body);
  const auto matches = [&](const char* wanted_method, const char* pattern, Intent intent,
                           std::vector<std::string*> groups) {
    std::smatch found;
    if (method != wanted_method || !std::regex_match(target, found, std::regex(pattern))) {
      return false;
    }
    for (size_t i = 0; i < groups.size(); ++i) *groups[i] = found[i + 1].str();
    out.request.intent = intent;
    return true;
  };
  UntrustedRequest& r = out.request;
  r.assignment_id = "asg-1";
  std::string* w = &out.worker;
  const bool known =
      matches("POST", ".*/workers/([^/]+)/heartbeat", Intent::kHeartbeat, {w}) ||
      matches("GET", ".*/workers/([^/%]+)/assignments", Intent::kPoll, {w}) ||
      matches("POST", ".*/workers/([^/]+)/assignments/([^/]+)/refuse", Intent::kRefuse,
              {w, &r.unit_id}) ||
      matches("POST", ".*/workers/([^/]+)/assignments/([^/]+)/result", Intent::kSubmitResult,
              {w, &r.unit_id}) ||
      matches("GET", ".*/workers/([^/]+)/results/([^/]+)/canonical-receipt", Intent::kFetchReceipt,
              {w, &r.result_id}) ||
      matches("GET", ".*/packages/by-manifest/([^/]+)", Intent::kFetchPackage,
              {&r.manifest_sha256}) ||
      matches("POST", ".*/workers/([^/]+)/upgrade", Intent::kUpgrade, {w}) ||
      matches("POST", ".*/workers/([^/]+)/actions/retire", Intent::kRetire, {w}) ||
      matches("POST", ".*/workers/([^/]+)/actions/unbind", Intent::kUnbind, {w}) ||
      matches("GET", ".*/accounts/([^/]+)/attribution", Intent::kGetAttribution, {&r.account_id}) ||
      matches("PUT", ".*/accounts/([^/]+)/attribution", Intent::kPutAttribution, {&r.account_id}) ||
      matches("GET", ".*/workers/([^/]+)/prestage", Intent::kPrestage, {w}) ||
      matches("GET", ".*/models/supported", Intent::kSupportedModels, {}) ||
      matches("POST", ".*/workers/([^/]+)/serve-recovered", Intent::kServeRecovered, {w});
  if (!known) return std::nullopt;
  return out;
}

TEST(Requests, MatchTheVectorsOfTheReference) {
  const JsonValue file = ReadVectors("http_signature.json");
  std::map<Intent, int> seen;
  for (const JsonValue& vector : *MemberOf(file, "vectors").as_array()) {
    const JsonValue& in = MemberOf(vector, "inputs");
    if (in.FindString("base_url") == nullptr || in.FindString("target") == nullptr) continue;
    SCOPED_TRACE(StringOf(vector, "id"));
    const std::string body = in.FindString("body_base64") ? Base64Of(in, "body_base64") : "";
    const auto known = Recognise(StringOf(in, "method"), StringOf(in, "target"), body);
    if (!known) continue;
    const auto base_url = BaseUrl::Parse(StringOf(in, "base_url"), AllowPlainHttpAnywhere{});
    ASSERT_TRUE(base_url.ok()) << base_url.status();
    Rig rig(Enrolment{*base_url, *WorkerId::Parse(known->worker)}, StringOf(in, "seed_hex"));
    rig.clock.SetSeconds(IntegerOf(in, "created"));
    if (const auto act = GrantNeededFor(known->request.intent)) {
      ASSERT_TRUE(rig.custody.OpenGrant(kOwner, *act, WorkerOf(rig), 0).ok());
    }
    const auto signed_request = rig.boundary.SignRequest(kNetd, known->request);
    ASSERT_TRUE(signed_request.ok()) << signed_request.status();
    const JsonValue& expected = MemberOf(vector, "expected");
    EXPECT_EQ(signed_request->method, StringOf(in, "method"));
    EXPECT_EQ(signed_request->path, StringOf(in, "path"));
    EXPECT_EQ(signed_request->authority, StringOf(in, "authority"));
    EXPECT_EQ(signed_request->signature_input, StringOf(expected, "signature_input"));
    EXPECT_EQ(signed_request->signature, StringOf(expected, "signature"));
    const std::string* digest = expected.FindString("content_digest");
    EXPECT_EQ(signed_request->content_digest, digest ? *digest : "");
    ++seen[known->request.intent];
  }
  for (const Intent intent : kAllRequests) {
    EXPECT_GT(seen[intent], 0) << "no vector for " << IntentWord(intent);
  }
}

struct Line {
  const char* method;
  const char* path;
  bool body;
  const char* subject;
};
const std::map<Intent, Line>& Lines() {
  static const auto* lines = new std::map<Intent, Line>{
      {Intent::kHeartbeat, {"POST", "/workers/wkr-Zk3v_Q9-aB1x/heartbeat", true, ""}},
      {Intent::kPoll, {"GET", "/workers/wkr-Zk3v_Q9-aB1x/assignments", false, ""}},
      {Intent::kRefuse,
       {"POST", "/workers/wkr-Zk3v_Q9-aB1x/assignments/u-1/refuse", true, "asg-1"}},
      {Intent::kSubmitResult,
       {"POST", "/workers/wkr-Zk3v_Q9-aB1x/assignments/u-1/result", true, "asg-1"}},
      {Intent::kFetchReceipt,
       {"GET", "/workers/wkr-Zk3v_Q9-aB1x/results/res-1/canonical-receipt", false, "res-1"}},
      {Intent::kFetchPackage,
       {"GET",
        "/packages/by-manifest/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        false, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}},
      {Intent::kUpgrade, {"POST", "/workers/wkr-Zk3v_Q9-aB1x/upgrade", true, ""}},
      {Intent::kRetire, {"POST", "/workers/wkr-Zk3v_Q9-aB1x/actions/retire", false, ""}},
      {Intent::kUnbind, {"POST", "/workers/wkr-Zk3v_Q9-aB1x/actions/unbind", false, ""}},
      {Intent::kGetAttribution, {"GET", "/accounts/acct-1/attribution", false, "acct-1"}},
      {Intent::kPutAttribution, {"PUT", "/accounts/acct-1/attribution", true, "acct-1"}},
      {Intent::kPrestage, {"GET", "/workers/wkr-Zk3v_Q9-aB1x/prestage", false, ""}},
      {Intent::kSupportedModels, {"GET", "/models/supported", false, ""}},
      {Intent::kServeRecovered, {"POST", "/workers/wkr-Zk3v_Q9-aB1x/serve-recovered", true, ""}},
  };
  return *lines;
}

TEST(Requests, EachIntentVerifiesAgainstItsOwnSignatureBase) {
  for (const Intent intent : kAllRequests) {
    SCOPED_TRACE(IntentWord(intent));
    Rig rig;
    if (const auto act = GrantNeededFor(intent)) {
      ASSERT_TRUE(rig.custody.OpenGrant(kOwner, *act, WorkerOf(rig), 0).ok());
    }
    const auto answer = rig.boundary.SignRequest(kNetd, GoodRequest(intent));
    ASSERT_TRUE(answer.ok()) << answer.status();
    const Line& line = Lines().at(intent);
    const std::string path = Cat("/lab/api/v0", line.path);
    EXPECT_EQ(answer->method, line.method);
    EXPECT_EQ(answer->path, path);
    EXPECT_EQ(answer->authority, "coord.auspexai.network");
    const std::string key = rig.keys->view().public_key_hex();
    const std::string digest = Cat("sha-256=:", Base64Encode(Sha256("{}")), ":");
    EXPECT_EQ(answer->content_digest, line.body ? digest : "");
    const std::string params =
        Cat("(\"@method\" \"@path\" \"@authority\"", line.body ? " \"content-digest\"" : "",
            ");created=1716000000;alg=\"ed25519\";keyid=\"", key, "\"");
    EXPECT_EQ(answer->signature_input, Cat("sig1=", params));
    std::string base = Cat("\"@method\": ", line.method, "\n\"@path\": ", path,
                           "\n\"@authority\": coord.auspexai.network\n");
    if (line.body) base += Cat("\"content-digest\": ", digest, "\n");
    base += Cat("\"@signature-params\": ", params);
    ASSERT_EQ(answer->signature.substr(0, 6), "sig1=:");
    const auto signature =
        Base64Decode(std::string_view(answer->signature).substr(6, answer->signature.size() - 7));
    ASSERT_TRUE(signature.has_value());
    EXPECT_TRUE(Ed25519Verify(*HexDecode(key), base, *signature));

    const JournalRecord record = rig.Records().back();
    EXPECT_EQ(record.sequence, answer->journal_sequence);
    EXPECT_EQ(record.intent, intent);
    EXPECT_EQ(record.outcome, Outcome::kSigned);
    EXPECT_EQ(AsText(record.digest), Sha256(base));
    EXPECT_EQ(record.subject, line.subject);
    EXPECT_EQ(record.created, 1'716'000'000);
    EXPECT_EQ(record.caller.pid, kNetd.pid);
    EXPECT_EQ(record.caller.uid, kNetd.uid);
  }
}

TEST(Requests, EachBadFieldIsRefusedByNameAndRecorded) {
  const std::vector<std::string> bad_ids = {
      "", ".", "..", "a/b", "a?b", "a#b", "a b", "a%2f", "\x01", "\xc3\xa9", std::string(129, 'a')};
  struct Case {
    Intent intent;
    const char* field;
    std::function<void(UntrustedRequest&, const std::string&)> set;
    std::vector<std::string> values;
  };
  const auto unit = [](UntrustedRequest& r, const std::string& v) { r.unit_id = v; };
  const auto assignment = [](UntrustedRequest& r, const std::string& v) { r.assignment_id = v; };
  const auto result = [](UntrustedRequest& r, const std::string& v) { r.result_id = v; };
  const auto account = [](UntrustedRequest& r, const std::string& v) { r.account_id = v; };
  const auto manifest = [](UntrustedRequest& r, const std::string& v) { r.manifest_sha256 = v; };
  const auto body = [](UntrustedRequest& r, const std::string& v) { r.body_sha256 = v; };
  const std::vector<std::string> bad_body = {"", std::string(31, 'x'), std::string(33, 'x'),
                                             std::string(64, 'a'), std::string(32, '\0')};
  std::vector<std::string> bad_units = bad_ids;
  bad_units.push_back("a.b");  // unreserved, but no unit id
  const std::vector<Case> cases = {
      {Intent::kRefuse, "unit_id", unit, bad_units},
      {Intent::kRefuse, "assignment_id", assignment, bad_ids},
      {Intent::kRefuse, "body_sha256", body, bad_body},
      {Intent::kSubmitResult, "unit_id", unit, bad_units},
      {Intent::kSubmitResult, "assignment_id", assignment, bad_ids},
      {Intent::kSubmitResult, "body_sha256", body, bad_body},
      {Intent::kHeartbeat, "body_sha256", body, bad_body},
      {Intent::kUpgrade, "body_sha256", body, bad_body},
      {Intent::kPutAttribution, "body_sha256", body, bad_body},
      {Intent::kServeRecovered, "body_sha256", body, bad_body},
      {Intent::kFetchReceipt, "result_id", result, bad_ids},
      {Intent::kFetchPackage,
       "manifest_sha256",
       manifest,
       {"", std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g')}},
      {Intent::kGetAttribution, "account_id", account, bad_ids},
      {Intent::kPutAttribution, "account_id", account, bad_ids},
  };
  for (const Case& c : cases) {
    for (const std::string& value : c.values) {
      SCOPED_TRACE(Cat(IntentWord(c.intent), " ", c.field, " '", Printable(value), "'"));
      Rig rig;
      UntrustedRequest request = GoodRequest(c.intent);
      c.set(request, value);
      const absl::Status status = rig.boundary.SignRequest(kNetd, request).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_EQ(std::string(status.message()).rfind(Cat(c.field, ":"), 0), 0u) << status;
      const std::vector<JournalRecord> records = rig.Records();
      ASSERT_EQ(records.size(), 1u);
      EXPECT_EQ(records[0].outcome, Outcome::kRefused);
      EXPECT_EQ(records[0].intent, c.intent);
      EXPECT_EQ(records[0].cause.rfind(c.field, 0), 0u) << records[0].cause;
      EXPECT_EQ(records[0].digest, Digest32{});
      EXPECT_EQ(rig.recorder.refusals(), 1u);
      EXPECT_EQ(rig.recorder.signatures(), 0u);
    }
  }
}

TEST(Requests, NoIntentIsRefused) {
  Rig rig;
  const absl::Status status = rig.boundary.SignRequest(kNetd, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(rig.Records().size(), 1u);
}

TEST(Requests, WithoutEnrolmentNothingIsSigned) {
  for (const Intent intent : kAllRequests) {
    Rig rig(std::nullopt);
    const absl::Status status = rig.boundary.SignRequest(kNetd, GoodRequest(intent)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << IntentWord(intent);
  }
}

TEST(Requests, AfterDestructionNothingIsSigned) {
  Rig rig;
  ASSERT_TRUE(rig.boundary.SignRequest(kNetd, GoodRequest(Intent::kPoll)).ok());
  ASSERT_TRUE(rig.custody.DestroyKey(kOwner)->existed);
  const absl::Status status = rig.boundary.SignRequest(kNetd, GoodRequest(Intent::kPoll)).status();
  EXPECT_EQ(status, NoKey());
  EXPECT_EQ(rig.boundary.SignResult(kRunnerd, GoodResult()).status(), NoKey());
}

TEST(Requests, AFloodOfRefusalsDoesNotFillTheJournal) {
  Rig rig;
  for (int i = 0; i < 5000; ++i) EXPECT_FALSE(rig.boundary.SignRequest(kNetd, {}).ok());
  EXPECT_EQ(rig.recorder.refusals(), 5000u);
  EXPECT_EQ(rig.Records().size(), static_cast<size_t>(Recorder::kRefusalBurst));
  rig.clock.AdvanceSeconds(1);
  EXPECT_FALSE(rig.boundary.SignRequest(kNetd, {}).ok());
  EXPECT_NE(rig.Records().back().cause.find("4000 refusals before"), std::string::npos)
      << rig.Records().back().cause;
}

}  // namespace
}  // namespace auspex::keyd
