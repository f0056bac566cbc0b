// SPDX-License-Identifier: AGPL-3.0-only
// The owner's word for single tenants, read fresh for every unit, and what the coordinator is told
// of it; pins that this release cannot honour.
#include <gmock/gmock.h>

#include "common/base/cat.h"
#include "common/config/policy.h"
#include "runnerd/capabilities.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class TenantPolicyTest : public PipelineTest {
 protected:
  std::string Announced() const {
    return *ComposeCapabilities({}, config_, nullptr, {}, "").FindString("execute_tenant_code");
  }
};

TEST_F(TenantPolicyTest, ATenantsOwnWordCountsFromTheNextUnitOn) {
  const std::string sha = StageTenant({"ok"});
  const auto run = [&] { return Describe(Run(MakeUnit(sha))); };
  EXPECT_EQ(run(), "completed");
  EXPECT_EQ(Announced(), "provisioned");
  config_.tenant_policies["test-lab"] = ExecutionPolicy::kOff;
  EXPECT_EQ(run(), "executor_refused: execute_tenant_code=off for tenant test-lab");
  config_.tenant_policies.clear();
  config_.tenant_policies["somebody-else"] = ExecutionPolicy::kOff;
  EXPECT_EQ(run(), "completed");
  config_.execution_policy = ExecutionPolicy::kOff;
  EXPECT_EQ(run(), "executor_refused: execute_tenant_code=off: the owner runs no units");
  EXPECT_EQ(Announced(), "off");
  // One tenant is trusted, and the coordinator has to know to send its work.
  config_.tenant_policies["test-lab"] = ExecutionPolicy::kProvisioned;
  EXPECT_EQ(run(), "completed");
  EXPECT_EQ(Announced(), "provisioned");
}

TEST_F(TenantPolicyTest, AnEchoNeverPassesForWhatIsAnnounced) {
  const std::string sha = StageTenant({"ok"});
  const auto payload = [&] { return PayloadOf(Run(MakeUnit(sha))); };
  config_.execution_policy = ExecutionPolicy::kSynthetic;
  EXPECT_EQ(Announced(), "synthetic");
  EXPECT_NE(payload().Find("echo"), nullptr);
  config_.tenant_policies["somebody-else"] = ExecutionPolicy::kProvisioned;
  EXPECT_EQ(Announced(), "provisioned");
  EXPECT_THAT(Describe(Run(MakeUnit(sha))),
              StartsWith("executor_refused: execute_tenant_code=synthetic for tenant test-lab on a "
                         "worker that announces provisioned"));
  // Without bubblewrap nobody's code runs: then that is not announced, and echoes are honest.
  config_.use_bubblewrap = false;
  EXPECT_EQ(Announced(), "synthetic");
  EXPECT_NE(payload().Find("echo"), nullptr);
  config_.tenant_policies["somebody-else"] = ExecutionPolicy::kOff;
  config_.use_bubblewrap = true;
  EXPECT_NE(payload().Find("echo"), nullptr);
}

TEST_F(TenantPolicyTest, AWordThatChangesWhileThePackageIsFetchedCounts) {
  const BuiltPackage package =
      BuildPackage({"./tenant", "ok"}, {{"tenant", ReadWhole(TenantPath())}});
  archives_.archives[package.sha256] = Gzip(Tar(package.members));
  archives_.on_fetch = [this] { config_.tenant_policies["test-lab"] = ExecutionPolicy::kOff; };
  EXPECT_THAT(Describe(Run(MakeUnit(package.sha256))),
              StartsWith("executor_refused: execute_tenant_code: the owner's settings changed"));
}

// Wire protocol 6.3: which marker a pin's refusal carries, and which have none.
TEST_F(TenantPolicyTest, PinsThatCannotBeHonouredCarryTheMarkersOfTheWire) {
  const auto refused = [&](const std::string& members) {
    return Describe(Run(MakeUnit(StageTenant({"ok"}, members))));
  };
  const auto pin = [](const std::string& value) {
    return Cat(",\"inference_determinism\":{\"serving_version_pin\":", value, "}");
  };
  EXPECT_THAT(refused(pin("\"ollama/0.30.0\"")),
              StartsWith("executor_refused: serving_version_mismatch: the manifest pins "
                         "ollama/0.30.0"));
  EXPECT_THAT(refused(pin("\"\"")), StartsWith("executor_refused: serving_version_mismatch"));
  EXPECT_EQ(refused(pin("null")), "completed");
  EXPECT_THAT(refused(pin("7")), HasSubstr("serving_version_pin is not a string"));
  // The pin comes before the models.
  EXPECT_THAT(refused(Cat(pin("\"x\""), ",\"models\":[{\"id\":\"a\"},{\"id\":\"b\"}]")),
              HasSubstr("serving_version_mismatch"));
  for (const char* models :
       {"[{\"id\":\"a\"},{\"id\":\"b\"}]", "[{\"id\":\"a/b\"}]", "[{\"id\":\"..\"}]", "[{}]", "7",
        "[{\"id\":\"a\",\"local_weights_required\":true}]"}) {
    config_.auto_acquire = true;  // promises nothing here
    const std::string reason = refused(Cat(",\"models\":", models));
    EXPECT_THAT(reason, StartsWith("executor_refused: ")) << models;
    EXPECT_THAT(reason, HasSubstr("model")) << models;
    for (const char* marker : {"serving", "not_acquirable", "pull_failed", "unavailable"})
      EXPECT_THAT(reason.substr(0, reason.find(" and this release")), Not(HasSubstr(marker)))
          << models;
  }
  EXPECT_EQ(ComposeCapabilities({}, config_, nullptr, {}, "").Find("auto_acquire"), nullptr);
}

}  // namespace
}  // namespace auspex::runnerd
