// SPDX-License-Identifier: AGPL-3.0-only
// `auspex login` from the command to the account: the device flow against the lab's stand-in for
// the identity provider, the exchange, the grant in keyd, the upgrade, the binding in stated.
#include "tests/e2e/fixture.h"

namespace auspex::e2e {
namespace {

using ::testing::HasSubstr;

class LoginTest : public LabTest {
 protected:
  // A worker whose identity provider plays `scenario`.
  Worker& WorkerOf(const std::string& scenario) {
    Worker::Settings settings;
    settings.more = "\n[identity]\ngithub_base_url = \"" + coordinator_->url() + "/fake-idp/" +
                    scenario + "\"\n";
    return AddWorker(settings);
  }
  Json Tier(const Worker& worker) { return worker.VerbJson({"status"})["trust_tier"]; }
  Json SeenByCoordinator(const Worker& worker) {
    return coordinator_->Call("GET", "/workers/" + worker.worker_id()).json();
  }
};

TEST_F(LoginTest, BindsTheWorkerToTheAccount) {
  Worker& worker = WorkerOf("good");
  EXPECT_EQ(Tier(worker), 0);
  const Finished login = worker.Verb({"login"}, 60);
  ASSERT_EQ(login.code, 0) << login.out << login.err;
  // The person needs both the address and the code.
  EXPECT_THAT(login.out, HasSubstr("https://idp.invalid/device"));
  EXPECT_THAT(login.out, HasSubstr("FAKE-CODE"));
  EXPECT_EQ(Tier(worker), 1);
  EXPECT_EQ(SeenByCoordinator(worker).value("trust_tier", -1), 1);
  // Again is nothing to do, and asks nobody.
  const Finished again = worker.Verb({"login"}, 30);
  EXPECT_EQ(again.code, 0) << again.err;
  // keyd signed the upgrade under a grant, and both are on record.
  const Finished audit = worker.Verb({"audit", "show", "--json"});
  EXPECT_THAT(audit.out, HasSubstr("open_grant"));
  EXPECT_THAT(audit.out, HasSubstr("upgrade"));
  // The access token is nowhere in the worker's folder.
  const Finished grep = RunCommand({"/bin/grep", "-rla", "good-good-user", worker.home()});
  EXPECT_EQ(grep.out, "");
}

TEST_F(LoginTest, WorksWhileTheDaemonsRunAndWithASlowProvider) {
  Worker& worker = WorkerOf("pending-then-good");
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  const Finished login = worker.Verb({"login"}, 60);
  ASSERT_EQ(login.code, 0) << login.out << login.err;
  EXPECT_EQ(Tier(worker), 1);
  EXPECT_EQ(worker.StopDaemon(), 0);
}

TEST_F(LoginTest, ARefusalChangesNothingAndSaysWhy) {
  for (const std::string scenario : {"denied", "expired"}) {
    Worker& worker = WorkerOf(scenario);
    const Finished login = worker.Verb({"login"}, 60);
    EXPECT_EQ(login.code, 1) << scenario;
    EXPECT_THAT(login.err, HasSubstr(scenario)) << login.err;
    EXPECT_EQ(Tier(worker), 0);
    EXPECT_EQ(SeenByCoordinator(worker).value("trust_tier", -1), 0);
  }
}

TEST_F(LoginTest, NeedsAnEnrolment) {
  Worker worker(folder_ / "unenrolled", {.url = coordinator_->url()});
  const Finished login = worker.Verb({"login"}, 30);
  EXPECT_EQ(login.code, 1);
  EXPECT_THAT(login.err, HasSubstr("bootstrap"));
}

}  // namespace
}  // namespace auspex::e2e
