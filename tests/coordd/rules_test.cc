// SPDX-License-Identifier: AGPL-3.0-only
// The coordinator's rules that need neither process nor socket: header parsing, the order and
// window of signature checks, Merkle roots, reducers, fit.
#include <gtest/gtest.h>

#include "common/crypto/sha256.h"
#include "common/json/reader.h"
#include "common/wire/http_signature.h"
#include "coordd/assignment_store.h"
#include "coordd/attestation.h"
#include "coordd/quorum.h"
#include "coordd/request_verifier.h"
#include "coordd/requirements.h"
#include "coordd/result_body.h"
#include "coordd/signature_input.h"
#include "coordd/unit_state.h"
#include "tests/support/worker_signer.h"

namespace auspex::coordd {
namespace {

using ::auspex::testing::WorkerSigner;

constexpr int64_t kCreated = 1784462400;
constexpr int64_t kNow = kCreated * 1'000'000;
const char kBody[] = R"({"capabilities":{"os":"linux"}})";
const char kPath[] = "/api/v0/workers/wkr-AAAAAAAAAAAA/heartbeat";
const char kHost[] = "coord.example:8443";

Request SignedRequest(const std::string& body = kBody) {
  Request request{.method = "POST", .target = kPath, .body = body};
  request.headers.emplace_back("host", kHost);
  for (const auto& [name, value] :
       WorkerSigner::FromRun(0).Request("POST", kPath, kHost, body, kCreated)) {
    std::string lower = name;
    for (char& c : lower) c = static_cast<char>(std::tolower(c));
    request.headers.emplace_back(lower, value);
  }
  return request;
}

std::string& Header(Request& request, std::string_view name) {
  for (auto& [key, value] : request.headers) {
    if (key == name) return value;
  }
  return request.headers.emplace_back(name, "").second;
}

void Replace(std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
}

// "" when the request verifies, else the 401's code.
std::string Verdict401(const Request& request, int64_t now = kNow, bool known = true) {
  const auto verified = VerifyRequest(request, now, [&](const std::string&) { return known; });
  const auto* reply = std::get_if<Reply>(&verified);
  if (reply == nullptr) return "";
  EXPECT_EQ(reply->status, 401);
  const auto body = ReadJson(reply->body);
  const JsonValue* error = body->Find("detail")->Find("error");
  EXPECT_NE(error->Find("details"), nullptr);
  return *error->FindString("code");
}

TEST(SignatureInputTest, TakesWhatTheProfileTakes) {
  const auto input = ParseSignatureInput(
      R"(  my-Label_1=("@method"  "@path" );Created=12;ALG=Ed25519;keyid="AB";nonce=x;expires=9 )");
  ASSERT_TRUE(input.ok()) << input.status();
  EXPECT_EQ(input->label, "my-Label_1");
  EXPECT_EQ(input->covered, (std::vector<std::string>{"@method", "@path"}));
  EXPECT_EQ(input->created, 12);
  EXPECT_EQ(input->alg, "Ed25519");
  EXPECT_EQ(input->keyid, "ab");
  EXPECT_EQ(input->params,
            R"(("@method"  "@path" );Created=12;ALG=Ed25519;keyid="AB";nonce=x;expires=9)");
}

TEST(SignatureInputTest, RefusesWhatIsMalformed) {
  for (const char* text : {
           "",
           "sig1",
           "sig1=",
           "=(\"@method\");created=1;alg=a;keyid=b",
           "sig1=\"@method\";created=1;alg=a;keyid=b",
           R"(sig1=("@method";created=1;alg=a;keyid=b)",
           R"(sig1=("@path";x);created=1;alg=a;keyid=b)",
           R"(sig1=(@method);created=1;alg=a;keyid=b)",
           R"(sig1=("@method")created=1;alg=a;keyid=b)",
           R"(sig1=("@method");created=1.5;alg=a;keyid=b)",
           R"(sig1=("@method");created=;alg=a;keyid=b)",
           R"(sig1=("@method");created=99999999999999999999;alg=a;keyid=b)",
           R"(sig1=("@method");alg=a;keyid=b)",
           R"(sig1=("@method");created=1;keyid=b)",
           R"(sig1=("@method");created=1;alg=a)",
           R"(sig1=("@method");created=1;alg=a;keyid=b, sig2=("@method");created=1;alg=a;keyid=b)",
           R"(sig1=("@method" "@method");created=1;alg=a;keyid=b)",
           R"(sig1=("@method");created=1;created=2;alg=a;keyid=b)",
           R"(s g=("@method");created=1;alg=a;keyid=b)",
           "sig1=(\"@method\");created=1;alg=a;keyid=b\n",
       }) {
    EXPECT_FALSE(ParseSignatureInput(text).ok()) << text;
  }
}

TEST(RequestVerifierTest, PublishedVectorsVerify) {
  Request post{.method = "POST", .target = kPath, .body = kBody};
  post.headers = {
      {"host", "Coord.Example:8443"},
      {"content-digest", "sha-256=:8JYl1s2GY0gTIf0fklWOEQTlkoAdN0p2hBccykMt71c=:"},
      {"signature-input",
       "sig1=(\"@method\" \"@path\" \"@authority\" \"content-digest\");created=1784462400;"
       "alg=\"ed25519\";keyid="
       "\"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8\""},
      {"signature",
       "sig1=:"
       "TD7DdOogvjEHE3cyGnExIpozbauEHhoLdF3QkUsMsVd7zEnLEXO1Mf95t4y2NJBWjhJLSYCGhT1TiOFjFUFJDQ=="
       ":"}};
  EXPECT_EQ(Verdict401(post), "");
  Request get{.method = "GET", .target = "/api/v0/workers/wkr-AAAAAAAAAAAA/assignments"};
  get.headers = {{"host", "coord.example"},
                 {"signature-input",
                  "sig1=(\"@method\" \"@path\" \"@authority\");created=1784462400;"
                  "alg=\"ed25519\";keyid="
                  "\"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8\""},
                 {"signature",
                  "sig1=:lJlhcVtJxhQBhyIT/qbAI2rKv884/"
                  "6H4FdvdgnR5VlikLOpaf7AvOdlgb7lbcruIQMR3oFEQ6nyxhE4HbAs/AQ==:"}};
  EXPECT_EQ(Verdict401(get), "");
}

TEST(RequestVerifierTest, WindowIsThreeHundredSecondsWithFractions) {
  const Request request = SignedRequest();
  EXPECT_EQ(Verdict401(request, kNow + 300'000'000), "");
  EXPECT_EQ(Verdict401(request, kNow - 300'000'000), "");
  EXPECT_EQ(Verdict401(request, kNow + 300'000'001), "signature_expired");
  EXPECT_EQ(Verdict401(request, kNow - 300'000'001), "signature_expired");
  EXPECT_EQ(Verdict401(request, INT64_MAX), "signature_expired");
}

// Each step breaks one check and, from there on, everything after it too: the earlier check must
// decide.
TEST(RequestVerifierTest, FirstFailureDecides) {
  Request request = SignedRequest();
  EXPECT_EQ(Verdict401(request), "");
  request.headers[0].second = "other.example";  // 11: the base differs
  EXPECT_EQ(Verdict401(request), "invalid_signature");
  EXPECT_EQ(Verdict401(request, kNow, false), "invalid_signature");                // 9
  EXPECT_EQ(Verdict401(request, kNow + 400'000'000, false), "signature_expired");  // 8 before 9
  request.body += " ";                                                             // 7 before 8
  EXPECT_EQ(Verdict401(request, kNow + 400'000'000, false), "invalid_signature");
  Request uncovered = SignedRequest("");  // 6 before 8
  uncovered.body = "x";
  EXPECT_EQ(Verdict401(uncovered, kNow + 400'000'000), "invalid_signature");
  Replace(Header(request, "signature-input"), "ed25519", "rsa-v1_5-sha256");  // 4 before 7
  EXPECT_EQ(Verdict401(request, kNow + 400'000'000, false), "unsupported_signature_algorithm");
  Header(request, "signature").insert(0, "x");  // 3 before 4
  EXPECT_EQ(Verdict401(request), "invalid_signature");
  Header(request, "signature") = "sig1=:###:";  // 2
  EXPECT_EQ(Verdict401(request), "invalid_signature");
}

TEST(RequestVerifierTest, RefusesOtherDigestsComponentsAndTargets) {
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"sha-256", "SHA-256"}, {"sha-256=", "sha-512=:AA==:, sha-256="}}) {
    Request request = SignedRequest();
    Replace(Header(request, "content-digest"), from, to);
    EXPECT_EQ(Verdict401(request), "invalid_signature") << to;
  }
  for (const char* component : {"@query", "date", "@target-uri", "host"}) {
    Request request = SignedRequest();
    Replace(Header(request, "signature-input"), "\"@authority\"",
            std::string("\"@authority\" \"") + component + "\"");
    EXPECT_EQ(Verdict401(request), "invalid_signature") << component;
  }
  for (const char* tail : {"?x=1", "%41"}) {
    Request request = SignedRequest();
    request.target += tail;
    EXPECT_EQ(Verdict401(request), "invalid_signature") << tail;
  }
  Request missing = SignedRequest("");
  Replace(Header(missing, "signature-input"), "\"@authority\"",
          "\"content-digest\" \"@authority\"");
  EXPECT_EQ(Verdict401(missing), "invalid_signature");
}

TEST(AttestationTest, MerkleVectors) {
  std::vector<AttestedUnit> units;
  for (int n = 1; n <= 3; ++n) {
    units.push_back({.unit_id = "u-" + std::to_string(n),
                     .receipt_id = "rcpt-" + std::to_string(n),
                     .consensus_result_hash = Sha256HexOf(std::to_string(n)),
                     .unit_payload_sha256 = Sha256HexOf("{}")});
  }
  EXPECT_EQ(MerkleRootV1(units),
            "1f8f9a3889f1d7787b23b5b4f589691c381b77e74c367f982c5f9461e5c19f2d");
  EXPECT_EQ(MerkleRootV1({}), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

TEST(ResultBodyTest, PublishedVector) {
  const auto parsed = ReadJson(
      R"({"completed_at":"2026-07-19T12:00:00.25Z","exit_code":0,"payload":{"A":12345678901234567890,"z":[1,2.0,1e16,)"
      R"(1e-7,-0.0,true,null],"é":"\u2028\ud83d\ude00\u007f\/\"\\\n"},"ran_under":"Strict","schema_version":2,)"
      R"("served_weights":{"m-q4":"ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB"},"unit_id":"u-1",)"
      R"("worker_pubkey":"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8","worker_signature":"x"})");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  BodyReader in(&*parsed, true);
  const ResultBody body = ReadResultBody(in);
  ASSERT_TRUE(in.ok()) << in.Refusal().body;
  const std::string octets = CanonicalResultOctets(body);
  EXPECT_EQ(Sha256HexOf(octets), "3cab13eb7b5edb4e3acb3df76694380474dcfd0c30f519155501b782eb6e641f")
      << octets;
}

TEST(ReducerTest, UnanimityToleranceAndProcessOnly) {
  Requirements requirements;
  std::vector<ReplicaResult> results(3);
  for (auto& result : results) result.semantic_hash = "a";
  EXPECT_TRUE(Reduce(requirements, results, 2).agreed);
  results[2].semantic_hash = "b";  // two of three: there is no majority
  EXPECT_FALSE(Reduce(requirements, results, 2).agreed);
  EXPECT_TRUE(Reduce(requirements, results, 2).inside.empty());

  requirements.reducer = "builtin_process_only";
  EXPECT_EQ(Reduce(requirements, results, 2).inside.size(), 3u);
  EXPECT_TRUE(Reduce(requirements, results, 2).receipts_alone);

  requirements.reducer = "builtin_within_cell_tolerance";
  requirements.tolerances = {{.path = "m.x", .absolute = 0.1}};
  results[0].payload = R"({"m":{"x":1.0}})";
  results[1].payload = R"({"m":{"x":1.05}})";
  results[2].payload = R"({"m":{"x":7}})";
  const Verdict verdict = Reduce(requirements, results, 2);
  EXPECT_TRUE(verdict.agreed);
  EXPECT_EQ(verdict.inside, (std::vector<size_t>{0, 1}));
  EXPECT_EQ(verdict.dissent, "diverged_from_consensus");
  EXPECT_FALSE(Reduce(requirements, results, 3).agreed);
}

TEST(FitTest, EachRequirement) {
  Requirements needs;
  const auto fit = [&](const char* capabilities) {
    return CheckFit(needs, *ReadJson(capabilities));
  };
  EXPECT_EQ(fit("{}"), Fit::kFits);
  needs.sandbox = SandboxLevel::kStrict;
  EXPECT_EQ(fit("{}"), Fit::kSandbox);
  EXPECT_EQ(fit(R"({"sandbox_policy":"bogus"})"), Fit::kSandbox);
  EXPECT_EQ(fit(R"({"sandbox_policy":"strict"})"), Fit::kFits);
  needs = {};
  needs.requires_real_execution = true;
  EXPECT_EQ(fit(R"({"execute_tenant_code":"synthetic"})"), Fit::kNoExecution);
  EXPECT_EQ(fit(R"({"execute_tenant_code":"provisioned"})"), Fit::kFits);
  needs.models = {"m"};
  EXPECT_EQ(fit(R"({"execute_tenant_code":"provisioned"})"), Fit::kModelMissing);
  EXPECT_EQ(fit(R"({"execute_tenant_code":"provisioned","models":["m"]})"), Fit::kFits);
  EXPECT_EQ(fit(R"({"execute_tenant_code":"provisioned","auto_acquire":true})"), Fit::kFits);
  needs = {};
  needs.generation_policy = true;
  EXPECT_EQ(fit("{}"), Fit::kFeature);
  EXPECT_EQ(fit(R"({"worker_features":["generation_policy"]})"), Fit::kFits);
}

TEST(RefusalRuleTest, RetryableKindsAndMarkers) {
  EXPECT_TRUE(IsRetryable("runner_failed", ""));
  EXPECT_TRUE(IsRetryable("thermal_critical", ""));
  EXPECT_TRUE(IsRetryable("executor_refused", "fetch: PACKAGE_UNAVAILABLE (404)"));
  EXPECT_FALSE(IsRetryable("executor_refused", "no provisioned executor"));
  EXPECT_FALSE(IsRetryable("refused_manual", ""));
}

TEST(ExperimentStateTest, OnlyTheListedMoves) {
  EXPECT_TRUE(MayMove(kSubmitted, kApproved));
  EXPECT_TRUE(MayMove(kPaused, kApproved));
  EXPECT_FALSE(MayMove(kSubmitted, kPaused));
  EXPECT_FALSE(MayMove(kAborted, kApproved));
  EXPECT_FALSE(MayMove(kArchived, kAborted));
}

}  // namespace
}  // namespace auspex::coordd
