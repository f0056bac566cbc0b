// SPDX-License-Identifier: AGPL-3.0-only
// Taking results, quorum, receipts: coordinator sections 8, 10, 11, against the real program.
#include <gtest/gtest.h>

#include "common/base/encoding.h"
#include "common/receipt/receipt.h"
#include "tests/coordd/rig.h"

namespace auspex::coordd {
namespace {

TEST(ResultTest, AcceptedOnceThen409WithTheId) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  rig.Submit("exp-one", 1, 2);
  const Answer poll = worker.Get("/assignments");
  const Json result = worker.ResultFor(poll.json);
  const Answer accepted = worker.Submit(result);
  ASSERT_EQ(accepted.status, 201) << accepted.body;
  EXPECT_EQ(accepted.json["unit_status_after"], "in_progress");
  EXPECT_EQ(accepted.json["completions_so_far"], 1);
  EXPECT_EQ(accepted.json["replication_target"], 2);
  EXPECT_TRUE(accepted.json["result_id"].get<std::string>().starts_with("res-"));
  Json repeat = result;
  repeat["payload"] = {{"other", 1}};  // whatever its content
  const Answer duplicate = worker.Submit(repeat);
  EXPECT_EQ(duplicate.status, 409);
  EXPECT_EQ(duplicate.code(), "result_already_submitted");
  EXPECT_EQ(duplicate.details(), Json({{"assignment_id", poll.json["assignment_id"]},
                                       {"existing_result_id", accepted.json["result_id"]}}));
  EXPECT_EQ(worker.Post("/assignments/u-0/refuse", {{"kind", "k"}, {"reason", ""}})
                .details()["has_result"],
            true);
}

TEST(ResultTest, ShapesAre422Lists) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  rig.Submit("exp-one", 1, 1);
  const Json good = worker.ResultFor(worker.Get("/assignments").json);
  const std::vector<std::pair<std::string, Json>> bad = {{"exit_code", 256},
                                                         {"exit_code", "0"},
                                                         {"exit_code", 1.0},
                                                         {"payload", Json::array()},
                                                         {"schema_version", "0.1"},
                                                         {"completed_at", "yesterday"},
                                                         {"worker_pubkey", "AB"},
                                                         {"worker_signature", 7},
                                                         {"served_weights", {{"m", 1}}},
                                                         {"ran_under", std::string(65, 'x')},
                                                         {"unit_id", ""},
                                                         {"generation_options", {1}}};
  for (const auto& [name, value] : bad) {
    Json result = good;
    result[name] = value;
    const Answer answer = worker.Post("/assignments/u-0/result", result);
    EXPECT_EQ(answer.status, 422) << name;
    EXPECT_EQ(answer.json["detail"][0]["loc"], Json({"body", name})) << answer.body;
  }
  for (const char* name :
       {"unit_id", "worker_pubkey", "completed_at", "exit_code", "payload", "worker_signature"}) {
    Json result = good;
    result.erase(name);
    const Answer answer = worker.Post("/assignments/u-0/result", result);
    EXPECT_EQ(answer.status, 422) << name;
    EXPECT_EQ(answer.json["detail"][0]["type"], "missing") << answer.body;
  }
  EXPECT_EQ(worker.Submit(good).status, 201);  // none of it burned the assignment
}

TEST(ResultTest, NamesAndAssignment) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  rig.Submit("exp-one", 2, 1);
  const Json first = worker.ResultFor(worker.Get("/assignments").json);
  EXPECT_EQ(worker.Post("/assignments/u-1/result", first).code(), "unit_id_mismatch");
  Json foreign = first;
  foreign["worker_pubkey"] = WorkerSigner(9).public_key_hex();
  const Answer mismatch = worker.Post("/assignments/u-0/result", foreign);
  EXPECT_EQ(mismatch.status, 403);
  EXPECT_EQ(mismatch.code(), "worker_pubkey_mismatch");
  Json unknown = first;
  unknown["assignment_id"] = "asg-unknown";
  EXPECT_EQ(worker.Submit(unknown).code(), "assignment_not_found");
  Json unassigned = first;
  unassigned["unit_id"] = "u-1";
  EXPECT_EQ(worker.Submit(unassigned).status, 404);
  Json without_id = first;
  without_id.erase("assignment_id");
  EXPECT_EQ(worker.Submit(without_id).status, 201);
}

TEST(ResultTest, BadSignatureBurnsTheAssignment) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1), other(rig, 2);
  rig.Submit("exp-one", 1, 1);
  const Json good = worker.ResultFor(worker.Get("/assignments").json);
  Json bad = good;
  bad["exit_code"] = 1;
  for (int round = 0; round < 2; ++round) {  // the second one is a 422 again, not a 500
    const Answer answer = worker.Submit(bad);
    EXPECT_EQ(answer.status, 422);
    EXPECT_EQ(answer.code(), "worker_signature_invalid");
  }
  // Refused for good: the worker is offered it no more and the place is free, yet a good result is
  // still taken.
  EXPECT_TRUE(worker.Get("/assignments").json["work_unit"].is_null());
  EXPECT_EQ(other.Get("/assignments").json["work_unit"]["unit_id"], "u-0");
  EXPECT_EQ(worker.Submit(good).status, 201);
}

TEST(ResultTest, EveryVersionIsTaken) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  rig.Submit("exp-one", 4, 1);
  for (int version = 0; version <= 3; ++version) {
    Json result = worker.ResultFor(worker.Get("/assignments").json);
    if (version == 0) result.erase("schema_version");
    if (version > 0) result["schema_version"] = version;
    if (version < 1) result.erase("served_weights");
    if (version < 2) result.erase("ran_under");
    if (version == 3) result["generation_options"] = {{{"top_k", 40}}};
    worker.SignResult(result);
    EXPECT_EQ(worker.Submit(result).status, 201) << version;
  }
}

TEST(ResultTest, WeakIsolationQuarantines) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  const std::string experiment = rig.Submit("exp-one", 1, 1);
  Json result = worker.ResultFor(worker.Get("/assignments").json);
  result["ran_under"] = "permissive";
  worker.SignResult(result);
  const Answer answer = worker.Submit(result);
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(answer.code(), "containment_violation");
  EXPECT_EQ(worker.Get("/assignments").code(), "worker_quarantined");
  EXPECT_EQ(worker.Submit(result).code(), "worker_quarantined");
  EXPECT_EQ(rig.Progress(experiment)["refusals"], Json({{"containment_violation", 1}}));
}

TEST(ResultTest, ServedWeightsMustFitThePin) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  const std::string digest(64, 'a');
  rig.Submit("exp-one", 2, 1, Json::object(),
             {{"models", {{{"id", "m"}, {"version", "1"}, {"expected_gguf_sha256", digest}}}}});
  Json result = worker.ResultFor(worker.Get("/assignments").json);
  EXPECT_EQ(worker.Submit(result).code(), "served_weights_mismatch");
  result = worker.ResultFor(worker.Get("/assignments").json);
  result["served_weights"] = {{"m", digest}};
  worker.SignResult(result);
  EXPECT_EQ(worker.Submit(result).status, 201);
}

TEST(ResultTest, HoldsAndSuspension) {
  CoordinatorRig rig({"--idp", "fake"});
  LabWorker worker(rig, 1);
  rig.Submit("exp-one", 2, 1);
  const Answer login = rig.Plain("POST", "/api/v0/accounts/oauth/exchange",
                                 {{"idp", "github"}, {"access_token", "good-ann"}});
  worker.Post("/upgrade", {{"binding_token", login.json["binding_token"]}});
  const Json first = worker.ResultFor(worker.Get("/assignments").json);
  const std::string account = "/api/v0/lab/accounts/" + login.json["account_id"].get<std::string>();
  EXPECT_EQ(rig.Bearer("POST", account + "/suspend").status, 200);
  EXPECT_EQ(worker.Submit(first).code(), "account_suspended");
  EXPECT_EQ(rig.Bearer("POST", account + "/unsuspend").status, 200);
  rig.Bearer("POST", worker.Path("/actions/pause"), {{"reason", "x"}});
  EXPECT_EQ(worker.Submit(first).status, 201);  // a paused worker's result is taken
}

TEST(QuorumTest, AgreementGivesEachItsReceipt) {
  CoordinatorRig rig;
  LabWorker one(rig, 1), two(rig, 2);
  const std::string experiment = rig.Submit("exp-one", 1, 2);
  const Answer first = one.DoOne();
  const std::string path =
      "/results/" + first.json["result_id"].get<std::string>() + "/canonical-receipt";
  const Answer early = one.Get(path);
  EXPECT_EQ(early.status, 404);
  EXPECT_EQ(early.code(), "receipt_not_issued");
  EXPECT_EQ(early.details()["terminal"], false);
  const Answer second = two.DoOne();
  EXPECT_EQ(second.json["unit_status_after"], "completed");

  const Answer receipt = one.Get(path);
  ASSERT_EQ(receipt.status, 200) << receipt.body;
  EXPECT_EQ(receipt.json["experiment_id"], experiment);
  EXPECT_EQ(receipt.json["signing_key_pubkey_hex"],
            rig.Plain("GET", "/api/v0/lab/signing-key").json["public_key_hex"]);
  const auto envelope = Base64Decode(receipt.json["cose_signed_blob_b64"].get<std::string>());
  ASSERT_TRUE(envelope.has_value());
  const auto parsed = ParseReceipt(*envelope);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->receipt_id, receipt.json["receipt_id"].get<std::string>());
  EXPECT_EQ(parsed->signer_pubkey_hex, receipt.json["signing_key_pubkey_hex"].get<std::string>());
  EXPECT_EQ(HexEncode(parsed->receipt.worker_pubkey), one.key().public_key_hex());
  EXPECT_EQ(parsed->receipt.experiment_id, "exp-one");
  EXPECT_EQ(parsed->receipt.work_unit_ids, std::vector<std::string>{"u-0"});
  EXPECT_EQ(parsed->receipt.agreeing_workers, 2);
  EXPECT_EQ(parsed->receipt.anchors.size(), 2u);
  EXPECT_EQ(parsed->receipt.window_start, "2026-07-19T12:00:00.250000Z");

  EXPECT_EQ(one.Get("/receipts").json["receipts"][0]["receipt_id"], receipt.json["receipt_id"]);
  EXPECT_EQ(rig.Plain("GET", "/api/v0/receipts/" + parsed->receipt_id).json, receipt.json);
  EXPECT_EQ(rig.Plain("GET", "/api/v0/receipts/rcpt-none").code(), "receipt_not_found");
  const Answer verified = rig.Plain("POST", "/api/v0/receipts/verify",
                                    {{"receipt_cose_b64", receipt.json["cose_signed_blob_b64"]}});
  EXPECT_EQ(verified.json["signature_valid"], true);
  EXPECT_EQ(verified.json["coordinator_mode"], "dev");
  EXPECT_EQ(rig.Plain("POST", "/api/v0/receipts/verify", {{"receipt_cose_b64", "AAA"}}).code(),
            "invalid_base64");
  EXPECT_EQ(rig.Plain("POST", "/api/v0/receipts/verify", {{"receipt_cose_b64", "AAAA"}})
                .json["signature_valid"],
            false);

  const Json progress = rig.Progress(experiment);
  EXPECT_EQ(progress["units"]["completed"], 1);
  EXPECT_EQ(progress["agreed"], 1);
  EXPECT_EQ(progress["receipts"], 2);
  const Json results = rig.Bearer("GET", "/api/v0/lab/experiments/" + experiment + "/results").json;
  EXPECT_EQ(results["units"][0]["consensus_payload"], Json({{"answer", 42}}));
  EXPECT_EQ(results["units"][0]["consensus_exit_code"], 0);
  EXPECT_EQ(results["units"][0]["results"].size(), 2u);
  EXPECT_EQ(results["units"][0]["results"][0]["ran_under"], "strict");
}

TEST(QuorumTest, DisagreementGivesNobodyAReceipt) {
  CoordinatorRig rig;
  LabWorker one(rig, 1), two(rig, 2), three(rig, 3);
  const std::string experiment = rig.Submit("exp-one", 1, 3);
  one.DoOne();
  const Answer odd = two.DoOne({{"answer", 41}});
  const Answer last = three.DoOne();
  EXPECT_EQ(last.json["unit_status_after"], "completed");
  for (const auto& [worker, answer] : {std::pair(&two, &odd), std::pair(&three, &last)}) {
    const Answer receipt = worker->Get("/results/" + answer->json["result_id"].get<std::string>() +
                                       "/canonical-receipt");
    EXPECT_EQ(receipt.status, 410);
    EXPECT_EQ(receipt.code(), "receipt_will_not_issue");
    EXPECT_EQ(
        receipt.details(),
        Json({{"outcome", "no_receipt"}, {"reason", "quorum_disagreed"}, {"terminal", true}}));
  }
  EXPECT_EQ(rig.Progress(experiment)["disagreed"], 1);
  EXPECT_EQ(rig.Progress(experiment)["receipts"], 0);
}

TEST(QuorumTest, ProcessOnlyComparesNothing) {
  CoordinatorRig rig;
  LabWorker one(rig, 1), two(rig, 2);
  const std::string experiment = rig.Submit("exp-one", 1, 2, Json::object(),
                                            {{"reducer", {{"kind", "builtin_process_only"}}}});
  one.DoOne({{"a", 1}});
  two.DoOne({{"a", 2}});
  EXPECT_EQ(rig.Progress(experiment)["receipts"], 2);
}

TEST(QuorumTest, AbortIsTerminalForOpenResults) {
  CoordinatorRig rig;
  LabWorker one(rig, 1), two(rig, 2);
  const std::string experiment = rig.Submit("exp-one", 2, 2);
  const Answer done = one.DoOne();
  const Json late = two.ResultFor(two.Get("/assignments").json);
  EXPECT_EQ(rig.Bearer("POST", "/api/v0/lab/experiments/" + experiment + "/abort").status, 200);
  const Answer receipt =
      one.Get("/results/" + done.json["result_id"].get<std::string>() + "/canonical-receipt");
  EXPECT_EQ(receipt.status, 410);
  EXPECT_EQ(receipt.details()["outcome"], "experiment_terminal");
  EXPECT_EQ(receipt.details()["reason"], "experiment_aborted");
  EXPECT_EQ(two.Submit(late).code(), "assignment_not_found");
  EXPECT_TRUE(one.Get("/assignments").json["work_unit"].is_null());
  EXPECT_EQ(rig.Progress(experiment)["units"]["cancelled"], 2);
}

TEST(QuorumTest, FinalizedExperimentCompletesWithAnAttestation) {
  CoordinatorRig rig;
  LabWorker one(rig, 1);
  const std::string experiment = rig.Submit("exp-one", 3, 1, {{"finalize", true}});
  for (int i = 0; i < 3; ++i) one.DoOne({{"n", i}});
  EXPECT_EQ(rig.Progress(experiment)["state"], "completed");
  const Answer attestation =
      rig.Bearer("GET", "/api/v0/experiments/" + experiment + "/attestation");
  ASSERT_EQ(attestation.status, 200) << attestation.body;
  EXPECT_EQ(attestation.json["unit_count"], 3);
  EXPECT_EQ(attestation.json["algorithm"], "sha256-merkle-v1");
  EXPECT_EQ(attestation.json["units"][0]["integrity_basis"], "process_only");
}

}  // namespace
}  // namespace auspex::coordd
