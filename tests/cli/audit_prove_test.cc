// SPDX-License-Identifier: AGPL-3.0-only
// audit prove: proofs are checked here by the recursive definition's verifier, and what others hold
// is told apart into signed here, signed with the key elsewhere, and another key's.
#include "common/journal/proof.h"
#include "common/receipt/receipt.h"
#include "tests/cli/audit_fixture.h"

namespace auspex::cli {
namespace {

using ::testing::HasSubstr;

Digest32 DigestIn(const JsonValue& value, std::string_view name) {
  return ToDigest(*HexDecode(*value.FindString(name)));
}

Proof ProofIn(const JsonValue& value) {
  Proof proof;
  for (const JsonValue& node : *value.Find("proof")->as_array()) {
    proof.push_back(ToDigest(*HexDecode(*node.as_string())));
  }
  return proof;
}

TEST_F(AuditVerbs, ProveGivesInclusionsThatHoldUnderTheKeptNote) {
  const std::string kept = Kept("kept.txt");
  keyd::v1::SignResultResponse later_result;
  ASSERT_TRUE(Sign("u-4", 4, &later_result).ok());
  for (int sequence = 1; sequence <= last(); ++sequence) {
    const JsonValue json =
        AuditJson({"prove", "--sequence", std::to_string(sequence), "--checkpoint", kept});
    EXPECT_EQ(*json.FindString("checkpoint"), testing::ReadText(kept));
    EXPECT_TRUE(VerifyInclusion(DigestIn(json, "leaf_hash"), static_cast<uint64_t>(sequence) - 1,
                                static_cast<uint64_t>(NumberIn(json, "tree_size")), ProofIn(json),
                                ParseNote(testing::ReadText(kept))->checkpoint.root)
                    .ok());
  }
  const Outcome later =
      Audit({"prove", "--sequence", std::to_string(later_result.journal_sequence())});
  EXPECT_EQ(later.code, 1);
  EXPECT_THAT(later.err, HasSubstr("not under the checkpoint"));
  EXPECT_THAT(later.err, HasSubstr("--sign"));
  EXPECT_THAT(Audit({"prove", "--sequence", "3"}).out, HasSubstr("auspex.journal/"));
}

TEST_F(AuditVerbs, ProveGivesConsistencyBetweenKeptNotes) {
  const std::string older = Kept("older.txt");
  for (int i = 4; i < 9; ++i) ASSERT_TRUE(Sign("u-" + std::to_string(i), i).ok());
  const std::string newer = Kept("newer.txt");
  const JsonValue json = AuditJson({"prove", "--old", older, "--new", newer});
  EXPECT_TRUE(VerifyConsistency(static_cast<uint64_t>(NumberIn(json, "old_size")),
                                ParseNote(testing::ReadText(older))->checkpoint.root,
                                static_cast<uint64_t>(NumberIn(json, "new_size")),
                                ParseNote(testing::ReadText(newer))->checkpoint.root, ProofIn(json))
                  .ok());
  EXPECT_EQ(Audit({"prove", "--old", newer, "--new", older}).code, 1);
  std::string forged = testing::ReadText(older);
  forged[forged.size() - 10] = forged[forged.size() - 10] == 'A' ? 'B' : 'A';
  EXPECT_EQ(Audit({"prove", "--old", File("forged.txt", forged), "--new", newer}).code, 1);
}

TEST_F(AuditVerbs, ProveKnowsWhatWasSignedHere) {
  Kept("kept.txt");
  const std::string exact = File("exact.json", Octets("u-2", 2, key_hex()));
  const Outcome known = Audit({"prove", "--result", exact});
  EXPECT_EQ(known.code, 0) << known.err;
  EXPECT_THAT(known.out, HasSubstr("known, record " + std::to_string(RecordOf(2))));
  const JsonValue json = AuditJson({"prove", "--result", exact});
  const JsonValue& item = json.Find("items")->as_array()->at(0);
  const JsonValue& inclusion = *item.Find("inclusion");
  EXPECT_TRUE(VerifyInclusion(DigestIn(inclusion, "leaf_hash"),
                              static_cast<uint64_t>(RecordOf(2)) - 1,
                              static_cast<uint64_t>(NumberIn(inclusion, "tree_size")),
                              ProofIn(inclusion), DigestIn(inclusion, "root"))
                  .ok());
  EXPECT_EQ(*item.FindString("sha256"), Sha256HexOf(Octets("u-2", 2, key_hex())));
  EXPECT_EQ(Audit({"prove", "--digest", *item.FindString("sha256")}).code, 0);

  // A submission as the coordinator has it: other order and spelling, with the signature.
  const std::string signature = Base64Encode(key_.Sign(Octets("u-2", 2, key_hex())));
  const std::string submission =
      R"({ "unit_id": "u-2", "assignment_id": "asg-u-2", "payload": {"t": "café", "n": 1},)"
      R"( "exit_code": 2, "completed_at": "2026-07-19T23:21:50.000123+00:00",)"
      R"( "schema_version": 2, "served_weights": {}, "ran_under": "strict", "worker_pubkey": ")" +
      key_hex() + R"(", "worker_signature": ")" + signature + "\"}";
  const JsonValue body = AuditJson({"prove", "--result", File("body.json", submission)});
  EXPECT_TRUE(*body.Find("known")->as_bool());
  EXPECT_TRUE(*body.Find("signature_holds")->as_bool());
}

TEST_F(AuditVerbs, ProveTellsWhatTheKeySignedElsewhere) {
  const std::string outside = Octets("u-stolen", 0, key_hex());
  const std::string file = File("outside.json", outside);
  const Outcome leaked =
      Audit({"prove", "--result", file, "--signature", Base64Encode(key_.Sign(outside))});
  EXPECT_EQ(leaked.code, 1);
  EXPECT_THAT(leaked.err, HasSubstr("NOT KNOWN to this journal: signed outside of this keyd, or by "
                                    "another key"));
  EXPECT_THAT(leaked.err, HasSubstr("the key was used elsewhere"));
  const JsonValue json =
      AuditJson({"prove", "--result", file, "--signature", Base64Encode(key_.Sign(outside))}, 1);
  EXPECT_FALSE(*json.Find("known")->as_bool());
  EXPECT_TRUE(*json.Find("key_of_this_journal")->as_bool());
  EXPECT_TRUE(*json.Find("signature_holds")->as_bool());

  const testing::TestKey other(0x55);
  const std::string foreign = Octets("u-1", 1, HexEncode(other.public_key));
  const Outcome not_ours = Audit({"prove", "--result", File("foreign.json", foreign), "--signature",
                                  Base64Encode(other.Sign(foreign))});
  EXPECT_EQ(not_ours.code, 1);
  EXPECT_THAT(not_ours.err, HasSubstr("a key that this journal does not"));
  const Outcome no_signature =
      Audit({"prove", "--result", file, "--signature", Base64Encode(other.Sign(outside))});
  EXPECT_EQ(no_signature.code, 1);
  EXPECT_THAT(no_signature.err, HasSubstr("does not hold"));
  // A refusal is no signature: its digest is nothing's.
  EXPECT_EQ(Audit({"prove", "--digest", std::string(64, '0')}).code, 1);
}

TEST_F(AuditVerbs, ProveReadsReceipts) {
  const testing::TestKey coordinator(0x66);
  const auto receipt = [&](const std::string& unit, int exit_code, const std::string& worker = "") {
    Receipt body;
    body.tenant_id = "lab";
    body.experiment_id = "exp";
    body.worker_pubkey = worker.empty() ? key_.public_key : worker;
    body.work_unit_ids = {unit};
    body.window_start = body.window_end = "2026-07-19T23:21:50Z";
    body.replication_factor = body.agreeing_workers = 1;
    body.method = "exact";
    // Each agreeing worker's result has an anchor.
    body.anchors.push_back({1, "entry", std::string(64, 'a')});
    body.anchors.push_back({2, "entry", Sha256HexOf(Octets(unit, exit_code, key_hex()))});
    return EncodeEnvelope(
        EncodeStatement("rcp-1", EncodeReceiptBody(body)), HexEncode(coordinator.public_key),
        [&](std::string_view octets) { return coordinator.Sign(std::string(octets)); });
  };
  const std::string good = receipt("u-3", 3);
  const Outcome known = Audit({"prove", "--receipt", File("receipt.cose", good)});
  EXPECT_EQ(known.code, 0) << known.err;
  EXPECT_THAT(known.out, HasSubstr("known, record " + std::to_string(RecordOf(3))));
  EXPECT_THAT(known.out, HasSubstr("another worker's result"));
  EXPECT_THAT(known.out, HasSubstr(HexEncode(coordinator.public_key)));
  const std::string shown =
      File("shown.json", R"({"canonical_blob_b64": ")" + Base64Encode(good) + "\"}");
  EXPECT_EQ(Audit({"prove", "--receipt", shown}).code, 0);
  const Outcome unknown = Audit({"prove", "--receipt", File("other.cose", receipt("u-never", 0))});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("NOT KNOWN"));
  // One for another worker that agreed has this worker's anchor too.
  const Outcome others =
      Audit({"prove", "--receipt", File("others.cose", receipt("u-3", 3, std::string(32, 'w')))});
  EXPECT_EQ(others.code, 1);
  EXPECT_THAT(others.err, HasSubstr("a key that this journal does not"));
  std::string forged = good;
  forged.back() = static_cast<char>(forged.back() ^ 1);
  EXPECT_EQ(Audit({"prove", "--receipt", File("forged.cose", forged)}).code, 1);
}

TEST_F(AuditVerbs, ProveAsksForOneThing) {
  EXPECT_EQ(Audit({"prove"}).code, 2);
  EXPECT_EQ(Audit({"prove", "--sequence", "1", "--digest", std::string(64, '0')}).code, 2);
  EXPECT_EQ(Audit({"prove", "--old", "a"}).code, 2);
  EXPECT_EQ(Audit({"prove", "--sequence", "0"}).code, 2);
  EXPECT_EQ(Audit({"show", "--intent", "anything"}).code, 2);
  EXPECT_EQ(Audit({"export"}).code, 2);
  EXPECT_EQ(Audit({"prove", "--result", files_.path() + "/none"}).code, 1);
}

}  // namespace
}  // namespace auspex::cli
