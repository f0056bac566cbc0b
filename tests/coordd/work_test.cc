// SPDX-License-Identifier: AGPL-3.0-only
// Creating work: the tenant's calls, packages, the lab's one call. Coordinator sections 13 and 14,
// against the real program.
#include <gtest/gtest.h>

#include "common/archive/archive.h"
#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "common/wire/manifest.h"
#include "tests/coordd/rig.h"

namespace auspex::coordd {
namespace {

using auspex::testing::HttpCall;

struct Packed {
  std::string archive, digest;
};

Packed Pack(const std::vector<ArchiveMember>& members) {
  std::map<std::string, std::string> digests;
  for (const ArchiveMember& member : members) digests[member.path] = Sha256HexOf(member.content);
  return {WriteTarGz(members).value(), PackageDigest(digests).str()};
}

TEST(LabSubmitTest, AllOrNothing) {
  CoordinatorRig rig;
  const auto submit = [&](const Json& more) {
    Json body = {{"manifest", {{"tenant_id", "lab"}, {"experiment_id", "exp-one"}}},
                 {"units", {{{"unit_id", "a"}}, {{"unit_id", "b"}}}},
                 {"replication_target", 1},
                 {"sandbox_level", "strict"}};
    body.update(more);
    return rig.Bearer("POST", "/api/v0/lab/experiments", body);
  };
  EXPECT_EQ(submit({{"sandbox_level", "loose"}}).status, 422);
  EXPECT_EQ(submit({{"replication_target", 0}}).status, 422);
  EXPECT_EQ(submit({{"manifest", {{"tenant_id", "L/B"}, {"experiment_id", "exp-one"}}}}).code(),
            "manifest_malformed");
  EXPECT_EQ(submit({{"manifest",
                     {{"tenant_id", "lab"}, {"experiment_id", "exp-one"}, {"reducer", "custom"}}}})
                .code(),
            "custom_reducer_unsupported");
  EXPECT_EQ(submit({{"units", {{{"unit_id", "a"}}, {{"unit_id", "a"}}}}}).code(),
            "duplicate_unit_id_in_batch");
  EXPECT_EQ(submit({{"units", {{{"unit_id", "../a"}}}}}).status, 422);
  EXPECT_EQ(rig.Bearer("GET", "/api/v0/experiments").json["experiments"].size(),
            0u);  // nothing of it stayed
  EXPECT_EQ(rig.Bearer("GET", "/api/v0/tenants").json["tenants"].size(), 0u);
  const Answer good = submit(Json::object());
  ASSERT_EQ(good.status, 201) << good.body;
  EXPECT_EQ(good.json["unit_count"], 2);
  EXPECT_EQ(good.json["manifest_sha256"],
            Sha256HexOf(R"({"experiment_id":"exp-one","tenant_id":"lab"})"));
  EXPECT_EQ(submit(Json::object()).code(), "duplicate_manifest");
  EXPECT_EQ(
      submit({{"manifest", {{"tenant_id", "lab"}, {"experiment_id", "exp-one"}, {"x", 1}}}}).code(),
      "duplicate_experiment_label");
}

TEST(LabSubmitTest, PackageTravelsWithItsManifest) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  const Packed packed = Pack({{.path = "main.py", .content = "print(1)\n"}});
  const Json manifest = {
      {"tenant_id", "lab"},
      {"experiment_id", "exp-one"},
      {"executor", {{"command", {"python3", "main.py"}}, {"package_sha256", packed.digest}}}};
  Json body = {{"manifest", manifest},
               {"units", Json::array()},
               {"replication_target", 1},
               {"sandbox_level", "strict"},
               {"package_tar_gz_b64", Base64Encode(packed.archive)}};
  Json other = body;
  other["package_tar_gz_b64"] =
      Base64Encode(Pack({{.path = "main.py", .content = "print(2)\n"}}).archive);
  EXPECT_EQ(rig.Bearer("POST", "/api/v0/lab/experiments", other).code(), "digest_mismatch");
  const Answer created = rig.Bearer("POST", "/api/v0/lab/experiments", body);
  ASSERT_EQ(created.status, 201) << created.body;

  const std::string path =
      "/api/v0/packages/by-manifest/" + created.json["manifest_sha256"].get<std::string>();
  for (int round = 0; round < 2; ++round) {  // made, then from the cache
    const Answer fetched = rig.Signed(worker.key(), "GET", path);
    ASSERT_EQ(fetched.status, 200);
    EXPECT_EQ(fetched.headers.at("content-type"), "application/gzip");
    const auto members = ReadTarGz(fetched.body);
    ASSERT_TRUE(members.ok()) << members.status();
    ASSERT_EQ(members->size(), 3u);
    EXPECT_EQ((*members)[1].path, "manifest.json");
    EXPECT_EQ(Sha256HexOf((*members)[1].content),
              created.json["manifest_sha256"].get<std::string>());
    EXPECT_EQ((*members)[2].path, "manifest.json.sig");
  }
  EXPECT_EQ(rig.Plain("GET", path).code(), "worker_required");
  EXPECT_EQ(rig.Signed(worker.key(), "GET", "/api/v0/packages/" + packed.digest).body,
            packed.archive);
  EXPECT_EQ(rig.Signed(worker.key(), "GET", "/api/v0/packages/by-manifest/" + std::string(64, '0'))
                .code(),
            "package_not_found");
}

class TenantTest : public ::testing::Test {
 protected:
  TenantTest() {
    EXPECT_EQ(rig_.Bearer("POST", "/api/v0/tenants",
                          {{"tenant_id", "ten"},
                           {"maintainer_pubkey", key_.public_key_hex()},
                           {"contact_email", "a@b"}})
                  .status,
              201);
  }
  Answer Call(const std::string& method, const std::string& path, const Json& body = nullptr) {
    return rig_.Signed(key_, method, "/api/v0" + path, body);
  }
  Json Unit(const Json& experiment, const std::string& id) {
    return {{"unit_id", id},
            {"tenant_id", "ten"},
            {"experiment_id", "label-one"},
            {"manifest_sha256", experiment["manifest_sha256"]},
            {"payload", {{"x", 1}}}};
  }
  CoordinatorRig rig_;
  WorkerSigner key_{200};
};

TEST_F(TenantTest, WholeLifeOfAnExperiment) {
  EXPECT_EQ(rig_.Bearer("POST", "/api/v0/tenants",
                        {{"tenant_id", "ten"}, {"maintainer_pubkey", std::string(64, 'b')}})
                .code(),
            "duplicate_tenant");
  EXPECT_FALSE(rig_.Plain("GET", "/api/v0/tenants/ten").json.contains("contact_email"));
  const Json manifest = {
      {"tenant_id", "ten"}, {"experiment_id", "label-one"}, {"replication_factor", 1}};
  EXPECT_EQ(rig_.Plain("POST", "/api/v0/experiments",
                       {{"manifest", manifest}, {"signature", Json::object()}})
                .code(),
            "researcher_required");
  EXPECT_EQ(Call("POST", "/experiments", {{"manifest", {{"x", 1}}}, {"signature", Json::object()}})
                .code(),
            "manifest_malformed");
  const Answer created =
      Call("POST", "/experiments", {{"manifest", manifest}, {"signature", {{"sig_v", "0.1"}}}});
  ASSERT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(created.json["state"], "submitted");
  EXPECT_EQ(created.json["replication_target"], 3);  // the floor of a tenant without an account
  const std::string experiment = "/experiments/" + created.json["experiment_id"].get<std::string>();
  const auto units = [&](const Json& list) {
    return Call("POST", experiment + "/work-units", {{"work_units", list}});
  };
  EXPECT_EQ(units(Json::array({Unit(created.json, "a")})).code(),
            "experiment_not_open_for_submissions");
  EXPECT_EQ(
      rig_.Bearer("POST", "/api/v0" + experiment + "/actions/approve?replication_target=1").code(),
      "sub_floor_integrity_policy");
  const Answer approved = rig_.Bearer(
      "POST", "/api/v0" + experiment +
                  "/actions/approve?replication_target=1&force=true&reason=test&max_units=2");
  ASSERT_EQ(approved.status, 200) << approved.body;
  EXPECT_EQ(approved.json["replication_target"], 1);

  Json foreign = Unit(created.json, "a");
  foreign["experiment_id"] = "another";
  EXPECT_EQ(units(Json::array({foreign})).code(), "work_unit_experiment_label_mismatch");
  EXPECT_EQ(units({Unit(created.json, "a"), Unit(created.json, "a")}).code(),
            "duplicate_unit_id_in_batch");
  EXPECT_EQ(
      units({Unit(created.json, "a"), Unit(created.json, "b"), Unit(created.json, "c")}).code(),
      "max_units_exceeded");
  EXPECT_EQ(units(Json::array({Unit(created.json, "a")})).json,
            Json({{"submitted_unit_ids", Json::array({"a"})}, {"count", 1}}));
  EXPECT_EQ(units(Json::array({Unit(created.json, "a")})).code(), "unit_id_already_submitted");
  EXPECT_EQ(Call("GET", experiment + "/work-units").json["counts_by_status"],
            Json({{"pending", 1}}));

  LabWorker worker(rig_, 1);
  EXPECT_EQ(rig_.Signed(worker.key(), "GET", "/api/v0" + experiment + "/work-units").status, 403);
  EXPECT_EQ(Call("POST", experiment + "/actions/pause").json["state"], "paused");
  EXPECT_TRUE(worker.Get("/assignments").json["work_unit"].is_null());
  EXPECT_EQ(Call("POST", experiment + "/actions/resume").json["state"], "approved");
  EXPECT_EQ(worker.DoOne().status, 201);
  EXPECT_EQ(Call("POST", experiment + "/actions/finalize-submissions").json["state"], "completed");
  EXPECT_EQ(Call("GET", experiment + "/receipts").json["receipts"].size(), 1u);
  EXPECT_EQ(Call("GET", experiment + "/attestation").json["unit_count"], 1);
  EXPECT_EQ(Call("POST", experiment + "/actions/abort").status, 409);
  EXPECT_EQ(rig_.Bearer("POST", "/api/v0" + experiment + "/actions/archive").json["state"],
            "archived");
}

TEST_F(TenantTest, PackageUpload) {
  const Packed packed = Pack({{.path = "a.txt", .content = "2"}});
  const auto upload = [&](const std::string& body, const std::string& digest,
                          const std::string& type) {
    HeaderList headers = key_.Request("POST", "/api/v0/packages", rig_.authority(), body);
    headers[0].second = type;
    headers.emplace_back("X-Package-Digest", digest);
    return Parse(HttpCall(rig_.port(), "POST", "/api/v0/packages", headers, body));
  };
  EXPECT_EQ(upload(packed.archive, packed.digest, "text/plain").status, 415);
  EXPECT_EQ(upload(packed.archive, "xyz", "application/gzip").code(),
            "invalid_package_digest_header");
  EXPECT_EQ(upload("junk", packed.digest, "application/gzip").code(), "invalid_package");
  EXPECT_EQ(upload(packed.archive, std::string(64, '0'), "application/gzip").code(),
            "digest_mismatch");
  EXPECT_EQ(upload(packed.archive, packed.digest, "application/gzip").status, 201);
  const Answer again = upload(packed.archive, packed.digest, "application/x-gzip");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.json["status"], "already_exists");
}

}  // namespace
}  // namespace auspex::coordd
