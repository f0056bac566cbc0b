// SPDX-License-Identifier: AGPL-3.0-only
// Handing out work, refusing, leases, long polls: coordinator sections 7 and 9, against the real
// program.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/coordd/rig.h"

namespace auspex::coordd {
namespace {

// Polls until there is work or 15 s have gone.
Answer PollUntilWork(LabWorker& worker) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(15);
  for (;;) {
    Answer poll = worker.Get("/assignments");
    if (poll.status != 200 || !poll.json["work_unit"].is_null()) return poll;
    if (std::chrono::steady_clock::now() > deadline) return poll;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

TEST(PollTest, SpellsOutNullsAndEnvelope) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  const Answer idle = worker.Get("/assignments");
  for (const char* name :
       {"assignment_id", "assigned_at", "experiment_id", "work_unit", "idle_reason"}) {
    EXPECT_TRUE(idle.json.contains(name)) << name;
  }
  EXPECT_TRUE(idle.json["work_unit"].is_null());
  EXPECT_EQ(idle.json["idle_reason"]["code"], "no_pending_work");

  const Json units = {{{"unit_id", "u-9"}, {"payload", {{"f", 1.0}, {"t", "caf\u00e9"}}}}};
  const std::string experiment = rig.Submit("exp-one", 0, 2, {{"units", units}});
  const Answer poll = worker.Get("/assignments");
  ASSERT_EQ(poll.status, 200);
  EXPECT_TRUE(poll.json["assignment_id"].get<std::string>().starts_with("asg-"));
  EXPECT_EQ(poll.json["experiment_id"], experiment);
  EXPECT_TRUE(poll.json["idle_reason"].is_null());
  const Json& unit = poll.json["work_unit"];
  EXPECT_EQ(unit["schema_version"], "0.1");
  EXPECT_EQ(unit["unit_id"], "u-9");
  EXPECT_EQ(unit["tenant_id"], "lab");
  EXPECT_EQ(unit["experiment_id"], "exp-one");
  EXPECT_EQ(unit["manifest_sha256"].get<std::string>().size(), 64u);
  EXPECT_NE(poll.body.find(R"("payload":{"f":1.0,"t":"caf\u00e9"})"), std::string::npos)
      << poll.body;
  // The same worker does not get the unit twice; another does; a third finds both places taken.
  EXPECT_TRUE(worker.Get("/assignments").json["work_unit"].is_null());
  LabWorker second(rig, 2), third(rig, 3);
  EXPECT_EQ(second.Get("/assignments").json["work_unit"]["unit_id"], "u-9");
  EXPECT_TRUE(third.Get("/assignments").json["work_unit"].is_null());
}

TEST(PollTest, SeveralAtOnceInOrderOfSubmission) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  rig.Submit("exp-one", 2, 1);
  rig.Submit("exp-two", 1, 1);
  EXPECT_EQ(worker.Get("/assignments").json["work_unit"]["unit_id"], "u-0");
  EXPECT_EQ(worker.Get("/assignments").json["work_unit"]["unit_id"], "u-1");
  EXPECT_EQ(worker.Get("/assignments").json["work_unit"]["experiment_id"], "exp-two");
}

TEST(PollTest, OnlyWhatFits) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  worker.Heartbeat({{"sandbox_policy", "permissive"}});
  rig.Submit("exp-one", 1, 1);
  EXPECT_TRUE(worker.Get("/assignments").json["work_unit"].is_null());
  worker.Heartbeat();
  EXPECT_FALSE(worker.Get("/assignments").json["work_unit"].is_null());
}

TEST(RefuseTest, FreesThePlaceAndRepeatsWhatIsRetryable) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1), other(rig, 2);
  const std::string experiment = rig.Submit("exp-one", 1, 1);
  const Json refusal = {{"kind", "runner_failed"}, {"reason", ""}};
  EXPECT_EQ(worker.Post("/assignments/u-0/refuse", refusal).code(), "assignment_not_found");
  const Answer first = worker.Get("/assignments");
  const Answer refused = worker.Post("/assignments/u-0/refuse", refusal);
  ASSERT_EQ(refused.status, 200) << refused.body;
  EXPECT_EQ(refused.json["refused_kind"], "runner_failed");
  EXPECT_EQ(refused.json["unit_id"], "u-0");
  const Answer again = worker.Post("/assignments/u-0/refuse", refusal);
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.code(), "assignment_already_resolved");
  EXPECT_EQ(again.details()["has_result"], false);
  EXPECT_FALSE(again.details()["already_refused_at"].is_null());
  // Three offers in all, always under the same id.
  for (int offer = 2; offer <= 3; ++offer) {
    const Answer poll = worker.Get("/assignments");
    EXPECT_EQ(poll.json["assignment_id"], first.json["assignment_id"]);
    EXPECT_EQ(worker.Post("/assignments/u-0/refuse", refusal).status, 200);
  }
  EXPECT_TRUE(worker.Get("/assignments").json["work_unit"].is_null());
  EXPECT_EQ(rig.Progress(experiment)["refusals"], Json({{"runner_failed", 1}}));
  // The place went to others; a final refusal is final for that worker.
  EXPECT_EQ(other.Get("/assignments").json["work_unit"]["unit_id"], "u-0");
  const Json final_refusal = {{"kind", "refused_manual"}, {"reason", "no"}};
  EXPECT_EQ(other.Post("/assignments/u-0/refuse", final_refusal).status, 200);
  EXPECT_TRUE(other.Get("/assignments").json["work_unit"].is_null());
  EXPECT_EQ(rig.Progress(experiment)["units"]["in_progress"], 1);
}

TEST(RefuseTest, LimitsAndHolds) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  rig.Submit("exp-one", 1, 1);
  worker.Get("/assignments");
  const auto refuse = [&](const std::string& kind, const std::string& reason) {
    return worker.Post("/assignments/u-0/refuse", {{"kind", kind}, {"reason", reason}});
  };
  EXPECT_EQ(refuse("", "x").status, 422);
  EXPECT_EQ(refuse(std::string(65, 'k'), "x").status, 422);
  const Answer longer = refuse("k", std::string(2049, 'r'));
  EXPECT_EQ(longer.status, 422);
  EXPECT_EQ(longer.json["detail"][0]["type"], "string_too_long");
  EXPECT_EQ(rig.Bearer("POST", worker.Path("/actions/quarantine")).status, 200);
  EXPECT_EQ(refuse("runner_failed", std::string(2048, 'r')).status, 200);  // open in all holds
}

TEST(LeaseTest, LostAnswerIsRepeatedToTheSameWorker) {
  CoordinatorRig rig({"--lease-seconds", "1"});
  LabWorker worker(rig, 1);
  rig.Submit("exp-one", 1, 1);
  const Answer lost = worker.Get("/assignments");
  ASSERT_FALSE(lost.json["work_unit"].is_null());
  const Answer again = PollUntilWork(worker);
  EXPECT_EQ(again.json["assignment_id"], lost.json["assignment_id"]);
  EXPECT_NE(again.json["assigned_at"], lost.json["assigned_at"]);
}

TEST(LeaseTest, SilentWorkerLosesItsPlaceButMayStillDeliver) {
  CoordinatorRig rig({"--lease-seconds", "1", "--expire-leases", "2"});
  LabWorker silent(rig, 1), other(rig, 2);
  const std::string experiment = rig.Submit("exp-one", 1, 1);
  const Answer held = silent.Get("/assignments");
  ASSERT_FALSE(held.json["work_unit"].is_null());
  EXPECT_EQ(PollUntilWork(other).json["work_unit"]["unit_id"], "u-0");
  EXPECT_EQ(rig.Progress(experiment)["refusals"], Json({{"lease_expired", 1}}));
  EXPECT_EQ(silent.Submit(silent.ResultFor(held.json)).status, 201);
}

TEST(LongPollTest, AnswersAsSoonAsWorkArrives) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  HttpConnection waiting(rig.port());
  HeaderList headers = worker.key().Request("GET", worker.Path("/assignments"), rig.authority());
  headers.emplace_back("Prefer", "respond-async, wait=60");
  std::string text =
      "GET " + worker.Path("/assignments") + " HTTP/1.1\r\nHost: " + rig.authority() + "\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  ASSERT_TRUE(waiting.Send(text + "\r\n"));
  // Other calls go on meanwhile; the client's patience (20 s) is well below the wait that was asked
  // for.
  EXPECT_EQ(rig.Plain("GET", "/api/v0/health").status, 200);
  rig.Submit("exp-one", 1, 1);
  const Answer answer = Parse(waiting.Receive());
  ASSERT_EQ(answer.status, 200);
  EXPECT_EQ(answer.json["work_unit"]["unit_id"], "u-0");
  EXPECT_EQ(answer.headers.at("preference-applied"), "wait=60");
  // The connection is kept, and work that is there is handed out at once with the same header.
  rig.Submit("exp-two", 1, 1);
  const Answer next = Parse(waiting.Call("GET", worker.Path("/assignments"), headers));
  EXPECT_EQ(next.json["work_unit"]["experiment_id"], "exp-two");
  EXPECT_EQ(next.headers.at("preference-applied"), "wait=60");
}

TEST(LongPollTest, EndsWithoutWorkAndOnHolds) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  HeaderList headers = worker.key().Request("GET", worker.Path("/assignments"), rig.authority());
  headers.emplace_back("Prefer", "wait=1");
  HttpConnection connection(rig.port());
  const Answer idle = Parse(connection.Call("GET", worker.Path("/assignments"), headers));
  EXPECT_EQ(idle.status, 200);
  EXPECT_TRUE(idle.json["work_unit"].is_null());
  EXPECT_EQ(idle.headers.at("preference-applied"), "wait=1");

  headers.back().second = "wait=60";
  std::string text =
      "GET " + worker.Path("/assignments") + " HTTP/1.1\r\nHost: " + rig.authority() + "\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  ASSERT_TRUE(connection.Send(text + "\r\n"));
  EXPECT_EQ(rig.Bearer("POST", worker.Path("/actions/pause"), {{"reason", "x"}}).status, 200);
  EXPECT_EQ(Parse(connection.Receive()).code(), "worker_paused");
}

TEST(LongPollTest, AClientThatLeftTakesNoWork) {
  CoordinatorRig rig;
  LabWorker gone(rig, 1), present(rig, 2);
  {
    HttpConnection connection(rig.port());
    std::string text =
        "GET " + gone.Path("/assignments") + " HTTP/1.1\r\nHost: " + rig.authority() + "\r\n";
    for (const auto& [name, value] :
         gone.key().Request("GET", gone.Path("/assignments"), rig.authority())) {
      text += name + ": " + value + "\r\n";
    }
    ASSERT_TRUE(connection.Send(text + "Prefer: wait=60\r\n\r\n"));
  }
  // The close reaches the coordinator before the submission does: both are ordered by this thread
  // on one machine, and the coordinator reads its events in batches, so give it one exchange to see
  // the close.
  EXPECT_EQ(rig.Plain("GET", "/api/v0/health").status, 200);
  EXPECT_EQ(rig.Plain("GET", "/api/v0/health").status, 200);
  rig.Submit("exp-one", 1, 1);
  EXPECT_EQ(present.Get("/assignments").json["work_unit"]["unit_id"], "u-0");
}

TEST(StubTest, PrestageServeRecoveredAndModels) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  EXPECT_EQ(worker.Get("/prestage").json, Json({{"prestage", Json::array()}}));
  EXPECT_EQ(worker.Post("/serve-recovered", {{"model_id", "m"}}).json,
            Json({{"worker_id", worker.id()}, {"model_id", "m"}, {"recorded", true}}));
  EXPECT_EQ(rig.Signed(worker.key(), "GET", "/api/v0/models/supported").json["models"],
            Json::array());
  const Answer anonymous = rig.Plain("GET", "/api/v0/models/supported");
  EXPECT_EQ(anonymous.status, 403);
  EXPECT_TRUE(anonymous.json["detail"].is_string());
}

}  // namespace
}  // namespace auspex::coordd
