// SPDX-License-Identifier: AGPL-3.0-only
// feature_schema: the format's rules on the type itself, and what coordd makes of results that do
// not conform (coordinator 8.1 step 10, 14.2).
#include "coordd/feature_schema.h"

#include <gtest/gtest.h>

#include "common/base/cat.h"
#include "common/json/reader.h"
#include "tests/coordd/rig.h"

namespace auspex::coordd {
namespace {

JsonValue Read(const std::string& text) {
  auto value = ReadJson(text);
  EXPECT_TRUE(value.ok()) << text << ": " << value.status();
  return value.ok() ? *std::move(value) : JsonValue();
}

absl::StatusOr<FeatureSchema> ParseFeatures(const std::string& features) {
  return FeatureSchema::Parse(Read(Cat("{\"features\":[", features, "]}")));
}

// "" when the payload conforms, else the fault.
std::string Fault(const FeatureSchema& schema, const std::string& payload) {
  const absl::Status status = schema.Check(Read(payload));
  EXPECT_TRUE(status.ok() || absl::IsFailedPrecondition(status)) << status;
  return std::string(status.message());
}

TEST(FeatureSchemaTest, EveryLeafDeclaredEveryPathPresent) {
  const auto schema = ParseFeatures(
      R"({"path":"a","kind":"number"},{"path":"b.c","kind":"text"},{"path":"b.d","kind":"boolean"})");
  ASSERT_TRUE(schema.ok()) << schema.status();
  EXPECT_EQ(Fault(*schema, R"({"a":1.5,"b":{"c":"x","d":true}})"), "");
  EXPECT_EQ(Fault(*schema, R"({"a":1,"b":{"c":"","d":false}})"), "");
  const std::pair<const char*, const char*> bad[] = {
      {R"({"a":1,"b":{"c":"x","d":true},"e":0})", "payload: e: is not declared"},
      {R"({"a":1,"b":{"c":"x","d":true},"e":{}})", "payload: e: is not declared"},
      {R"({"a":1,"b":{"c":"x","d":true,"e":[]}})", "payload: b.e: is not declared"},
      {R"({"a":1,"b":{"c":"x"}})", "payload: b.d: is declared and missing"},
      {R"({"a":1})", "payload: b: is declared and missing"},
      {R"({"a":1,"b":{}})", "payload: b.c: is declared and missing"},
      {R"({"a":1,"b":[]})", "payload: b: is not an object"},
      {R"({"a":{"b":1},"b":{"c":"x","d":true}})", "payload: a: is not a finite number"},
      {R"({"a":null,"b":{"c":"x","d":true}})", "payload: a: is not a finite number"},
      {R"([])", "payload: is not an object"}};
  for (const auto& [payload, fault] : bad) EXPECT_EQ(Fault(*schema, payload), fault) << payload;
}

TEST(FeatureSchemaTest, NamesOfAPayloadComeOutClean) {
  const auto schema = ParseFeatures(R"({"path":"a","kind":"number"})");
  ASSERT_TRUE(schema.ok());
  const std::string fault = Fault(*schema, "{\"\\u001b[31m" + std::string(500, 'x') + "\":1}");
  EXPECT_EQ(fault.find('\x1b'), std::string::npos);
  EXPECT_LT(fault.size(), 200u);
}

TEST(FeatureSchemaTest, KindsAndBounds) {
  struct Case {
    const char *feature, *value;
    bool conforms;
  };
  const Case cases[] = {{R"("kind":"number","min":0,"max":1)", "0", true},
                        {R"("kind":"number","min":0,"max":1)", "1.0", true},
                        {R"("kind":"number","min":0,"max":1)", "-1e-9", false},
                        {R"("kind":"number","min":0,"max":1)", "1.0000001", false},
                        {R"("kind":"number")", "NaN", false},
                        {R"("kind":"number")", "Infinity", false},
                        {R"("kind":"number")", "true", false},
                        {R"("kind":"number")", "\"1\"", false},
                        {R"("kind":"integer")", "12345678901234567890123", true},
                        {R"("kind":"integer")", "1.0", false},
                        // Beyond 2^53 one binary64 would stand for several of these.
                        {R"("kind":"integer","max":9007199254740993)", "9007199254740993", true},
                        {R"("kind":"integer","max":9007199254740993)", "9007199254740994", false},
                        {R"("kind":"integer","min":-9007199254740993)", "-9007199254740993", true},
                        {R"("kind":"integer","min":-9007199254740993)", "-9007199254740994", false},
                        {R"("kind":"integer","min":-5,"max":7)", "-6", false},
                        {R"("kind":"integer","min":-5,"max":7)", "10", false},
                        {R"("kind":"integer","min":0.5)", "1", true},
                        {R"("kind":"integer","min":0.5)", "0", false},
                        {R"("kind":"boolean")", "false", true},
                        {R"("kind":"boolean")", "0", false},
                        {R"("kind":"text","max_length":2)", R"("\u00e9\u00e9")", true},
                        {R"("kind":"text","max_length":2)", R"("abc")", false},
                        {R"("kind":"text","max_length":0)", R"("")", true},
                        {R"("kind":"text")", "1", false}};
  for (const Case& c : cases) {
    const auto schema = ParseFeatures(Cat(R"({"path":"v",)", c.feature, "}"));
    ASSERT_TRUE(schema.ok()) << c.feature << ": " << schema.status();
    EXPECT_EQ(Fault(*schema, Cat("{\"v\":", c.value, "}")).empty(), c.conforms)
        << c.feature << " " << c.value;
  }
}

TEST(FeatureSchemaTest, Arrays) {
  const auto schema = ParseFeatures(
      R"({"path":"l[].x","kind":"number","max_items":2},{"path":"l[].y","kind":"boolean"},)"
      R"({"path":"m[][]","kind":"integer","min_items":0})");
  ASSERT_TRUE(schema.ok()) << schema.status();
  EXPECT_EQ(Fault(*schema, R"({"l":[{"x":1,"y":true},{"x":2,"y":false}],"m":[[1,2],[]]})"), "");
  EXPECT_EQ(Fault(*schema, R"({"l":[{"x":1,"y":true}],"m":[]})"), "");
  EXPECT_EQ(Fault(*schema, R"({"l":[],"m":[]})"), "payload: l: has too few items");
  EXPECT_EQ(Fault(*schema, R"({"l":[{"x":1,"y":true},{"x":1,"y":true},{"x":1,"y":true}],"m":[]})"),
            "payload: l: has too many items");
  EXPECT_EQ(Fault(*schema, R"({"l":[{"x":1}],"m":[]})"), "payload: l[].y: is declared and missing");
  EXPECT_EQ(Fault(*schema, R"({"l":[{"x":1,"y":true,"z":1}],"m":[]})"),
            "payload: l[].z: is not declared");
  EXPECT_EQ(Fault(*schema, R"({"l":[{"x":1,"y":true}],"m":[[1.5]]})"),
            "payload: m[][]: is not an integer");
  EXPECT_EQ(Fault(*schema, R"({"l":[{"x":1,"y":true}],"m":[1]})"), "payload: m[]: is not an array");
}

TEST(FeatureSchemaTest, RefusesWhatIsNoSchema) {
  const std::string ok = R"({"path":"ok","kind":"number"})";
  const std::string deep = [] {
    std::string path = "a";
    for (size_t i = 0; i < kMaxFeatureDepth; ++i) path += "[]";
    return path;
  }();
  for (
      const std::string& bad :
      {std::string(),
       std::string("1"),
       std::string(R"({"kind":"number"})"),
       std::string(R"({"path":"a"})"),
       std::string(R"({"path":"a","kind":"complex"})"),
       std::string(R"({"path":"","kind":"number"})"),
       std::string(R"({"path":"a..b","kind":"number"})"),
       std::string(R"({"path":"[]","kind":"number"})"),
       std::string(R"({"path":"a[","kind":"number"})"),
       std::string(R"({"path":"a b","kind":"number"})"),
       std::string(R"({"path":"a.","kind":"number"})"),
       std::string(R"({"path":"a","kind":"number","min":"0"})"),
       std::string(R"({"path":"a","kind":"number","min":NaN})"),
       std::string(R"({"path":"a","kind":"number","min":2,"max":1})"),
       std::string(R"({"path":"a","kind":"number","max_length":1})"),
       std::string(R"({"path":"a","kind":"number","max_items":1})"),
       std::string(R"({"path":"a","kind":"text","min":1})"),
       std::string(R"({"path":"a","kind":"text","max_length":-1})"),
       std::string(R"({"path":"a","kind":"number","optional":true})"),
       std::string(R"({"path":"a[]","kind":"number","min_items":3,"max_items":2})"),
       std::string(R"({"path":"a[]","kind":"number","max_items":100001})"),
       ok + "," + ok,
       ok + R"(,{"path":"ok.x","kind":"number"})",
       ok + R"(,{"path":"ok[]","kind":"number"})",
       std::string(R"({"path":"a.b","kind":"number"},{"path":"a","kind":"number"})"),
       std::string(
           R"({"path":"a[].b","kind":"number","max_items":2},{"path":"a[].c","kind":"number","max_items":3})"),
       Cat(R"({"path":")", std::string(65, 'a'), R"(","kind":"number"})"),
       Cat(R"({"path":")", deep, R"(","kind":"number"})")}) {
    const auto schema = ParseFeatures(bad);
    EXPECT_TRUE(absl::IsInvalidArgument(schema.status())) << bad << ": " << schema.status();
  }
  EXPECT_FALSE(FeatureSchema::Parse(Read("[]")).ok());
  EXPECT_FALSE(FeatureSchema::Parse(Read("{}")).ok());
  EXPECT_FALSE(FeatureSchema::Parse(Read(Cat(R"({"version":1,"features":[)", ok, "]}"))).ok());
  std::string many;
  for (size_t i = 0; i <= kMaxFeatures; ++i) {
    many += Cat(i == 0 ? "" : ",", R"({"path":"f)", i, R"(","kind":"number"})");
  }
  EXPECT_FALSE(ParseFeatures(many).ok());
  EXPECT_TRUE(ParseFeatures(many.substr(0, many.rfind(",{"))).ok());
}

TEST(FeatureSchemaTest, FromVersionThreeOn) {
  for (const std::string good : {"0.3", "0.7", "0.10"}) EXPECT_TRUE(VersionHasFeatureSchema(&good));
  for (const std::string bad : {"", "0.", "0.2", "0.1", "1.0", "0.3x", "0.-3", "0.9999"}) {
    EXPECT_FALSE(VersionHasFeatureSchema(&bad)) << bad;
  }
  EXPECT_FALSE(VersionHasFeatureSchema(nullptr));
}

const Json kAnswerOnly = {
    {"schema_version", "0.7"},
    {"feature_schema",
     {{"features", {{{"path", "answer"}, {"kind", "integer"}, {"min", 0}, {"max", 99}}}}}}};

// Against the real program: the refusals at creation.
TEST(FeatureSchemaCoorddTest, CreationRefusesWhatItCannotHoldResultsAgainst) {
  CoordinatorRig rig;
  const auto create = [&](const Json& manifest, bool certified) {
    Json whole = {
        {"tenant_id", "lab"}, {"experiment_id", "exp-one"}, {"executor", {{"command", {"x"}}}}};
    whole.update(manifest);
    return rig.Bearer("POST", "/api/v0/lab/experiments",
                      {{"manifest", whole},
                       {"units", Json::array()},
                       {"replication_target", 1},
                       {"sandbox_level", "strict"},
                       {"certified", certified}});
  };
  Json old = kAnswerOnly;
  old["schema_version"] = "0.2";
  EXPECT_EQ(create(old, false).code(), "feature_schema_requires_v0_3");
  Json bad = kAnswerOnly;
  bad["feature_schema"]["features"][0]["kind"] = "quaternion";
  const Answer refused = create(bad, false);
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(refused.code(), "feature_schema_invalid");
  EXPECT_NE(refused.body.find("feature 0 'answer': kind is not"), std::string::npos)
      << refused.body;
  EXPECT_EQ(create(Json::object(), true).code(), "feature_schema_missing");
  EXPECT_EQ(create(kAnswerOnly, true).status, 201);
}

// The tenant's own way: the maintainer certifies with the approval, and a later one does not undo it.
TEST(FeatureSchemaCoorddTest, TheMaintainerCertifiesWithTheApproval) {
  CoordinatorRig rig;
  const WorkerSigner tenant(40);
  rig.Bearer("POST", "/api/v0/tenants",
             {{"tenant_id", "ten"}, {"maintainer_pubkey", tenant.public_key_hex()}});
  const auto create = [&](const std::string& label, const Json& more) {
    Json manifest = {{"tenant_id", "ten"}, {"experiment_id", label}};
    manifest.update(more);
    return rig.Signed(tenant, "POST", "/api/v0/experiments",
                      {{"manifest", manifest}, {"signature", Json::object()}});
  };
  const Answer plain = create("plain-one", Json::object());
  ASSERT_EQ(plain.status, 201) << plain.body;
  const auto act = [&](const Answer& experiment, const std::string& action) {
    return rig.Bearer("POST", "/api/v0/experiments/" +
                                  experiment.json["experiment_id"].get<std::string>() +
                                  "/actions/" + action);
  };
  const Answer nothing = act(plain, "approve?certified=true");
  EXPECT_EQ(nothing.status, 409);
  EXPECT_EQ(nothing.code(), "feature_schema_missing");
  const Answer shaped = create("shaped-one", kAnswerOnly);
  ASSERT_EQ(shaped.status, 201) << shaped.body;
  EXPECT_EQ(shaped.json["certified"], false);
  EXPECT_EQ(act(shaped, "approve?certified=true").json["certified"], true);
  EXPECT_EQ(act(shaped, "pause").status, 200);
  const Answer again = act(shaped, "approve");
  ASSERT_EQ(again.status, 200) << again.body;
  EXPECT_EQ(
      rig.Bearer("GET", "/api/v0/experiments/" + shaped.json["experiment_id"].get<std::string>())
          .json["certified"],
      true);
}

TEST(FeatureSchemaCoorddTest, AViolationFailsACertifiedUnitForEveryone) {
  CoordinatorRig rig;
  LabWorker one(rig, 1), two(rig, 2), three(rig, 3);
  const std::string experiment =
      rig.Submit("exp-one", 1, 3, {{"certified", true}, {"finalize", true}}, kAnswerOnly);
  const Answer good = one.DoOne({{"answer", 42}});
  ASSERT_EQ(good.status, 201) << good.body;
  const Json late = three.ResultFor(three.Get("/assignments").json, {{"answer", 42}});
  const Json bad = two.ResultFor(two.Get("/assignments").json, {{"answer", 100}});
  const Answer refused = two.Submit(bad);
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(refused.code(), "schema_violation");
  EXPECT_NE(refused.body.find("payload: answer: is above its max"), std::string::npos)
      << refused.body;
  EXPECT_EQ(two.Submit(bad).code(), "schema_violation");  // asked again, refused again

  // Nobody is offered it, whoever had finished gets no receipt, and whoever is late finds it failed.
  LabWorker fresh(rig, 4);
  for (LabWorker* worker : {&two, &fresh}) {
    EXPECT_TRUE(worker->Get("/assignments").json["work_unit"].is_null());
  }
  const Answer receipt =
      one.Get("/results/" + good.json["result_id"].get<std::string>() + "/canonical-receipt");
  EXPECT_EQ(receipt.status, 410);
  EXPECT_EQ(receipt.details()["reason"], "unit_failed");
  EXPECT_EQ(three.Submit(late).json["unit_status_after"], "failed");
  const Json progress = rig.Progress(experiment);
  EXPECT_EQ(progress["units"]["failed"], 1);
  EXPECT_EQ(progress["state"], "completed");  // nothing is left to wait for
  EXPECT_EQ(progress["refusals"], Json({{"schema_violation", 1}}));
  EXPECT_EQ(progress["schema_problems"], 0);
}

TEST(FeatureSchemaCoorddTest, ElsewhereItIsRecordedAcrossARestart) {
  CoordinatorRig rig;
  LabWorker one(rig, 1), two(rig, 2);
  const std::string experiment = rig.Submit("exp-one", 1, 2, Json::object(), kAnswerOnly);
  EXPECT_EQ(one.DoOne({{"answer", 42}, {"more", true}}).status, 201);
  rig.KillAndRestart();  // the schema is read again from the stored manifest
  const Answer second = two.DoOne({{"answer", 42}, {"more", true}});
  EXPECT_EQ(second.json["unit_status_after"], "completed");
  const Json progress = rig.Progress(experiment);
  EXPECT_EQ(progress["receipts"], 2);
  EXPECT_EQ(progress["schema_problems"], 2);
  const Json results = rig.Bearer("GET", "/api/v0/lab/experiments/" + experiment + "/results").json;
  for (const Json& result : results["units"][0]["results"]) {
    EXPECT_EQ(result["schema_problem"], "payload: more: is not declared");
  }
}

}  // namespace
}  // namespace auspex::coordd
