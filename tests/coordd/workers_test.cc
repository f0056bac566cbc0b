// SPDX-License-Identifier: AGPL-3.0-only
// Enrol, heartbeat, holds, leaving, accounts: coordinator sections 2, 5 and 6, against the real
// program.
#include <gtest/gtest.h>

#include "tests/coordd/rig.h"

namespace auspex::coordd {
namespace {

TEST(EnrolTest, AnswersInOrder) {
  CoordinatorRig rig;
  const WorkerSigner key(1);
  std::string upper = key.public_key_hex();
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  const Answer first =
      rig.Plain("POST", "/api/v0/workers/enroll",
                {{"pubkey_hex", upper}, {"capabilities", {{"os", "linux"}}}, {"x", 1}});
  ASSERT_EQ(first.status, 201) << first.body;
  EXPECT_TRUE(first.json["worker_id"].get<std::string>().starts_with("wkr-"));
  EXPECT_EQ(first.json["worker_id"].get<std::string>().size(), 16u);
  EXPECT_EQ(first.json["trust_tier"], 0);
  EXPECT_EQ(first.json["registered_at"].get<std::string>().back(), 'Z');
  const Answer again =
      rig.Plain("POST", "/api/v0/workers/enroll", {{"pubkey_hex", key.public_key_hex()}});
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.code(), "pubkey_already_enrolled");
  EXPECT_EQ(again.body.find("wkr-"), std::string::npos);

  const WorkerSigner tenant(2);
  ASSERT_EQ(
      rig.Bearer("POST", "/api/v0/tenants",
                 {{"tenant_id", "tenant-two"}, {"maintainer_pubkey", tenant.public_key_hex()}})
          .status,
      201);
  EXPECT_EQ(
      rig.Plain("POST", "/api/v0/workers/enroll", {{"pubkey_hex", tenant.public_key_hex()}}).code(),
      "pubkey_already_tenant");
  // A signature by a key that is not enrolled yet.
  EXPECT_EQ(rig.Signed(WorkerSigner(3), "POST", "/api/v0/workers/enroll",
                       {{"pubkey_hex", WorkerSigner(3).public_key_hex()}})
                .code(),
            "invalid_signature");
}

TEST(EnrolTest, SignedEnrolGivesTheIdBack) {
  CoordinatorRig rig({"--signed-enrol"});
  const WorkerSigner key(1), thief(2);
  const Json body = {{"pubkey_hex", key.public_key_hex()}};
  const Answer first = rig.Signed(key, "POST", "/api/v0/workers/enroll", body);
  ASSERT_EQ(first.status, 201) << first.body;
  const Answer again = rig.Signed(key, "POST", "/api/v0/workers/enroll", body);
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.json["worker_id"], first.json["worker_id"]);
  EXPECT_EQ(rig.Signed(thief, "POST", "/api/v0/workers/enroll", body).status, 401);
  EXPECT_EQ(rig.Plain("POST", "/api/v0/workers/enroll", body).code(), "pubkey_already_enrolled");
}

TEST(EnrolTest, RateLimitHasItsOwnShape) {
  CoordinatorRig rig({"--rate-limits", "on"});
  for (unsigned char n = 0; n < 10; ++n) {
    EXPECT_EQ(rig.Plain("POST", "/api/v0/workers/enroll",
                        {{"pubkey_hex", WorkerSigner(n).public_key_hex()}})
                  .status,
              201);
  }
  const Answer limited = rig.Plain("POST", "/api/v0/workers/enroll",
                                   {{"pubkey_hex", WorkerSigner(99).public_key_hex()}});
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(limited.json, Json({{"error", "Rate limit exceeded: 10 per 1 hour"}}));
}

TEST(CallerTest, ClassBeforeIdentity) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1), other(rig, 2);
  const Answer unsigned_call = rig.Plain("GET", worker.Path("/assignments"));
  EXPECT_EQ(unsigned_call.status, 403);
  EXPECT_EQ(unsigned_call.code(), "worker_required");
  EXPECT_EQ(unsigned_call.details()["credential_class"], "anonymous");
  const Answer mismatch = rig.Signed(other.key(), "GET", worker.Path("/assignments"));
  EXPECT_EQ(mismatch.code(), "worker_id_mismatch");
  EXPECT_EQ(mismatch.details(),
            Json({{"credential_worker_id", other.id()}, {"url_worker_id", worker.id()}}));
  EXPECT_EQ(rig.Signed(other.key(), "GET", worker.Path("")).code(),
            "worker_self_or_maintainer_required");
  EXPECT_EQ(rig.Signed(worker.key(), "GET", "/api/v0/workers").code(), "maintainer_required");

  using auspex::testing::HttpCall;
  EXPECT_EQ(
      Parse(HttpCall(rig.port(), "GET", "/api/v0/workers", {{"Authorization", "Basic x"}})).code(),
      "malformed_authorization_header");
  EXPECT_EQ(
      Parse(HttpCall(rig.port(), "GET", "/api/v0/workers", {{"Authorization", "Bearer x"}})).code(),
      "invalid_maintainer_token");
  EXPECT_EQ(Parse(HttpCall(rig.port(), "GET", worker.Path(""), {{"Signature-Input", "x"}})).code(),
            "auth_error");
}

TEST(CallerTest, ReplaysAreTakenByDefaultAndRefusedBySwitch) {
  for (const bool refuse : {false, true}) {
    CoordinatorRig rig(refuse ? std::vector<std::string>{"--refuse-replays"}
                              : std::vector<std::string>{});
    LabWorker worker(rig, 1);
    const std::string path = worker.Path("/prestage");
    const HeaderList headers = worker.key().Request("GET", path, rig.authority());
    EXPECT_EQ(auspex::testing::HttpCall(rig.port(), "GET", path, headers).status, 200);
    EXPECT_EQ(auspex::testing::HttpCall(rig.port(), "GET", path, headers).status,
              refuse ? 401 : 200);
  }
}

TEST(HeartbeatTest, ReplacesCapabilitiesAndTellsReleases) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  EXPECT_EQ(worker.Post("/heartbeat", Json::object()).status, 200);
  const Json record = rig.Bearer("GET", worker.Path("")).json;
  EXPECT_EQ(record["capabilities"]["sandbox_policy"], "strict");
  EXPECT_EQ(record["pubkey_hex"], worker.key().public_key_hex());
  EXPECT_EQ(worker.Post("/heartbeat", {{"capabilities", Json::object()}}).status, 200);
  EXPECT_EQ(rig.Bearer("GET", worker.Path("")).json["capabilities"], Json::object());

  const Json release = {{"version", "0.9.1"}, {"headline", "Better"}};
  EXPECT_EQ(rig.Bearer("POST", "/api/v0/releases", release).status, 201);
  EXPECT_EQ(rig.Bearer("POST", "/api/v0/releases", release).code(), "release_exists");
  const Answer beat = worker.Post("/heartbeat", Json::object());
  EXPECT_EQ(beat.json["latest_release"]["version"], "0.9.1");
  EXPECT_TRUE(beat.json["latest_release"]["release_url"].is_null());
  EXPECT_TRUE(beat.json["latest_release"]["published_at"].get<std::string>().ends_with("+00:00"));
  // Members of the maintainer's view stay hidden.
  for (const char* name : {"pubkey_hex", "capabilities", "account_id", "paused_at"}) {
    EXPECT_FALSE(beat.json.contains(name)) << name;
  }
  EXPECT_EQ(worker.Post("/heartbeat").status, 422);  // a body is needed
  EXPECT_EQ(worker.Post("/heartbeat", {{"capabilities", 1}}).json["detail"][0]["loc"][1],
            "capabilities");
  EXPECT_EQ(
      worker.Post("/heartbeat", {{"model_downloads", {{"m", {{"bytes_downloaded", "x"}}}}}}).status,
      422);
}

TEST(HoldTest, QuarantineAndPauseShowOnThePoll) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  EXPECT_EQ(rig.Bearer("POST", worker.Path("/actions/pause"), Json::object()).status, 422);
  EXPECT_EQ(rig.Bearer("POST", worker.Path("/actions/pause"), {{"reason", "moving racks"}}).status,
            200);
  Answer poll = worker.Get("/assignments");
  EXPECT_EQ(poll.status, 423);
  EXPECT_EQ(poll.code(), "worker_paused");
  EXPECT_EQ(poll.details()["pause_reason"], "moving racks");
  EXPECT_EQ(poll.details()["no_fault"], true);
  EXPECT_TRUE(poll.details()["paused_at"].get<std::string>().ends_with("+00:00"));
  // Quarantine comes first.
  EXPECT_EQ(rig.Bearer("POST", worker.Path("/actions/quarantine"), {{"reason", "odd"}}).status,
            200);
  poll = worker.Get("/assignments");
  EXPECT_EQ(poll.code(), "worker_quarantined");
  EXPECT_EQ(poll.details()["quarantine_reason"], "odd");
  const Answer beat = worker.Heartbeat();
  EXPECT_EQ(beat.status, 200);
  EXPECT_TRUE(beat.json.contains("quarantined_at"));
  EXPECT_EQ(rig.Bearer("POST", worker.Path("/actions/unquarantine")).status, 200);
  EXPECT_EQ(rig.Bearer("POST", worker.Path("/actions/unpause")).status, 200);
  EXPECT_EQ(worker.Get("/assignments").status, 200);
}

TEST(HoldTest, SelfPausedAndCriticalGetNoWorkAndNoReason) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  rig.Submit("exp-one", 1, 1);
  for (const Json& more :
       {Json{{"self_paused", true}}, Json{{"thermal", {{"state", "critical"}}}}}) {
    worker.Heartbeat(more);
    const Answer poll = worker.Get("/assignments");
    EXPECT_EQ(poll.status, 200);
    EXPECT_TRUE(poll.json["work_unit"].is_null());
    EXPECT_TRUE(poll.json["idle_reason"].is_null());
  }
  worker.Heartbeat({{"self_paused", "true"}});  // only exactly true counts
  EXPECT_FALSE(worker.Get("/assignments").json["work_unit"].is_null());
}

TEST(RetireTest, KeyIsUnknownAfterwards) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  const Answer retired = worker.Post("/actions/retire");
  EXPECT_EQ(retired.status, 200);
  EXPECT_TRUE(retired.json.contains("retired_at"));
  EXPECT_EQ(worker.Post("/actions/retire").code(), "invalid_signature");
  EXPECT_EQ(
      rig.Plain("POST", "/api/v0/workers/enroll", {{"pubkey_hex", worker.key().public_key_hex()}})
          .code(),
      "pubkey_retired");
  EXPECT_EQ(rig.Bearer("POST", worker.Path("/actions/retire")).status,
            200);  // idempotent for the maintainer
  EXPECT_EQ(rig.Bearer("POST", worker.Path("/actions/pause"), {{"reason", "x"}}).code(),
            "worker_retired");
}

TEST(WorkersTest, CapabilitiesAreBounded) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  const std::string long_text(130 * 1024, 'x');
  const Answer refused = worker.Post("/heartbeat", {{"capabilities", {{"note", long_text}}}});
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(refused.json["detail"][0]["loc"], Json({"body", "capabilities"}));
  EXPECT_EQ(
      worker.Post("/heartbeat", {{"capabilities", {{"note", long_text.substr(4096)}}}}).status,
      200);
  EXPECT_EQ(rig.Plain("POST", "/api/v0/workers/enroll",
                      {{"pubkey_hex", std::string(64, 'e')}, {"capabilities", {{"n", long_text}}}})
                .status,
            422);
}

TEST(AccountTest, ExchangeUpgradeUnbindAttribution) {
  CoordinatorRig rig({"--idp", "fake"});
  LabWorker worker(rig, 1);
  EXPECT_EQ(rig.Plain("POST", "/api/v0/accounts/oauth/exchange",
                      {{"idp", "x"}, {"access_token", "good-a"}})
                .status,
            422);
  EXPECT_EQ(rig.Plain("POST", "/api/v0/accounts/oauth/exchange",
                      {{"idp", "github"}, {"access_token", "bad"}})
                .code(),
            "invalid_access_token");
  const Json login = {{"idp", "github"}, {"access_token", "good-ann"}};
  const Answer first = rig.Plain("POST", "/api/v0/accounts/oauth/exchange", login);
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.json["is_new_account"], true);
  EXPECT_EQ(first.json["binding_token"].get<std::string>().size(), 43u);
  EXPECT_EQ(worker.Post("/upgrade", {{"binding_token", "nope"}}).code(), "binding_token_not_found");
  const Json token = {{"binding_token", first.json["binding_token"]}};
  const Answer upgraded = worker.Post("/upgrade", token);
  EXPECT_EQ(upgraded.status, 200);
  EXPECT_EQ(upgraded.json["trust_tier"], 1);
  EXPECT_EQ(worker.Post("/upgrade", token).code(), "binding_token_consumed");
  const Answer second = rig.Plain("POST", "/api/v0/accounts/oauth/exchange", login);
  EXPECT_EQ(second.json["is_new_account"], false);
  EXPECT_EQ(second.json["account_id"], first.json["account_id"]);

  const std::string path =
      "/api/v0/accounts/" + first.json["account_id"].get<std::string>() + "/attribution";
  const std::string account = first.json["account_id"];
  EXPECT_EQ(rig.Signed(worker.key(), "GET", path).json,
            Json({{"account_id", account}, {"public_attribution", false}}));
  EXPECT_EQ(rig.Signed(worker.key(), "PUT", path,
                       {{"public_attribution", true}, {"attribution_name", "X"}})
                .json,
            Json({{"account_id", account}, {"public_attribution", true}}));
  LabWorker stranger(rig, 2);
  EXPECT_EQ(rig.Signed(stranger.key(), "GET", path).code(), "account_self_or_maintainer_required");
  EXPECT_EQ(worker.Post("/actions/unbind").json["trust_tier"], 0);
  EXPECT_EQ(rig.Signed(worker.key(), "GET", path).status, 403);
}

TEST(AccountTest, WithoutAProviderThereIsNoLogin) {
  CoordinatorRig rig;
  EXPECT_EQ(rig.Plain("POST", "/api/v0/accounts/oauth/exchange",
                      {{"idp", "github"}, {"access_token", "good-a"}})
                .code(),
            "unsupported_idp");
  EXPECT_EQ(rig.Plain("POST", "/fake-idp/login/device/code").status, 404);
}

TEST(FakeIdpTest, Scenarios) {
  CoordinatorRig rig({"--idp", "fake"});
  const auto call = [&](const std::string& path, const std::string& form) {
    return Parse(auspex::testing::HttpCall(
        rig.port(), "POST", path, {{"Content-Type", "application/x-www-form-urlencoded"}}, form));
  };
  const std::map<std::string, std::vector<std::string>> expected = {
      {"", {""}},
      {"good/", {""}},
      {"slow_down/", {"slow_down", ""}},
      {"pending-then-good/", {"authorization_pending", "authorization_pending", ""}},
      {"denied/", {"access_denied"}},
      {"expired/", {"expired_token"}}};
  for (const auto& [scenario, answers] : expected) {
    const Answer start =
        call("/fake-idp/" + scenario + "login/device/code", "client_id=abc&scope=read%3Auser");
    ASSERT_EQ(start.status, 200);
    for (const std::string& error : answers) {
      const Answer poll =
          call("/fake-idp/" + scenario + "login/oauth/access_token",
               "client_id=abc&device_code=" + start.json["device_code"].get<std::string>() +
                   "&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code");
      EXPECT_EQ(poll.json.value("error", ""), error) << scenario;
      EXPECT_EQ(poll.json.value("access_token", "").starts_with("good-"), error.empty())
          << scenario;
    }
  }
}

}  // namespace
}  // namespace auspex::coordd
