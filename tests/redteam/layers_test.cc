// SPDX-License-Identifier: AGPL-3.0-only
// Each layer of keyd's hardening, on a kernel that says yes and does nothing: a filter put on before keyd answers the layer's own
// system call with success. A keyd that only looked at return values would run without the layer; this one refuses to start and
// names it, and starts when the owner's configuration names it.
#include <gtest/gtest.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "common/base/sanitized.h"
#include "common/files/files.h"
#include "keyd/hardening.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"
#include "tests/support/skip.h"

namespace auspex::redteam {
namespace {

using keyd::Hardening;
using keyd::KeydProcess;

// A call that is answered without being made: with success, or with an error.
struct Fake {
  int number;
  int error = 0;  // 0: success
  std::vector<scmp_arg_cmp> when;
};

struct Case {
  std::string layer;
  std::vector<Fake> fakes;
  // Layers that fall with it, because they use the same call.
  std::vector<std::string> too = {};
};

const std::vector<Case>& Cases() {
  static const scmp_arg_cmp no_core = SCMP_A1_64(SCMP_CMP_EQ, RLIMIT_CORE),
                            sets_limit = SCMP_A2_64(SCMP_CMP_NE, 0),
                            not_dumpable = SCMP_A0_64(SCMP_CMP_EQ, PR_SET_DUMPABLE),
                            no_privileges = SCMP_A0_64(SCMP_CMP_EQ, PR_SET_NO_NEW_PRIVS),
                            dont_dump = SCMP_A2_64(SCMP_CMP_EQ, MADV_DONTDUMP);
  static const std::vector<Case> cases = {
      {"locked-memory", {{SCMP_SYS(memfd_secret), ENOSYS}, {SCMP_SYS(mlock)}}},
      {"undumped-key-pages",
       {{SCMP_SYS(memfd_secret), ENOSYS}, {SCMP_SYS(madvise), 0, {dont_dump}}}},
      {"no-dump", {{SCMP_SYS(prctl), 0, {not_dumpable}}}},
      {"core-limit", {{SCMP_SYS(prlimit64), 0, {no_core, sets_limit}}}},
      {"no-new-privileges", {{SCMP_SYS(prctl), 0, {no_privileges}}}},
      {"only-unix-sockets", {{SCMP_SYS(seccomp)}}, {"deny-exec", "seccomp"}},
      {"deny-exec", {{SCMP_SYS(seccomp)}}, {"only-unix-sockets", "seccomp"}},
      {"landlock", {{SCMP_SYS(landlock_restrict_self)}}},
      {"landlock", {{SCMP_SYS(landlock_create_ruleset), ENOSYS}}},
      {"seccomp", {{SCMP_SYS(seccomp)}}, {"only-unix-sockets", "deny-exec"}},
  };
  return cases;
}

// In the child that becomes keyd. Without no-new-privileges, which would be inherited.
void Pretend(const Case& one) {
  // The core limit of the test's parent must not be what keyd finds.
  const rlimit much{RLIM_INFINITY, RLIM_INFINITY};
  ::setrlimit(RLIMIT_CORE, &much);
  scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
  seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0);
  for (const Fake& fake : one.fakes) {
    if (seccomp_rule_add_array(context, SCMP_ACT_ERRNO(static_cast<unsigned>(fake.error)),
                               fake.number, static_cast<unsigned>(fake.when.size()),
                               fake.when.data()) != 0) {
      ::_exit(99);
    }
  }
  if (seccomp_load(context) != 0) ::_exit(98);
  seccomp_release(context);
}

void Configure(const std::string& home, const std::vector<std::string>& accepted) {
  std::string list;
  for (const std::string& word : accepted) list += (list.empty() ? "\"" : ", \"") + word + "\"";
  ASSERT_TRUE(WriteFileAtomically(home + "/worker.toml",
                                  "[keyd]\naccept_missing_hardening = [" + list + "]\n", 0600)
                  .ok());
}

class Layers : public ::testing::TestWithParam<size_t> {};

TEST_P(Layers, AMissingOneRefusesTheStartUnlessTheOwnerNamesIt) {
  AUSPEX_SKIP_UNLESS(::geteuid() == 0, "root, to put a filter on without no-new-privileges");
  const Case& one = Cases()[GetParam()];
  AUSPEX_SKIP_UNLESS(!kSanitized || one.layer != "seccomp", "a build without a sanitizer");
  AUSPEX_SKIP_UNLESS(!kSanitized || one.layer != "undumped-key-pages",
                     "a build without a sanitizer, which makes mlock do nothing");
  const keyd::ScratchDir home;
  const auto pretend = [&one] { Pretend(one); };

  Configure(home.path(), one.too);
  {
    KeydProcess refused(home.path(), {}, pretend);
    ASSERT_FALSE(refused.ready());
    EXPECT_EQ(refused.WaitForExit(), 2);
    const std::string log = refused.log();
    EXPECT_NE(log.find("hardening " + one.layer + ": "), std::string::npos) << log;
    EXPECT_NE(log.find("keyd.accept_missing_hardening"), std::string::npos) << log;
    // Before the key is touched and, but for the last one, before anything is served.
    EXPECT_EQ(log.find("event=serving"), std::string::npos) << log;
  }
  std::vector<std::string> all = one.too;
  all.push_back(one.layer);
  Configure(home.path(), all);
  // Such a build never has it.
  if (kSanitized && std::find(all.begin(), all.end(), "seccomp") == all.end())
    all.push_back("seccomp");
  KeydProcess accepted(home.path(), {}, pretend);
  ASSERT_TRUE(accepted.ready()) << accepted.log();
  accepted.CreateKey();
  const keyd::v1::KeyStatus status = accepted.Status();
  size_t missing = 0;
  for (const keyd::v1::HardeningLayer& layer : status.hardening()) {
    const bool named = std::find(all.begin(), all.end(), layer.name()) != all.end();
    EXPECT_EQ(layer.in_force(), !named) << layer.name() << ": " << layer.detail();
    EXPECT_EQ(layer.accepted_missing(), named) << layer.name();
    EXPECT_FALSE(layer.detail().empty()) << layer.name();
    missing += named;
  }
  EXPECT_EQ(missing, all.size());
  EXPECT_EQ(static_cast<size_t>(status.missing_hardening_size()), all.size());
  EXPECT_EQ(accepted.Stop(SIGTERM), 0);
}

INSTANTIATE_TEST_SUITE_P(Each, Layers, ::testing::Range(size_t{0}, Cases().size()),
                         [](const auto& one) {
                           std::string name = Cases()[one.param].layer;
                           std::erase(name, '-');
                           return name + std::to_string(one.param);
                         });

TEST(LayersOfKeyd, AllAreInForceHereAndInTheOrderThatIsDocumented) {
  const keyd::ScratchDir home;
  KeydProcess target(home.path());
  ASSERT_TRUE(target.ready()) << target.log();
  const keyd::v1::KeyStatus status = target.Status();
  ASSERT_EQ(static_cast<size_t>(status.hardening_size()), Hardening::Words().size());
  for (int i = 0; i < status.hardening_size(); ++i) {
    const keyd::v1::HardeningLayer& layer = status.hardening(i);
    EXPECT_EQ(layer.name(), Hardening::Words()[static_cast<size_t>(i)]);
    AUSPEX_SKIP_UNLESS(layer.in_force(), layer.name());
    EXPECT_FALSE(layer.detail().empty());
  }
}

TEST(LayersOfKeyd, AWordThatIsNoLayerIsAnErrorOfTheConfiguration) {
  const keyd::ScratchDir home;
  Configure(home.path(), {"landlock", "selinux"});
  KeydProcess refused(home.path());
  ASSERT_FALSE(refused.ready());
  EXPECT_EQ(refused.WaitForExit(), 2);
  for (const char* part : {"'selinux' is no layer", "locked-memory", "seccomp"}) {
    EXPECT_NE(refused.log().find(part), std::string::npos) << refused.log();
  }
}

// Accepting a layer does not switch it off.
TEST(LayersOfKeyd, AnAcceptedLayerIsStillPutInPlaceWhereItCanBe) {
  const keyd::ScratchDir home;
  Configure(home.path(), Hardening::Words());
  KeydProcess target(home.path());
  ASSERT_TRUE(target.ready()) << target.log();
  const keyd::v1::KeyStatus status = target.Status();
  for (const keyd::v1::HardeningLayer& layer : status.hardening()) {
    AUSPEX_SKIP_UNLESS(layer.in_force(), layer.name());
    EXPECT_FALSE(layer.accepted_missing()) << layer.name();
  }
}

}  // namespace
}  // namespace auspex::redteam
