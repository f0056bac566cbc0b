// SPDX-License-Identifier: AGPL-3.0-only
#include "common/wire/manifest.h"

#include <gtest/gtest.h>

#include "common/base/cat.h"
#include "common/crypto/sha256.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"

namespace auspex {
namespace {

constexpr char kFull[] = R"({
  "schema_version": "0.7", "tenant_id": "lab", "experiment_id": "exp-one",
  "sensitive_content_flags": ["red_team", 3, "dual_use"],
  "models": [{"id": "../odd", "local_weights_required": true}, {"id": "m"}],
  "executor": {"command": ["python3", "-m", "x y"],
               "package_sha256": "ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB"},
  "capture": {"raw": true}, "inference_determinism": {"temperature": 0.8, "serving_version_pin": "ollama/0.17.7"},
  "something_new": [1, 2.0]})";

TEST(Manifest, ReadsWhatTheWorkerUses) {
  const auto manifest = ParseManifest(kFull);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->sha256, ManifestSha256(*ReadJson(kFull)));
  EXPECT_EQ(manifest->tenant_id.str(), "lab");
  EXPECT_EQ(manifest->experiment_id.str(), "exp-one");
  EXPECT_EQ(manifest->command, (std::vector<std::string>{"python3", "-m", "x y"}));
  EXPECT_EQ(manifest->package_sha256->str().substr(0, 6), "ababab");
  EXPECT_EQ(manifest->sensitive_flags, (std::vector<std::string>{"red_team", "dual_use"}));
  EXPECT_TRUE(manifest->capture_raw);
  EXPECT_EQ(manifest->serving_version_pin, "ollama/0.17.7");
  ASSERT_EQ(manifest->models.size(), 2u);
  EXPECT_EQ(manifest->models[0].id, "../odd");
  EXPECT_TRUE(manifest->models[0].local_weights_required);
  EXPECT_FALSE(manifest->models[1].local_weights_required);
}

TEST(Manifest, AbsentAndNullMembersAreTheSame) {
  const auto manifest = ParseManifest(
      R"({"tenant_id":"lab","experiment_id":"exp","executor":{"command":["x"],"package_sha256":null},"capture":null,)"
      R"("models":null,"sensitive_content_flags":null,"inference_determinism":{"serving_version_pin":null}})");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_FALSE(manifest->package_sha256.has_value());
  EXPECT_FALSE(manifest->capture_raw);
  EXPECT_FALSE(manifest->serving_version_pin.has_value());
  EXPECT_TRUE(manifest->models.empty());
}

TEST(Manifest, MessagesNameTheMember) {
  struct Case {
    const char *member, *value, *message;
  };
  const Case cases[] = {
      {"tenant_id", "null", "tenant_id is missing"},
      {"tenant_id", "7", "tenant_id is not a string"},
      {"tenant_id", "\"no/no\"", "tenant_id is malformed"},
      {"experiment_id", "\"../x\"", "experiment_id is malformed"},
      {"executor", "null", "executor is missing"},
      {"executor", "[]", "executor is not an object"},
      {"executor", "{}", "executor.command is missing"},
      {"executor", R"({"command":[]})", "executor.command is not an array"},
      {"executor", R"({"command":"x"})", "executor.command is not an array"},
      {"executor", R"({"command":["x",1]})",
       "executor.command has an element that is not a string"},
      {"executor", R"({"command":["x\u0000y"]})", "executor.command has an element with a NUL"},
      {"executor", R"({"command":["x"],"package_sha256":"ab"})",
       "executor.package_sha256 is not 64 hex"},
      {"executor", R"({"command":["x"],"package_sha256":1})",
       "executor.package_sha256 is not a string"},
      {"capture", "true", "capture is not an object"},
      {"capture", R"({"raw":"yes"})", "capture.raw is not true or false"},
      {"models", "{}", "models is not an array"},
      {"models", "[1]", "models[0] is not an object"},
      {"models", R"([{"id":"a"},{}])", "models[1].id is missing"},
      {"models", R"([{"id":"a","local_weights_required":1}])", "models[0].local_weights_required"},
      {"sensitive_content_flags", "\"red_team\"", "sensitive_content_flags is not an array"},
      {"inference_determinism", R"({"serving_version_pin":1})",
       "inference_determinism.serving_version_pin"},
  };
  for (const Case& c : cases) {
    JsonValue root =
        ReadJson(R"({"tenant_id":"lab","experiment_id":"exp","executor":{"command":["x"]}})")
            .value();
    ASSERT_TRUE(ParseManifest(WriteCanonical(root)).ok());
    root[c.member] = ReadJson(c.value).value();
    const auto status = ParseManifest(WriteCanonical(root)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.message;
    EXPECT_NE(std::string(status.message()).find(c.message), std::string::npos) << status;
  }
  EXPECT_FALSE(ParseManifest("[]").ok());
  EXPECT_FALSE(ParseManifest("{").ok());
  EXPECT_FALSE(ParseManifest(Cat("{\"x\":\"", std::string(1024 * 1024, 'x'), "\"}")).ok());
}

std::map<std::string, std::string> Files(
    std::initializer_list<std::pair<const char*, const char*>> files) {
  std::map<std::string, std::string> out;
  for (const auto& [path, content] : files) out[path] = Sha256HexOf(content);
  return out;
}

TEST(PackageDigest, ExampleOfTheCoordinatorsSpecification) {
  EXPECT_EQ(PackageDigest(Files({{"a/b.txt", "1"}, {"a.txt", "2"}, {"a-b/c", "3"}})).str(),
            "54b7d6b19f1901d13bd070af00a063d63e87f2fe210349da6f7235f12fec8e4b");
}

TEST(PackageDigest, LeavesOutWhatTheRuleLeavesOut) {
  const auto plain = Files({{"x.py", "x"}});
  EXPECT_EQ(PackageDigest(Files({{"x.py", "x"},
                                 {"manifest.json", "1"},
                                 {"manifest.json.sig", "2"},
                                 {"y.pyc", "3"},
                                 {"a/.pyc", "4"},
                                 {"__pycache__/z", "5"},
                                 {"a/__pycache__/b/c", "6"},
                                 {"a/__pycache__", "7"}})),
            PackageDigest(plain));
  for (const char* counted :
       {"a/manifest.json", "manifest.jsonx", "x.pyc.txt", "__pycache__x/y", "x__pycache__/y"}) {
    EXPECT_NE(PackageDigest(Files({{"x.py", "x"}, {counted, "1"}})), PackageDigest(plain))
        << counted;
  }
}

}  // namespace
}  // namespace auspex
