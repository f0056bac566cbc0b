// SPDX-License-Identifier: AGPL-3.0-only
// The owner's side of packages, on the real programs: what is there, what goes, whose signature
// counts, and a policy for one tenant that is changed while the daemons run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "tests/e2e/hostile_coordinator.h"
#include "tests/e2e/lab.h"
#include "tests/support/skip.h"

namespace auspex::e2e {
namespace {

using ::testing::HasSubstr;
using Line = HostileCoordinator::Line;
using Request = HostileCoordinator::Request;

class Packages : public ::testing::Test {
 protected:
  void Start(const std::string& more = "") {
    worker_ = std::make_unique<Worker>(
        folder_ / "w",
        Worker::Settings{.url = server_.url(), .slots = 1, .poll_seconds = 0.02, .more = more});
    ASSERT_NO_FATAL_FAILURE(worker_->Bootstrap());
    server_.Attack(
        "package",
        [this](const Request& request, Line& line) {
          ++fetches_;
          const auto found = archives_.find(request.target.substr(request.target.rfind('/') + 1));
          if (found == archives_.end()) {
            line.Answer(404, R"({"detail":{"error":{"code":"package_not_found","message":"no"}}})");
          } else {
            line.Answer(200, found->second);
          }
        },
        1'000'000);
    ASSERT_NO_FATAL_FAILURE(worker_->StartDaemon());
  }
  void TearDown() override {
    if (worker_ != nullptr) {
      EXPECT_EQ(worker_->StopDaemon(), 0);
    }
    KillOrphans();
  }
  // Serves the noop example as that experiment; its manifest's hash.
  std::string Serve(const std::string& label) {
    const Package package = Pack("noop", label, "hostile-lab");
    // Sorted names, integers and ASCII only: this is the canonical form.
    const std::string sha = Sha256HexOf(package.manifest.dump());
    archives_[sha] = *Base64Decode(package.archive_base64);
    return sha;
  }
  // Offers the unit and waits for it: "completed" or the reason of its refusal.
  std::string Run(const std::string& unit, const std::string& manifest) {
    server_.Offer(unit, Json::object(), 1, manifest);
    EXPECT_TRUE(Eventually(60, [&] {
      return server_.Results().contains(unit) || server_.Refusals().contains(unit);
    })) << unit;
    if (server_.Results().contains(unit)) return "completed";
    const auto refusals = server_.Refusals();
    return refusals.contains(unit)
               ? Json::parse(refusals.at(unit).front())["reason"].get<std::string>()
               : "nothing";
  }

  TempFolder folder_;
  HostileCoordinator server_;
  std::unique_ptr<Worker> worker_;
  std::map<std::string, std::string> archives_;
  std::atomic<int> fetches_ = 0;
};

TEST_F(Packages, TheOwnerSeesAndRemovesThem) {
  const std::string one = Serve("hostile-one");
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_EQ(Run("u-1", one), "completed");
  ASSERT_EQ(Run("u-2", one), "completed");
  EXPECT_EQ(fetches_, 1);
  Json list = worker_->VerbJson({"packages", "list"});
  ASSERT_EQ(list["packages"].size(), 1u) << list;
  EXPECT_EQ(list["packages"][0]["manifest_sha256"], one);
  EXPECT_EQ(list["packages"][0]["tenant_id"], "hostile-lab");
  EXPECT_EQ(list["packages"][0]["experiment_id"], "hostile-one");
  EXPECT_GT(list["installed_octets"].get<int64_t>(), 10'000);
  EXPECT_EQ(list["cap_octets"], int64_t{8192} << 20);
  EXPECT_THAT(worker_->Verb({"packages", "list"}).out, HasSubstr("installed: "));

  EXPECT_EQ(worker_->Verb({"packages", "remove", one}).code, 0);
  EXPECT_TRUE(worker_->VerbJson({"packages", "list"})["packages"].empty());
  const Finished again = worker_->Verb({"packages", "remove", one});
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("is installed"));
  // It is fetched when it is needed.
  ASSERT_EQ(Run("u-3", one), "completed");
  EXPECT_EQ(fetches_, 2);
  EXPECT_TRUE(worker_->VerbJson({"packages", "gc"})["removed"].empty()) << "there is room";
  EXPECT_EQ(worker_->VerbJson({"packages", "gc", "--all"})["removed"], Json::array({one}));

  // A staged one is the owner's own.
  const std::string staged = std::string(64, 'c');
  ASSERT_EQ(RunCommand({"/bin/mkdir", "-p", worker_->home() + "/data/tenants/" + staged}).code, 0);
  list = worker_->VerbJson({"packages", "list"});
  ASSERT_EQ(list["packages"].size(), 1u) << list;
  EXPECT_EQ(list["packages"][0]["staged"], true);
  const Finished refused = worker_->Verb({"packages", "remove", staged});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("is staged"));
  EXPECT_TRUE(worker_->VerbJson({"packages", "gc", "--all"})["removed"].empty());
  EXPECT_EQ(RunCommand({"/bin/ls", worker_->home() + "/data/tenants"}).out, staged + "\n");
}

TEST_F(Packages, APinnedTenantMustHaveSignedWhateverTheCoordinatorSays) {
  const std::string one = Serve("hostile-one");
  ASSERT_NO_FATAL_FAILURE(
      Start("\n[provisioning.tenant_keys]\nhostile-lab = \"" + std::string(64, '1') + "\"\n"));
  EXPECT_EQ(Run("u-1", one), "manifest.json.sig: is missing, and a key of the tenant is pinned");
  EXPECT_TRUE(worker_->VerbJson({"packages", "list"})["packages"].empty());
}

TEST_F(Packages, ATenantsPolicyIsReadFreshAndShown) {
  const std::string one = Serve("hostile-one"), two = Serve("hostile-two");
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_EQ(Run("u-1", one), "completed");
  const std::string file = worker_->home() + "/worker.toml", before = ReadText(file);
  WriteText(file,
            before + "\n[executor.tenants]\nhostile-lab = \"off\"\nsome-lab = \"synthetic\"\n");
  EXPECT_EQ(Run("u-2", two), "execute_tenant_code=off for tenant hostile-lab");
  const Json list = worker_->VerbJson({"tenant", "list"});
  EXPECT_EQ(list["execution_policy"], "provisioned");
  EXPECT_EQ(list["announced_policy"], "provisioned");
  EXPECT_EQ(list["tenant_policies"], (Json{{"hostile-lab", "off"}, {"some-lab", "synthetic"}}));
  EXPECT_THAT(worker_->Verb({"status"}).out,
              HasSubstr("provisioned (hostile-lab: off, some-lab: synthetic)"));
  EXPECT_EQ(worker_->VerbJson({"status"})["tenant_policies"]["hostile-lab"], "off");
  WriteText(file, before);
  EXPECT_EQ(Run("u-3", one), "completed");
}

// A node of this test's own, which behaves as /dev/zero does: the owner's switch reaches the sandbox,
// and the audit row says so.
TEST_F(Packages, AnAcceleratorIsThereForTheNamedTenantAndInItsAuditRow) {
  const std::string node = "/dev/auspex-e2e-" + std::to_string(getpid());
  const bool made =
      mknod(node.c_str(), S_IFCHR | 0666, makedev(1, 5)) == 0 && chmod(node.c_str(), 0666) == 0;
  AUSPEX_SKIP_UNLESS(made, "the right to make a device node in /dev (root)");
  TempFolder scratch;
  const std::string folder = scratch / "package";
  ASSERT_EQ(RunCommand({"/bin/mkdir", folder}).code, 0);
  WriteText(folder + "/look.sh",
            "test -c " + node + " && found=1 || found=0\n" +
                "echo \"{\\\"payload\\\":{\\\"found\\\":$found}}\" > /unit/output.json\n");
  Json manifest = Json::parse(ReadText(ExamplePackage("noop") + "/manifest.json"), nullptr, false);
  ASSERT_TRUE(manifest.is_object());
  manifest["tenant_id"] = "hostile-lab";
  manifest["experiment_id"] = "hostile-one";
  manifest["executor"]["command"] = {"/bin/sh", "look.sh"};
  const Package package = PackFolder(folder, manifest);
  const std::string sha = Sha256HexOf(package.manifest.dump());
  archives_[sha] = *Base64Decode(package.archive_base64);
  const auto gpu = [&node](const std::string& tenant) {
    return "\n[gpu]\ndevices = [\"" + node + "\"]\ntenants = [\"" + tenant + "\"]\n";
  };
  ASSERT_NO_FATAL_FAILURE(Start(gpu("another-lab")));
  const auto found = [&](const std::string& unit) {
    EXPECT_EQ(Run(unit, sha), "completed");
    const auto results = server_.Results();
    if (!results.contains(unit)) return Json();
    return Json::parse(results.at(unit).front())["payload"]["found"];
  };
  const auto audited = [&](const std::string& unit) {
    const Json log = worker_->VerbJson({"log"});
    for (const Json& row : log["rows"]) {
      if (row["unit_id"] == unit && row["action"] == "running")
        return row["reason"].get<std::string>();
    }
    return std::string("no row");
  };
  EXPECT_EQ(found("u-1"), 0);
  EXPECT_EQ(audited("u-1"), "");
  EXPECT_THAT(worker_->Verb({"status"}).out, HasSubstr(node + " for units of another-lab"));
  const std::string file = worker_->home() + "/worker.toml";
  std::string text = ReadText(file);
  text.replace(text.find("another-lab"), 11, "hostile-lab");
  WriteText(file, text);
  EXPECT_EQ(found("u-2"), 1);
  EXPECT_EQ(audited("u-2"), "may open " + node);
  unlink(node.c_str());
}

}  // namespace
}  // namespace auspex::e2e
