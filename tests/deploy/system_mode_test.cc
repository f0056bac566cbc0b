// SPDX-License-Identifier: AGPL-3.0-only
// System mode on the real daemons: four users, sockets handed over as systemd does, and what the units take away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "tests/deploy/service_host.h"
#include "tests/deploy/services.h"
#include "tests/deploy/unit_file.h"
#include "tests/e2e/lab.h"
#include "tests/support/pace.h"
#include "tests/support/skip.h"

namespace auspex::deploy {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

const char* const kRoles[] = {"keyd/request", "keyd/result",  "keyd/owner", "stated/net",
                              "stated/run",   "stated/owner", "netd/owner", "runnerd/owner"};

// 0 when the socket can be opened and stays open; 1 when the file does not let the caller in; 2 when the daemon ends the connection.
int Knock(const std::string& role) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, ("/run/auspex/" + role + ".sock").c_str(),
               sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return errno == EACCES ? 1 : 100 + errno % 100;
  // A daemon of ours says its HTTP/2 settings at once.
  char octet = 0;
  const int result = ::recv(fd, &octet, 1, 0) == 1 ? 0 : 2;
  ::close(fd);
  return result;
}

class SystemMode : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!ServiceHost::Possible() || !HasSystemdAnalyze()) return;
    host_ = new ServiceHost;
    ASSERT_NO_FATAL_FAILURE(host_->Prepare());
    coordinator_ = new e2e::Coordinator("/run/auspex-test/c", {"--idp", "fake"});
    ASSERT_NO_FATAL_FAILURE(coordinator_->Start());
    e2e::WriteText(
        "/etc/auspex/worker.toml",
        "[coordinator]\nurl = \"" + coordinator_->url() +
            "\"\nheartbeat_interval_seconds = " + std::to_string(TestInterval(0.2)) +
            "\nassignment_poll_interval_seconds = " + std::to_string(TestInterval(0.05)) +
            "\n"
            "[executor]\nexecute_tenant_code = \"provisioned\"\n");
    ASSERT_EQ(::chmod("/etc/auspex/worker.toml", 0644), 0);
    for (const std::string& daemon : kDaemons) {
      ASSERT_TRUE(host_->Start(daemon)) << daemon << "\n" << e2e::ReadText(host_->log(daemon));
    }
  }
  static void TearDownTestSuite() {
    delete host_;
    delete coordinator_;
    e2e::KillOrphans();
  }
  void SetUp() override {
    AUSPEX_SKIP_UNLESS(HasSystemdAnalyze(),
                       "systemd-analyze and systemd-sysusers (package systemd)");
    AUSPEX_SKIP_UNLESS(host_ != nullptr, "root with the right to make namespaces");
    for (const std::string& daemon : kDaemons) ASSERT_TRUE(host_->Running(daemon)) << daemon;
  }
  void TearDown() override {
    if (host_ == nullptr || !HasFailure()) return;
    for (const std::string& daemon : kDaemons) {
      const std::string text = e2e::ReadText(host_->log(daemon));
      std::printf("---- %s\n%s\n", daemon.c_str(),
                  text.substr(text.size() > 4000 ? text.size() - 4000 : 0).c_str());
    }
  }

  static ServiceHost* host_;
  static e2e::Coordinator* coordinator_;
};
ServiceHost* SystemMode::host_ = nullptr;
e2e::Coordinator* SystemMode::coordinator_ = nullptr;

TEST_F(SystemMode, EachDaemonRunsAsItsUserAndTakesWhatItsUnitLeaves) {
  for (const std::string& daemon : kDaemons) {
    const std::string proc = "/proc/" + std::to_string(host_->pid(daemon));
    const std::string status = e2e::ReadText(proc + "/status");
    const std::string uid = std::to_string(ServiceHost::Named("auspex-" + daemon).uid);
    EXPECT_THAT(status, HasSubstr("\nUid:\t" + uid + "\t" + uid + "\t" + uid + "\t" + uid + "\n"));
    EXPECT_THAT(status, HasSubstr("\nCapBnd:\t0000000000000000\n")) << daemon;
    EXPECT_THAT(status, HasSubstr("\nNoNewPrivs:\t1\n")) << daemon;
    EXPECT_THAT(status, HasSubstr("\nSeccomp:\t2\n")) << daemon;
    EXPECT_THAT(e2e::ReadText(host_->log(daemon)), Not(HasSubstr("refused_to_start"))) << daemon;
  }
}

TEST_F(SystemMode, EverySocketLetsInItsPeerAlone) {
  const auto peer_of = [](const std::string& role) -> std::string {
    if (role == "keyd/request" || role == "stated/net") return "auspex-netd";
    if (role == "keyd/result" || role == "stated/run") return "auspex-runnerd";
    return "";
  };
  for (const std::string role : kRoles) {
    for (const std::string& daemon : kDaemons) {
      const std::string user = "auspex-" + daemon;
      EXPECT_EQ(ServiceHost::As(ServiceHost::Named(user), [&] { return Knock(role); }),
                peer_of(role) == user ? 0 : 1)
          << user << " at " << role;
    }
    // Root passes every file's mode: there the daemon's own look at its peer decides.
    EXPECT_EQ(ServiceHost::As(ServiceHost::Root(), [&] { return Knock(role); }),
              peer_of(role).empty() ? 0 : 2)
        << "root at " << role;
    EXPECT_EQ(ServiceHost::As(ServiceHost::Stranger(), [&] { return Knock(role); }), 1) << role;
    EXPECT_EQ(ServiceHost::As(ServiceHost::Stranger("auspex"), [&] { return Knock(role); }),
              peer_of(role).empty() ? 0 : 1)
        << "a member of group auspex at " << role;
  }
}

TEST_F(SystemMode, NoDaemonReadsAnothersState) {
  for (const std::string& daemon : kDaemons) {
    for (const std::string other : {"keyd", "stated", "runnerd"}) {
      const int readable = ServiceHost::As(ServiceHost::Named("auspex-" + daemon), [&] {
        return ::access(("/var/lib/auspex/" + other).c_str(), R_OK | X_OK) == 0 ? 1 : 0;
      });
      EXPECT_EQ(readable, daemon == other ? 1 : 0) << daemon << " in " << other;
    }
  }
}

TEST_F(SystemMode, TheServiceManagerHearsOfLifeAndWork) {
  for (const std::string& daemon : kDaemons) {
    const bool heard = e2e::Eventually(10, [&] {
      const std::vector<std::string> told = host_->Told(daemon);
      const auto says = [&](const char* what) {
        return std::any_of(told.begin(), told.end(),
                           [&](const std::string& line) { return line.starts_with(what); });
      };
      return says("WATCHDOG=1") && says("STATUS=");
    });
    EXPECT_TRUE(heard) << daemon;
  }
  EXPECT_THAT(host_->Told("runnerd"), Contains("STATUS=0 of 1 slots busy"));
  EXPECT_THAT(host_->Told("keyd"), Contains(StartsWith("STATUS=no key yet")));
}

// From root's key file to a verified receipt, through four users.
TEST_F(SystemMode, RootHandsAKeyOverAndAUnitIsComputed) {
  // What netd cannot read it cannot have; what the owner cannot either is said.
  const e2e::Finished refused = ServiceHost::Verb(ServiceHost::Stranger(), {"status"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.out + refused.err, HasSubstr("root or in group auspex"));

  const std::string seed = "/run/auspex-test/seed";
  e2e::WriteText(seed, std::string(64, '7') + "\n");
  const e2e::Finished imported = ServiceHost::Verb(ServiceHost::Root(), {"key", "import", seed});
  ASSERT_EQ(imported.code, 0) << imported.out << imported.err;
  EXPECT_FALSE(std::filesystem::exists("/var/lib/auspex/keyd/import.key"));
  // Nor does a command look for keys of roles, or miss them.
  EXPECT_FALSE(std::filesystem::exists("/run/auspex/keyd/owner.role"));
  EXPECT_THAT(imported.err, Not(HasSubstr("role_key")));
  const e2e::Finished shown = ServiceHost::Verb(ServiceHost::Root(), {"key", "show"});
  EXPECT_THAT(shown.out, HasSubstr("credential"));

  const ServiceHost::User owner = ServiceHost::Stranger("auspex");
  const e2e::Finished enrolled = ServiceHost::Verb(owner, {"bootstrap"});
  ASSERT_EQ(enrolled.code, 0) << enrolled.out << enrolled.err;

  const e2e::Package noop = e2e::Pack("noop", "system-mode");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, e2e::Units(3), 1, noop.archive_base64);
  EXPECT_TRUE(coordinator_->WaitCompleted(experiment, 3, 60)) << coordinator_->Progress(experiment);
  const e2e::Json results = coordinator_->Results(experiment);
  for (const e2e::Json& unit : results["units"]) {
    for (const e2e::Json& result : unit["results"]) EXPECT_EQ(result["ran_under"], "strict");
  }
  const bool verified = e2e::Eventually(20, [&] {
    const e2e::Finished list =
        ServiceHost::Verb(owner, {"receipts", "list", "--limit", "10", "--json"});
    const e2e::Json json = e2e::Json::parse(list.out, nullptr, false);
    if (!json.is_object() || json["results"].size() != 3) return false;
    return std::all_of(json["results"].begin(), json["results"].end(), [](const e2e::Json& result) {
      return result["receipt_status"] == "canonical";
    });
  });
  EXPECT_TRUE(verified);
}

// The sockets are the service manager's: what is asked while a daemon is away waits in them.
TEST_F(SystemMode, AKilledDaemonIsWaitedForAtItsSocket) {
  for (const std::string& daemon : kDaemons) {
    host_->Kill(daemon);
    ASSERT_TRUE(host_->Start(daemon)) << daemon << "\n" << e2e::ReadText(host_->log(daemon));
  }
  const e2e::Package noop = e2e::Pack("noop", "system-mode-again");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, e2e::Units(2), 1, noop.archive_base64);
  EXPECT_TRUE(coordinator_->WaitCompleted(experiment, 2, 60)) << coordinator_->Progress(experiment);
}

TEST_F(SystemMode, DoctorFindsNothingWrong) {
  const e2e::Finished doctor = ServiceHost::Verb(ServiceHost::Root(), {"doctor"}, 120);
  EXPECT_THAT(doctor.out, HasSubstr("each daemon has a user of its own"));
  EXPECT_THAT(doctor.out, HasSubstr("all four answer")) << doctor.out << doctor.err;
}

TEST_F(SystemMode, AProgramThatNobodyGaveSocketsDoesNotStart) {
  for (const std::string& daemon : kDaemons) {
    const e2e::Finished finished =
        e2e::RunCommand({e2e::Program("auspex-" + daemon), "--system"}, 20);
    EXPECT_EQ(finished.code, 2) << daemon;
    EXPECT_THAT(finished.err, HasSubstr("systemctl start auspex-" + daemon));
  }
}

// Last: everything ends by SIGTERM with code 0, which systemd does not take for a failure.
TEST_F(SystemMode, StopsCleanly) {
  for (const char* daemon : {"netd", "runnerd", "stated", "keyd"}) {
    EXPECT_EQ(host_->Stop(daemon), 0) << daemon;
    EXPECT_THAT(host_->Told(daemon), Contains("STOPPING=1")) << daemon;
  }
  EXPECT_THAT(e2e::PidsNaming("auspex", "--system"), IsEmpty());
}

}  // namespace
}  // namespace auspex::deploy
