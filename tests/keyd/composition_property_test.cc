// SPDX-License-Identifier: AGPL-3.0-only
// What keyd composes from thousands of random fields (promise P2) equals what is composed here in
// another way, from the wire protocol's text alone: for every request its signature base by a
// template of the route, for every result its canonical JSON by hand. A bad field is refused by its
// name, whatever is wrong with it.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <vector>

#include "common/base/encoding.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"
#include "tests/keyd/random_fields.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

// Method, path with {} for a field, and whether there is a body: the table of section 5.
struct Route {
  Intent intent;
  const char* method;
  const char* path;
  bool body;
};
constexpr Route kRoutes[] = {
    {Intent::kHeartbeat, "POST", "/api/v0/workers/{worker}/heartbeat", true},
    {Intent::kPoll, "GET", "/api/v0/workers/{worker}/assignments", false},
    {Intent::kRefuse, "POST", "/api/v0/workers/{worker}/assignments/{unit}/refuse", true},
    {Intent::kSubmitResult, "POST", "/api/v0/workers/{worker}/assignments/{unit}/result", true},
    {Intent::kFetchReceipt, "GET", "/api/v0/workers/{worker}/results/{result}/canonical-receipt",
     false},
    {Intent::kUpgrade, "POST", "/api/v0/workers/{worker}/upgrade", true},
    {Intent::kRetire, "POST", "/api/v0/workers/{worker}/actions/retire", false},
    {Intent::kUnbind, "POST", "/api/v0/workers/{worker}/actions/unbind", false},
    {Intent::kGetAttribution, "GET", "/api/v0/accounts/{account}/attribution", false},
    {Intent::kPutAttribution, "PUT", "/api/v0/accounts/{account}/attribution", true},
    {Intent::kFetchPackage, "GET", "/api/v0/packages/by-manifest/{manifest}", false},
    {Intent::kPrestage, "GET", "/api/v0/workers/{worker}/prestage", false},
    {Intent::kSupportedModels, "GET", "/api/v0/models/supported", false},
    {Intent::kServeRecovered, "POST", "/api/v0/workers/{worker}/serve-recovered", true},
};

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string Fill(std::string text, const std::map<std::string, std::string>& fields) {
  for (const auto& [name, value] : fields) {
    const std::string place = "{" + name + "}";
    if (const size_t at = text.find(place); at != std::string::npos) {
      text.replace(at, place.size(), value);
    }
  }
  return text;
}

struct Coordinator {
  std::string url, authority, prefix;
};

Coordinator RandomCoordinator(RandomFields& random) {
  Coordinator out;
  const bool tls = random.Chance(80);
  std::string host = "127.0.0.1";
  if (tls) {
    host = random.Text("abcXYZ", 3);
    for (int64_t left = random.Number(1, 3); left > 0; --left) {
      host += "." + random.Text("abcdefXYZ", random.Number(1, 12));
    }
  }
  const int64_t port = random.Chance(50) ? random.Number(1, 65535) : 0;
  const int64_t usual = tls ? 443 : 80;
  for (int64_t left = random.Number(0, 2); left > 0; --left) {
    out.prefix += "/" + random.Text("abcXYZ019-_", random.Number(1, 12));
  }
  out.url = (tls ? "https://" : "http://") + host + (port != 0 ? ":" + std::to_string(port) : "") +
            out.prefix + (random.Chance(30) ? "/" : "");
  out.authority = Lower(host);
  if (port != 0 && port != usual) out.authority += ":" + std::to_string(port);
  return out;
}

UntrustedRequest RandomRequest(Intent intent, RandomFields& random) {
  UntrustedRequest request;
  request.intent = intent;
  request.unit_id = random.UnitId();
  request.assignment_id = random.Segment();
  request.result_id = random.Segment();
  request.account_id = random.Segment();
  request.manifest_sha256 = random.Hex64();
  request.body_sha256 = random.Octets(32);
  return request;
}

// RFC 9421, section 2.5, in the profile of wire protocol 2.3, by string alone.
std::string BaseByHand(const Route& route, const Coordinator& coordinator,
                       const std::string& worker, const UntrustedRequest& request,
                       const std::string& params) {
  const std::string path =
      coordinator.prefix + Fill(route.path, {{"worker", worker},
                                             {"unit", request.unit_id},
                                             {"result", request.result_id},
                                             {"account", request.account_id},
                                             {"manifest", Lower(request.manifest_sha256)}});
  std::string base = std::string("\"@method\": ") + route.method + "\n\"@path\": " + path +
                     "\n\"@authority\": " + coordinator.authority + "\n";
  if (route.body) {
    base += "\"content-digest\": sha-256=:" + PlainBase64(request.body_sha256) + ":\n";
  }
  return base + "\"@signature-params\": " + params;
}

TEST(CompositionProperty, RequestsEqualAnIndependentComposition) {
  RandomFields random;
  SCOPED_TRACE("AUSPEX_TEST_SEED=" + std::to_string(random.seed()));
  for (int round = 0; round < 60; ++round) {
    const Coordinator coordinator = RandomCoordinator(random);
    const std::string worker = random.Segment();
    const auto enrolment = Enrolment::Parse(coordinator.url, worker);
    ASSERT_TRUE(enrolment.ok()) << coordinator.url << " " << enrolment.status();
    const std::string seed = Lower(random.Hex64());
    Rig rig(*enrolment, seed);
    const std::string key = rig.keys->view().public_key_hex();
    int64_t now = random.Number(1'500'000'000, 4'000'000'000);
    for (int i = 0; i < 50; ++i) {
      const Route& route = kRoutes[random.Number(0, std::size(kRoutes) - 1)];
      SCOPED_TRACE(IntentWord(route.intent));
      rig.clock.AdvanceSeconds(10);
      rig.clock.SetSeconds(now += random.Number(0, 1000));
      if (const auto act = GrantNeededFor(route.intent)) {
        ASSERT_TRUE(rig.custody.OpenGrant(kOwner, *act, worker, 0).ok());
      }
      const UntrustedRequest request = RandomRequest(route.intent, random);
      const auto answer = rig.boundary.SignRequest(kNetd, request);
      ASSERT_TRUE(answer.ok()) << answer.status();
      const std::string params = std::string("(\"@method\" \"@path\" \"@authority\"") +
                                 (route.body ? " \"content-digest\"" : "") +
                                 ");created=" + std::to_string(now) + ";alg=\"ed25519\";keyid=\"" +
                                 key + "\"";
      const std::string base = BaseByHand(route, coordinator, worker, request, params);
      ASSERT_EQ(answer->signature_input, "sig1=" + params);
      ASSERT_EQ(answer->method, route.method);
      ASSERT_EQ(answer->authority, coordinator.authority);
      ASSERT_NE(base.find("\"@path\": " + answer->path + "\n"), std::string::npos) << base;
      ASSERT_EQ(answer->content_digest,
                route.body ? "sha-256=:" + PlainBase64(request.body_sha256) + ":" : "");
      ASSERT_EQ(answer->signature.substr(0, 6), "sig1=:");
      const auto signature = Base64Decode(std::string_view(answer->signature).substr(6, 88));
      ASSERT_TRUE(signature && Ed25519Verify(*HexDecode(key), base, *signature)) << base;
      ASSERT_EQ(AsText(rig.Records().back().digest), Sha256(base));
    }
  }
}

struct Field {
  const char* name;
  std::function<void(UntrustedRequest&, RandomFields&)> spoil;
};
std::vector<Field> FieldsOf(Intent intent) {
  const Field unit{"unit_id", [](auto& r, auto& random) { r.unit_id = random.BadUnitId(); }};
  const Field assignment{"assignment_id",
                         [](auto& r, auto& random) { r.assignment_id = random.BadSegment(); }};
  const Field result{"result_id", [](auto& r, auto& random) { r.result_id = random.BadSegment(); }};
  const Field account{"account_id",
                      [](auto& r, auto& random) { r.account_id = random.BadSegment(); }};
  const Field manifest{"manifest_sha256",
                       [](auto& r, auto& random) { r.manifest_sha256 = random.BadHex64(); }};
  const Field body{"body_sha256",
                   [](auto& r, auto& random) { r.body_sha256 = random.BadDigest(); }};
  switch (intent) {
    case Intent::kRefuse:
    case Intent::kSubmitResult:
      return {unit, assignment, body};
    case Intent::kFetchReceipt:
      return {result};
    case Intent::kGetAttribution:
      return {account};
    case Intent::kPutAttribution:
      return {account, body};
    case Intent::kFetchPackage:
      return {manifest};
    case Intent::kHeartbeat:
    case Intent::kUpgrade:
    case Intent::kServeRecovered:
      return {body};
    default:
      return {};
  }
}

TEST(CompositionProperty, ARequestWithABadFieldIsRefusedByItsNameAndTakesNothing) {
  RandomFields random;
  SCOPED_TRACE("AUSPEX_TEST_SEED=" + std::to_string(random.seed()));
  Rig rig;
  int tried = 0;
  while (tried < 4000) {
    const Route& route = kRoutes[random.Number(0, std::size(kRoutes) - 1)];
    const std::vector<Field> fields = FieldsOf(route.intent);
    if (fields.empty()) continue;
    ++tried;
    const Field& field = fields[random.Number(0, static_cast<int64_t>(fields.size()) - 1)];
    UntrustedRequest request = RandomRequest(route.intent, random);
    field.spoil(request, random);
    rig.clock.AdvanceSeconds(10);
    if (const auto act = GrantNeededFor(route.intent)) {
      ASSERT_TRUE(rig.custody.OpenGrant(kOwner, *act, kSomeWorker, 0).ok());
    }
    const absl::Status status = rig.boundary.SignRequest(kNetd, request).status();
    ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument)
        << IntentWord(route.intent) << " " << field.name << " " << status;
    ASSERT_EQ(std::string(status.message()).rfind(std::string(field.name) + ":", 0), 0u) << status;
    if (const auto act = GrantNeededFor(route.intent)) {
      ASSERT_TRUE(rig.grants.Take(*act, {kSomeWorker, rig.keys->view().public_key_hex()}).ok());
    }
  }
  EXPECT_EQ(rig.recorder.signatures(), 0u);
  EXPECT_EQ(rig.ledger.size(), 0u);
}

// Wire protocol 4.1: the members of each version in the order of their names.
std::string ResultByHand(const UntrustedResult& result, const std::string& key) {
  std::string out = "{\"completed_at\":\"" + result.completed_at +
                    "\",\"exit_code\":" + std::to_string(result.exit_code) +
                    ",\"payload\":" + result.canonical_payload;
  if (result.schema_version == 2) out += ",\"ran_under\":\"" + result.ran_under + "\"";
  if (result.schema_version >= 1) {
    out += ",\"schema_version\":" + std::to_string(result.schema_version) + ",\"served_weights\":{";
    std::string weights;
    for (const auto& [model, digest] : result.served_weights) {
      weights += (weights.empty() ? "\"" : ",\"") + model + "\":\"" + Lower(digest) + "\"";
    }
    out += weights + "}";
  }
  return out + ",\"unit_id\":\"" + result.unit_id + "\",\"worker_pubkey\":\"" + key + "\"}";
}

UntrustedResult RandomResult(RandomFields& random) {
  UntrustedResult result;
  result.unit_id = random.UnitId();
  result.assignment_id = random.Segment();
  result.completed_at = random.CompletedAt();
  result.exit_code = random.Number(-255, 255);
  result.canonical_payload = random.CanonicalObject();
  result.schema_version = static_cast<uint32_t>(random.Number(0, 2));
  for (int64_t left = random.Number(0, 16); left > 0; --left) {
    result.served_weights[random.ModelId()] = random.Hex64();
  }
  result.ran_under = random.Chance(50) ? "strict" : "permissive";
  return result;
}

TEST(CompositionProperty, ResultsEqualAnIndependentComposition) {
  RandomFields random;
  SCOPED_TRACE("AUSPEX_TEST_SEED=" + std::to_string(random.seed()));
  Rig rig(std::nullopt, Lower(random.Hex64()));
  const std::string key = rig.keys->view().public_key_hex();
  for (int i = 0; i < 3000; ++i) {
    rig.clock.AdvanceSeconds(1);
    const UntrustedResult result = RandomResult(random);
    const auto answer = rig.boundary.SignResult(kRunnerd, result);
    const std::string octets = ResultByHand(result, key);
    ASSERT_TRUE(answer.ok()) << answer.status() << "\n" << octets;
    ASSERT_EQ(answer->sha256, Sha256(octets)) << octets;
    ASSERT_TRUE(Ed25519Verify(*HexDecode(key), octets, answer->signature));
  }
}

TEST(CompositionProperty, RawTextsEqualAnIndependentComposition) {
  RandomFields random;
  SCOPED_TRACE("AUSPEX_TEST_SEED=" + std::to_string(random.seed()));
  Rig rig(std::nullopt, Lower(random.Hex64()));
  const std::string key = rig.keys->view().public_key_hex();
  for (int i = 0; i < 1000; ++i) {
    rig.clock.AdvanceSeconds(1);
    const UntrustedRawText raw{random.UnitId(), random.Segment(), random.Octets(32)};
    const auto answer = rig.boundary.SignRawText(kRunnerd, raw);
    ASSERT_TRUE(answer.ok()) << answer.status();
    std::string hex;
    for (const char c : raw.raw_sha256) {
      char pair[3];
      std::snprintf(pair, sizeof pair, "%02x", static_cast<unsigned char>(c));
      hex += pair;
    }
    const std::string octets = "{\"raw_response_sha256\":\"" + hex + "\",\"unit_id\":\"" +
                               raw.unit_id + "\",\"worker_pubkey\":\"" + key + "\"}";
    ASSERT_TRUE(Ed25519Verify(*HexDecode(key), octets, answer->signature)) << octets;
  }
}

TEST(CompositionProperty, AResultWithABadFieldIsRefusedByItsName) {
  RandomFields random;
  SCOPED_TRACE("AUSPEX_TEST_SEED=" + std::to_string(random.seed()));
  using Spoil = std::function<void(UntrustedResult&)>;
  const std::vector<std::pair<const char*, Spoil>> spoilers = {
      {"unit_id", [&](auto& r) { r.unit_id = random.BadUnitId(); }},
      {"assignment_id", [&](auto& r) { r.assignment_id = random.BadSegment(); }},
      {"completed_at",
       [&](auto& r) {
         // One octet more, less, or another: none of them is a time in this form.
         const auto at = static_cast<size_t>(random.Number(0, int64_t(r.completed_at.size()) - 1));
         if (random.Chance(30)) {
           r.completed_at.erase(at, 1);
         } else if (random.Chance(40)) {
           r.completed_at.insert(at, 1, 'x');
         } else {
           r.completed_at[at] = "\"Zz \n,"[random.Number(0, 5)];
         }
       }},
      {"exit_code",
       [&](auto& r) {
         r.exit_code =
             random.Chance(50) ? random.Number(256, INT32_MAX) : random.Number(INT32_MIN, -256);
       }},
      {"schema_version",
       [&](auto& r) { r.schema_version = static_cast<uint32_t>(random.Number(3, UINT32_MAX)); }},
      {"served_weights", [&](auto& r) { r.served_weights["m"] = random.BadHex64(); }},
      {"served_weights",
       [&](auto& r) { r.served_weights[random.BadSegment() + "/"] = random.Hex64(); }},
      {"ran_under",
       [&](auto& r) { r.ran_under = random.Text("abcSTRICT ", random.Number(1, 90)); }},
      {"canonical_payload",
       [&](auto& r) {
         // An octet before, after or outside of the object's own.
         const char* extra[] = {" ", "\n", ",", "{", "}", "\"", "\\", "0", "x"};
         const std::string piece = extra[random.Number(0, 8)];
         r.canonical_payload =
             random.Chance(50) ? piece + r.canonical_payload : r.canonical_payload + piece;
       }},
      {"canonical_payload",
       [&](auto& r) { r.canonical_payload = random.Octets(random.Number(0, 200)); }},
  };
  Rig rig;
  for (int i = 0; i < 3000; ++i) {
    const auto& [name, spoil] =
        spoilers[static_cast<size_t>(random.Number(0, static_cast<int64_t>(spoilers.size()) - 1))];
    UntrustedResult result = RandomResult(random);
    if (std::string_view(name) == "served_weights") result.served_weights.clear();
    if (std::string_view(name) == "ran_under") result.schema_version = 2;
    spoil(result);
    rig.clock.AdvanceSeconds(1);
    const absl::Status status = rig.boundary.SignResult(kRunnerd, result).status();
    ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument)
        << name << " '" << result.completed_at << "' " << result.canonical_payload.substr(0, 200);
    ASSERT_EQ(std::string(status.message()).rfind(std::string(name) + ":", 0), 0u) << status;
  }
  EXPECT_EQ(rig.recorder.signatures(), 0u);
}

}  // namespace
}  // namespace auspex::keyd
